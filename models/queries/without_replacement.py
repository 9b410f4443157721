"""Names that do not repeat: drawn without replacement.

While there are enough new names, those of a sampler that were there before are left out.
Where a few names have nearly all the probability, that would go on for ever: then names
are drawn from what is left of it, along a tree of the beginnings so far that knows what
is left below each. Both follow the same law.
"""

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from itertools import islice
from typing import NamedTuple

import numpy as np
from numpy.random import Generator

from models.arrays import Floats
from models.chain.conditioning import ConditionedChain
from models.counts.context_trie import START
from models.queries.sampling import Sampler
from models.text.vocabulary import BOUNDARY

PATIENCE = 256  # repeated names in a row after which names are drawn from what is left
AT_ONCE = 20  # of these, which takes some milliseconds
CELLS_KEPT = 2**21  # of rows of the chain, 16 MB


def sample_without_replacement(
    sampler: Sampler, count: int, generator: Generator
) -> Iterator[list[str]]:
    """The first `count` different names of a stream, some at a time; there must be so many.

    Some may be none: then it has taken a while, and others can have their turn.
    """
    # What is left has a stream of its own, which does not depend on how many names are
    # drawn at once before it is needed.
    stream = np.random.Generator(generator.bit_generator.jumped())  # type: ignore[attr-defined]
    names: dict[str, None] = {}  # in order
    repeated = 0
    while len(names) < count and repeated < PATIENCE:
        known = len(names)
        for name in sampler.draw(count - known, generator):
            repeated = repeated + 1 if name in names else 0
            if repeated == PATIENCE:
                break
            names[name] = None
        yield list(islice(names, known, None))
    if len(names) < count:
        yield from _draw_rest(RemainingNames(sampler.chain), list(names), count, stream)


def _draw_rest(
    remaining: "RemainingNames", names: list[str], count: int, generator: Generator
) -> Iterator[list[str]]:
    """Names besides those that there are, up to a count in all."""
    for start in range(0, len(names), AT_ONCE):
        for name in names[start : start + AT_ONCE]:
            remaining.take(name)
        yield []
    for start in range(len(names), count, AT_ONCE):
        yield [remaining.draw(generator) for _ in range(min(AT_ONCE, count - start))]


class _Ending(NamedTuple):
    """Of the only name taken that goes on so: its further tokens, and what is left after each."""

    tokens: list[int]
    left: list[float]


@dataclass(slots=True)
class _Beginning:
    """Of some names taken.

    left: for a token that some of them go on with, the log of the share of its
        probability that is left; longer: what they go on with after it
    """

    left: dict[int, float] = field(default_factory=dict)
    extensions: "dict[int, _Beginning | _Ending]" = field(default_factory=dict)

    def after(self, token: int) -> "_Beginning | None":
        """The beginning that is longer by a token, None if no name taken has it."""
        extensions = self.extensions.get(token)
        if isinstance(extensions, _Ending):
            (first, *tokens), (left, *lefts) = extensions
            extensions = _Beginning(
                {first: left}, {first: _Ending(tokens, lefts)} if tokens else {}
            )
            self.extensions[token] = extensions
        return extensions


class RemainingNames:
    """A conditioned chain that names are taken out of one by one."""

    def __init__(self, chain: ConditionedChain) -> None:
        self._chain = chain
        self._root = _Beginning()
        self._rows: dict[tuple[int, int], Floats] = {}

    def draw(self, generator: Generator) -> str:
        """A name that has not been taken yet; takes it. There must be one."""
        uniforms = iter(generator.random(self._chain.constraints.max_length + 1).tolist())

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
        tokens: list[int] = []
        beginnings: list[_Beginning] = []  # of the name that other names have too
        steps: list[tuple[float, Floats]] = []  # weight of the token untouched, all weights
        here: _Beginning | None = self._root
        state = START
        while not tokens or tokens[-1] != BOUNDARY:
            weights = self._weights(here, len(tokens), state)
            token = choose(weights)
            whole = float(weights[token])
            if here:
                whole -= here.left.get(token, 0.0)
                beginnings.append(here)
                here = here.after(token)
            tokens.append(token)
            steps.append((whole, weights))
            state = self._chain.product.next_state(state, token)
        self._mark(tokens, beginnings, steps)
        return self._chain.chain.vocabulary.decode(np.array([tokens]))[0]

    def _mark(
        self, tokens: list[int], beginnings: list[_Beginning], steps: list[tuple[float, Floats]]
    ) -> None:
        """Write down what is left after each token of a name."""
        left = [-math.inf]
        for token, (whole, weights) in zip(reversed(tokens), reversed(steps), strict=True):
            weights[token] = whole + left[-1]
            left.append(_total(weights))
        left = left[-2::-1]
        for here, token, share in zip(beginnings, tokens, left, strict=False):
            here.left[token] = share
        shared = len(beginnings)
        if shared < len(tokens):
            log_beta = _Ending(tokens[shared:], left[shared:])
            beginnings[-1].extensions[tokens[shared - 1]] = log_beta

    def _weights(self, here: _Beginning | None, length: int, state: int) -> Floats:
        """Log of the share of the probability below a beginning that is left for each token."""
        row = self._rows.get((length, state))
        if row is None:
            row = self._chain.log_transition_probabilities(length, state)
            if (len(self._rows) + 1) * len(row) <= CELLS_KEPT:
                self._rows[length, state] = row
        weights = row.copy()
        for token, left in here.left.items() if here else ():
            weights[token] += left
        return weights


def _total(weights: Floats) -> float:
    """log(sum(exp(weights)))."""
    peak = float(weights.max())
    return peak if peak == -math.inf else peak + math.log(np.exp(weights - peak).sum())
