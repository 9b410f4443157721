"""A chain given that the name fulfils a wish, exactly.

A backward recursion over lengths gives the probability of still ending well from every
state. Multiplied into each step it turns the chain into the chain given the wish, so
that nothing is ever cut off or drawn again.
"""

from dataclasses import dataclass

import numpy as np

from models.arrays import Floats
from models.chain import Chain, States, log_sum_exp
from models.suffixes import START
from models.vocabulary import BOUNDARY


@dataclass(frozen=True)
class Wish:
    """What a name must be: 1 to `max_length` characters long, at a temperature > 0.

    White space at either end is not part of a name: no name is drawn with it.

    The temperature divides the logits: below 1 likely names get likelier still.
    """

    max_length: int = 32
    temperature: float = 1.0


@dataclass(frozen=True, eq=False)  # arrays have no truth value to compare by
class ConditionedChain:
    """A chain given that the name fulfils a wish.

    normalizers: (positions, states), of the chain's logits at the wish's temperature, for
        the positions that there are in names of max_length
    ending: (max_length + 2, states), log-probability of ending well from a state after
        0, 1, ... characters. At the beginning there is START alone. A name comes back
        to it only when it has ended: later it tells whether that was well.
    """

    chain: Chain
    wish: Wish
    normalizers: Floats
    ending: Floats

    @property
    def log_probability(self) -> float:
        """Of an unconditioned draw fulfilling the wish."""
        return min(0.0, float(self.ending[0, START]))  # rounding may take it above certainty

    def steps(self, length: int, states: States) -> Floats:
        """Probabilities of the next token after so many characters, (..., tokens)."""
        position = min(length, self.chain.positions - 1)
        total = self.normalizers[position, states] + self.ending[length, states]
        joint = self.joint(length, states)
        joint -= total[..., np.newaxis]
        return np.exp(joint, out=joint)

    def joint(self, length: int, states: States) -> Floats:
        """Logits of taking a step and ending well after it, (..., tokens) for states (...)."""
        joint = self.chain.logits(length, states)
        if self.wish.temperature != 1.0:
            joint /= self.wish.temperature
        joint += self.ending[length + 1].take(self.chain.suffixes.successors[states])
        if self.chain.spaces.any():
            self._keep_spaces_inside(joint, length, states)
        return joint

    def _keep_spaces_inside(self, joint: Floats, length: int, states: States) -> None:
        last = self.chain.suffixes.ancestors[states, 0]
        joint[self.chain.spaces[last], BOUNDARY] = -np.inf
        if not length:
            joint[..., self.chain.spaces] = -np.inf


def condition(chain: Chain, wish: Wish) -> ConditionedChain:
    """The chain given 1 <= length <= max_length.

    In logarithms throughout: at low temperatures and long lengths the probability of
    ending well from an unlikely state is far below the smallest float.
    """
    positions = min(chain.positions, wish.max_length + 1)
    usual = wish.temperature == 1.0
    normalizers = chain.log_normalizers if usual else chain.normalizers(wish.temperature, positions)
    ending = np.full((wish.max_length + 2, len(chain.suffixes)), -np.inf)
    ending[2:, START] = 0.0  # ended, with one character at least
    conditioned = ConditionedChain(chain, wish, normalizers, ending)
    for length in reversed(range(wish.max_length + 1)):
        # A name is at START at the beginning, and only there.
        for part in chain.parts(START + 1) if length else [slice(START, START + 1)]:
            normalizer = normalizers[min(length, chain.positions - 1), part]
            ending[length, part] = log_sum_exp(conditioned.joint(length, part)) - normalizer
    return conditioned
