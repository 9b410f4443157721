"""A chain given that the name fulfils a wish, exactly.

A backward recursion over positions gives the probability of still ending well from
every state. Multiplied into each step it turns the chain into the chain given the
wish, so that nothing is ever cut off or drawn again.
"""

from dataclasses import dataclass

import numpy as np

from models.arrays import Floats, Ints
from models.chain import START, Chain, log_softmax, log_sum_exp
from models.vocabulary import BOUNDARY


@dataclass(frozen=True)
class Wish:
    """What a name must be: 1 to `max_length` characters long, at a temperature > 0.

    The temperature divides the logits: below 1 likely names get likelier still.
    """

    max_length: int = 32
    temperature: float = 1.0


@dataclass(frozen=True)
class ConditionedChain:
    """A chain given that the name fulfils a wish.

    log_probability: of an unconditioned draw fulfilling the wish
    steps: (max_length + 1, states, tokens), probabilities of the next token after
        0..max_length characters
    successors: (states, tokens), as in the chain
    """

    log_probability: float
    steps: Floats
    successors: Ints


def condition(chain: Chain, wish: Wish) -> ConditionedChain:
    """The chain given 1 <= length <= max_length.

    In logarithms throughout: at low temperatures and long lengths the probability of
    ending well from an unlikely state is far below the smallest float.
    """
    log_p = log_softmax(chain.log_probabilities / wish.temperature)
    positions, states, tokens = log_p.shape
    steps = np.empty((wish.max_length + 1, states, tokens))
    end_well = np.full(states, -np.inf)  # log P(end well) one character later: too late
    for length in reversed(range(wish.max_length + 1)):
        now = log_p[min(length, positions - 1)]
        joint = now + end_well[chain.successors]  # take a step and then end well
        joint[:, BOUNDARY] = now[:, BOUNDARY] if length > 0 else -np.inf
        total = log_sum_exp(joint)
        steps[length] = np.exp(joint - total)
        end_well = total[:, 0]
    log_probability = min(0.0, float(end_well[START]))  # rounding may take it above certainty
    return ConditionedChain(log_probability, steps, chain.successors)
