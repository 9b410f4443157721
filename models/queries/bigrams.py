"""What follows what at a position, in the names of a conditioned chain: exact bigrams."""

import numpy as np

from models.arrays import Floats, Ints, array_dataclass
from models.chain.conditioning import ConditionedChain
from models.queries.forward import forward_marginals
from models.text.vocabulary import BOUNDARY


@array_dataclass
class Bigrams:
    """The bigrams of n tokens at a position.

    tokens: (n,), in order; the BOUNDARY is one, before it the start of a name, after it the end
    reached: the share of names that have a character or their end at the position
    ended: the share of all names that end there
    joint: (n, n), the probability that a name has one token before the position and another
        at it; what has other tokens is missing
    previous: (n,), that it has the token before it, whatever comes then
    """

    tokens: Ints
    reached: float
    ended: float
    joint: Floats
    previous: Floats


def bigrams(conditioned: ConditionedChain, position: int, tokens: Ints) -> Bigrams:
    """The bigrams of some tokens, (n,), at a position up to max_length."""
    joint, previous = np.zeros((len(tokens), len(tokens))), np.zeros(len(tokens))
    reached = ended = 0.0
    nearest = conditioned.chain.trie.ancestors[conditioned.product.chain_states, 0]
    for length, states, steps in forward_marginals(conditioned):
        if length > position:
            break
        if length == position:
            is_before = (tokens[:, np.newaxis] == nearest[states]).astype(float)  # (n, states)
            joint += is_before @ steps[:, tokens]
            previous += is_before @ steps.sum(axis=1)
            reached += float(steps.sum())
            ended += float(steps[:, BOUNDARY].sum())
    return Bigrams(tokens, min(1.0, reached), ended, joint, previous)  # it may be rounded up


def expected_counts(conditioned: ConditionedChain) -> Floats:
    """How often each token comes in a name, on average, (tokens,); the end comes once."""
    often = np.zeros(len(conditioned.chain.vocabulary))
    for _, _, steps in forward_marginals(conditioned):
        often += steps.sum(axis=0)
    return often
