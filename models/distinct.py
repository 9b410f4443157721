"""Names that do not repeat: drawn without replacement.

While there are enough new names, those of a sampler that were there before are left out.
Where a few names have nearly all the probability, that would go on for ever: then names
are drawn from what is left of it, along a tree of the beginnings so far that knows what
is left below each. Both follow the same law.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
from numpy.random import Generator

from models.arrays import Floats
from models.conditioning import ConditionedChain
from models.sampling import Sampler
from models.suffixes import START
from models.vocabulary import BOUNDARY

PATIENCE = 256  # repeated names in a row after which names are drawn from what is left
CELLS_KEPT = 2**21  # of rows of the chain, 16 MB


def draw_distinct(sampler: Sampler, count: int, generator: Generator) -> list[str]:
    """The first `count` different names of a stream; there must be so many."""
    # What is left has a stream of its own, which does not depend on how many names are
    # drawn at once before it is needed.
    stream = np.random.Generator(generator.bit_generator.jumped())  # type: ignore[attr-defined]
    names: dict[str, None] = {}  # in order
    repeated = 0
    while len(names) < count and repeated < PATIENCE:
        for name in sampler.draw(count - len(names), generator):
            repeated = repeated + 1 if name in names else 0
            if repeated == PATIENCE:
                break
            names[name] = None
    if len(names) < count:
        remaining = Remaining(sampler.chain)
        for name in names:
            remaining.take(name)
        while len(names) < count:
            names[remaining.draw(stream)] = None
    return list(names)


@dataclass(slots=True)
class _Beginning:
    """Of some names taken.

    left: for a token that some of them go on with, the log of the share of its
        probability that is left; longer: the beginning with this token
    """

    left: dict[int, float] = field(default_factory=dict)
    longer: "dict[int, _Beginning]" = field(default_factory=dict)


class Remaining:
    """A conditioned chain that names are taken out of one by one."""

    def __init__(self, chain: ConditionedChain) -> None:
        self._chain = chain
        self._root = _Beginning()
        self._rows: dict[tuple[int, int], Floats] = {}

    def draw(self, generator: Generator) -> str:
        """A name that has not been taken yet; takes it. There must be one."""
        uniforms = iter(generator.random(self._chain.wish.max_length + 1).tolist())

        def invert(weights: Floats) -> int:
            cumulative = np.exp(weights - weights.max()).cumsum()
            return int(cumulative.searchsorted(next(uniforms) * cumulative[-1], side="right"))

        return self._take(invert)

    def take(self, name: str) -> None:
        """Take a name out that is in the chain and has not been taken yet."""
        tokens = iter(self._chain.chain.vocabulary.encode([name]).tolist())
        self._take(lambda _: next(tokens))

    def _take(self, choose: Callable[[Floats], int]) -> str:
        """Take out the name whose tokens are chosen, given the log-weights of each step."""
        path: list[tuple[_Beginning, int, float, Floats]] = []
        here, state, token = self._root, START, -1
        while token != BOUNDARY:
            weights = self._weights(here, len(path), state)
            token = choose(weights)
            # Without what has been taken from it before.
            whole = float(weights[token]) - here.left.get(token, 0.0)
            path.append((here, token, whole, weights))
            here = here.longer.setdefault(token, _Beginning())
            state = int(self._chain.product.successors[state, token])
        left = -math.inf
        for here, token, whole, weights in reversed(path):
            here.left[token] = left
            weights[token] = whole + left
            left = _total(weights)
        characters = self._chain.chain.vocabulary.characters
        return "".join(characters[token - 1] for _, token, _, _ in path[:-1])

    def _weights(self, here: _Beginning, length: int, state: int) -> Floats:
        """Log of the share of the probability below a beginning that is left for each token."""
        row = self._rows.get((length, state))
        if row is None:
            row = self._chain.log_steps(length, state)
            if (len(self._rows) + 1) * len(row) <= CELLS_KEPT:
                self._rows[length, state] = row
        weights = row.copy()
        for token, left in here.left.items():
            weights[token] += left
        return weights


def _total(weights: Floats) -> float:
    """log(sum(exp(weights)))."""
    peak = float(weights.max())
    return peak if peak == -math.inf else peak + math.log(np.exp(weights - peak).sum())
