"""Names from a conditioned chain: each step inverts a cumulative distribution at a uniform.

Every name has its own row of uniforms, drawn in order, so the first k names of a
generator do not depend on how many are drawn or on which of the two walks below is
taken: one name at a time in plain Python, or all abreast in numpy. The rows of the chain
are computed when a walk first comes to them.
"""

import math
from bisect import bisect_right
from collections.abc import Callable, Iterator
from typing import TypeAlias

import numpy as np
from numpy.random import Generator

from models.arrays import Floats, Ints
from models.chain.conditioning import ConditionedChain
from models.counts.context_trie import START
from models.text.vocabulary import BOUNDARY

ABREAST_FROM = 256  # names from which on walking abreast is the faster way
BLOCK = 4096  # names that walk abreast: more would not fit into a processor's cache
CELLS_KEPT = 2**18  # of rows as Python lists, some 10 MB: those that come first, so often
CELL_BYTES = 52  # a float, a place in its list and in that of the steps after it, and so on
CELLS_CHARGED = 2**12  # `size` grows by blocks of this many cells, each before it is filled
TABLES_KEPT = 2**20  # cells of the rows of all states, 8 MB: above they are not kept at all

# A step of the walk one by one: the cumulative probabilities of the next token, the step
# that each token leads to or None, and where it is: the length of the name and the state.
Step: TypeAlias = "tuple[list[float], list[Step | None], tuple[int, int]]"
END: Step = ([], [], (0, 0))  # after the last draw


def do_nothing() -> None:
    """Let a sampler grow unnoticed."""


