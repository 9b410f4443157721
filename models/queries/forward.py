"""The course that the names of a conditioned chain take, all at once, by a forward recursion.

The probability of being in each state after so many characters, without having ended,
gives that of each step from there and that of being in each state one character later.
"""

from collections.abc import Iterator

import numpy as np

from models.arrays import Floats, Ints
from models.chain.conditioning import ConditionedChain
from models.counts.context_trie import START
from models.text.vocabulary import BOUNDARY


def forward_marginals(conditioned: ConditionedChain) -> Iterator[tuple[int, Ints, Floats]]:
    """All steps of all names: the length so far, states and probabilities.

    states: (n,), some of those that names are in then
    probabilities: (n, tokens), of being in each of them and taking each token

    An array is good until the next one is asked for.

    Lengths go up to that of the longest names, and may come in several parts. The
    probabilities of all steps after so many characters add up to that of getting so far.
    """
    conditioned = conditioned.expanded
    present = np.zeros(len(conditioned.product) + 1)
    present[START] = 1.0
    for length in range(conditioned.constraints.max_length + 1):
        later = np.zeros(len(present))
        there = present.nonzero()[0]
        for part in conditioned.chain.parts(stop=len(there)):
            states = there[part]
            steps = conditioned.transition_probabilities(length, states)
            steps *= present[states, np.newaxis]
            yield length, states, steps
            steps[:, BOUNDARY] = 0.0
            after = conditioned.product.next_states_of(states).ravel()
            later += np.bincount(after, steps.ravel(), len(later))
        present = later
