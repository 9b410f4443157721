"""How long the names of a conditioned chain are: the exact law, by a forward recursion.

The probability of being in each state after so many characters, without having ended,
gives that of ending there and that of being in each state one character later.
"""

import numpy as np

from models.arrays import Floats
from models.conditioning import ConditionedChain
from models.suffixes import START
from models.vocabulary import BOUNDARY


def length_law(conditioned: ConditionedChain) -> Floats:
    """The probability of each length to the longest, of 0 it is 0; all add up to one."""
    law = np.zeros(conditioned.wish.max_length + 1)
    present = np.zeros(len(conditioned.product) + 1)
    present[START] = 1.0
    for length in range(len(law)):
        law[length], present = _step(conditioned, length, present)
    return law


def _step(conditioned: ConditionedChain, length: int, present: Floats) -> tuple[float, Floats]:
    """The probability of ending after so many characters, and of each state one later.

    present: (states + 1,), the probability of being in each state, not having ended
    """
    successors = conditioned.product.successors
    ended, later = 0.0, np.zeros(len(present))
    there = present.nonzero()[0]
    for part in conditioned.chain.parts(stop=len(there)):
        states = there[part]
        ways = conditioned.steps(length, states)
        ways *= present[states, np.newaxis]
        ended += float(ways[:, BOUNDARY].sum())
        ways[:, BOUNDARY] = 0.0
        later += np.bincount(successors[states].ravel(), ways.ravel(), len(later))
    return ended, later