class Sampler:
    """Draws names from a conditioned chain.

    probability: that an unconditioned draw fulfils the wish
    """

    def __init__(self, chain: ConditionedChain) -> None:
        self.probability = math.exp(chain.log_probability)
        self.chain = chain
        self.on_growth: Callable[[], None] = do_nothing  # called when `size` has risen
        self._vocabulary = chain.chain.vocabulary
        self._characters = ["", *self._vocabulary.characters]  # token -> character
        # After max_length characters the end is certain and needs no draw.
        self._longest = chain.constraints.max_length
        self._steps: dict[tuple[int, int], Step] = {}
        self._tables: dict[int, Floats] = {}
        self._whole = chain
        rows = len(chain.product) * self._longest
        self._keeps_tables = rows * len(self._characters) <= TABLES_KEPT
        self._first = self._step(0, START)

    @property
    def size(self) -> int:
        """In bytes: all that is kept so far, without the arrays of the model."""
        # Copied, because another thread may add a table meanwhile.
        tables = sum(table.nbytes for table in list(self._tables.values()))
        return self._whole.size + tables + CELL_BYTES * self._charged

    @property
    def _charged(self) -> int:
        """The cells of the steps that are kept, rounded up to a block."""
        cells = len(self._steps) * len(self._characters)
        return min(self.chain.cells, CELLS_CHARGED * (cells // CELLS_CHARGED + 1))

    def draw(self, count: int, generator: Generator) -> list[str]:
        """The next `count` names of the generator's stream."""
        return [name for block in self.blocks(count, generator) for name in block]

    def blocks(self, count: int, generator: Generator) -> Iterator[list[str]]:
        """The same names, some thousands at a time."""
        if count < ABREAST_FROM:
            uniforms = generator.random((count, self._longest))
            yield [self._walk(row) for row in uniforms.tolist()]
            return
        for start in range(0, count, BLOCK):
            uniforms = generator.random((min(BLOCK, count - start), self._longest))
            yield self._vocabulary.decode(self._walk_abreast(uniforms))

    def _walk(self, uniforms: list[float]) -> str:
        """One name: at each step the first token whose cumulative probability exceeds u."""
        characters, name = self._characters, ""
        cumulative, after, here = self._first
        for u in uniforms:
            token = bisect_right(cumulative, u)
            if not token:  # the boundary
                return name
            name += characters[token]
            cumulative, after, here = after[token] or self._go_on(after, here, token)
        return name

    def _go_on(self, after: "list[Step | None]", here: tuple[int, int], token: int) -> Step:
        """The step that a token leads to from here, put where the next walk finds it."""
        length, state = here
        step = self._step(length + 1, self.chain.product.next_state(state, token))
        if len(self._steps) * len(self._characters) < CELLS_KEPT:
            after[token] = step
        return step

    def _step(self, length: int, state: int) -> Step:
        """The step in a state after so many characters."""
        if length == self._longest:
            return END
        here = length, state
        if here in self._steps:
            return self._steps[here]
        cumulative = self.chain.steps(length, state).cumsum()
        cumulative /= cumulative[-1]
        step: Step = (cumulative.tolist(), [None] * len(cumulative), here)
        if len(self._steps) * len(cumulative) < CELLS_KEPT:
            charged = self._charged
            self._steps[here] = step
            if self._charged > charged:
                self.on_growth()
        return step

    def _expand(self) -> ConditionedChain:
        """The chain in the form in which many steps at once are fast."""
        if self._whole is self.chain:
            self._whole = self.chain.whole
            if self._whole is not self.chain:
                self.on_growth()
        return self._whole

    def _walk_abreast(self, uniforms: Floats) -> Ints:
        """All names a step at a time: (n, max_length) uniforms -> tokens padded with BOUNDARY."""
        names = np.full(uniforms.shape, BOUNDARY, dtype=np.intp)
        alive = np.arange(len(uniforms))
        states = np.full(len(uniforms), START)
        next_states = self._expand().product.next_states
        for length in range(self._longest):
            tokens = self._next_tokens(length, states, uniforms[:, length].take(alive))
            going = tokens.nonzero()[0]  # those that have not drawn the boundary
            if not len(going):
                break
            alive, states, tokens = alive.take(going), states.take(going), tokens.take(going)
            names[alive, length] = tokens
            states = next_states[states, tokens]
        return names

    def _next_tokens(self, length: int, states: Ints, uniforms: Floats) -> Ints:
        """What each of n names goes on with after so many characters, (n,).

        The rows of all states are kept if there are few, else computed for the states at
        hand, in parts: with thousands of characters they would take hundreds of megabytes.
        """
        if self._keeps_tables:
            return _invert(self._table(length), states, uniforms)
        present = np.zeros(len(self.chain.product), dtype=bool)
        present[states] = True
        at_hand = present.nonzero()[0]
        rank = np.empty(len(present), dtype=np.intp)
        rank[at_hand] = np.arange(len(at_hand))
        row, tokens = rank[states], np.empty(len(states), dtype=np.intp)
        for part in self.chain.chain.parts(stop=len(at_hand)):
            rows = _cumulative(self._whole.steps(length, at_hand[part]))
            here = ((row >= part.start) & (row < part.stop)).nonzero()[0]
            tokens[here] = _invert(rows, row[here] - part.start, uniforms[here])
        return tokens

    def _table(self, length: int) -> Floats:
        """The cumulative rows after so many characters of all states that can end well."""
        if length not in self._tables:
            chain = self._expand()
            layer = chain.layers[length][chain.log_beta[length] > -np.inf]
            steps = _cumulative(chain.steps(length, layer))
            table = np.empty((len(self.chain.product), steps.shape[1]))
            table[layer] = steps
            self._tables[length] = table  # whole: other threads may draw too
            self.on_growth()
        return self._tables[length]


def _cumulative(probabilities: Floats) -> Floats:
    """Cumulative sums over the last axis, ending in exactly 1, padded with 1 to a power of two."""
    *shape, tokens = probabilities.shape
    cumulative = np.ones((*shape, _padded(tokens)))
    sums = probabilities.cumsum(axis=-1)
    cumulative[..., :tokens] = sums / sums[..., -1:]
    return cumulative


def _padded(tokens: int) -> int:
    """The length of a row of so many tokens that bisection halves to the end."""
    return 1 << (tokens - 1).bit_length()


def _invert(cumulative: Floats, states: Ints, uniforms: Floats) -> Ints:
    """For each name the first token whose cumulative probability exceeds u, by bisection."""
    width = cumulative.shape[1]
    flat = cumulative.ravel()
    before = states * width - 1  # the entry before the name's row
    at = before.copy()
    half = width // 2
    while half:
        at += half * (flat.take(at + half) <= uniforms)
        half //= 2
    tokens: Ints = at - before
    return tokens
