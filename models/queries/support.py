"""How many names a conditioned chain has."""

import numpy as np

from models.chain.conditioning import ConditionedChain
from models.counts.context_trie import START


def support_size(conditioned: ConditionedChain) -> float:
    """The number of different names, by a backward recursion; exact up to 2^53."""
    conditioned = conditioned.expanded
    ways = np.zeros(len(conditioned.product) + 1)
    for length in reversed(range(conditioned.constraints.max_length + 1)):
        # START stands for the end of the name: one way, where the name may end.
        ways[START] = 1.0
        layer, after = conditioned.layers[length], ways
        ways = np.zeros(len(after))
        for part in conditioned.chain.parts(stop=len(layer)):
            possible = conditioned.joint_log_probabilities(length, layer[part]) > -np.inf
            onward = after.take(conditioned.product.next_states_of(layer[part]))
            ways[layer[part]] = np.where(possible, onward, 0.0).sum(axis=-1)
    return float(ways[START])
