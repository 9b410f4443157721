"""Samples of names from a conditioned chain, by inversion of cumulative distributions.

Each name consumes one row of max_length uniforms. So the first k names of a generator do not
depend on the number of names, or on which of two walks draws them: one name at a time in plain
Python, which is faster for a few names, or a batch of names in numpy. Cumulative distributions
are computed when a walk first needs them, and cached within a bound.
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

SAMPLING_BATCH_FROM = 256  # names: from this number on a batch is faster than one name at a time
BATCH_NAMES = 4096  # names of a batch: the arrays of more would not fit into a processor's cache
NODE_CELLS = 2**18  # tokens of all cached nodes, about 13 MB: the first nodes are the most frequent
CELL_BYTES = 52  # of a token of a node: a float, two list entries and its share of the overheads
CHARGED_CELLS = 2**12  # `size` grows by blocks of this many cells, each before it is filled
MAX_CUMULATIVE_CELLS = 2**20  # of the tables of all lengths, 8 MB: if larger, none is cached

# A node of the walk of one name, a length and a state: the cumulative probabilities of the next
# token, the node after each token (None until it is cached), the length and the state.
WalkNode: TypeAlias = "tuple[list[float], list[WalkNode | None], tuple[int, int]]"
END_NODE: WalkNode = ([], [], (0, 0))  # after max_length characters, where no uniform is left


def do_nothing() -> None:
    """The default callback of `Sampler.on_growth`."""


class Sampler:
    """Draws names from a conditioned chain. Threads can share a sampler.

    probability: that an unconditioned name satisfies the constraints
    on_growth: called without arguments after `size` has grown

    >>> from models.chain.conditioning import condition
    >>> from models.chain.markov_chain import bigram_chain
    >>> from models.constraints.constraints import Constraints
    >>> from models.text.vocabulary import Vocabulary
    >>> logits = np.log([[2, 5, 3], [5, 1, 4], [5, 4, 1]])  # rows: start, after a, after b
    >>> chain = bigram_chain(Vocabulary("ab"), logits)
    >>> sampler = Sampler(condition(chain, Constraints(pattern="*b")))
    >>> sampler.draw(4, np.random.default_rng(0))
    ['b', 'ab', 'ab', 'abab']
    """

    def __init__(self, conditioned: ConditionedChain) -> None:
        self.probability = math.exp(conditioned.log_probability)
        self.conditioned = conditioned
        self.on_growth: Callable[[], None] = do_nothing
        self._vocabulary = conditioned.chain.vocabulary
        self._characters = ["", *self._vocabulary.characters]  # token -> character
        self._max_length = conditioned.constraints.max_length
        self._nodes: dict[tuple[int, int], WalkNode] = {}  # by length and state
        self._tables: dict[int, Floats] = {}  # by length
        self._expanded = conditioned  # in its expanded form once a batch has been drawn
        rows = len(conditioned.product) * self._max_length
        self._caches_tables = rows * len(self._characters) <= MAX_CUMULATIVE_CELLS
        self._root = self._node(0, START)

    @property
    def size(self) -> int:
        """The memory of the chain and of all caches in bytes, without the arrays of the model."""
        # Copied, because another thread may add a table at the same time.
        tables = sum(table.nbytes for table in list(self._tables.values()))
        return self._expanded.size + tables + CELL_BYTES * self._charged_cells

    @property
    def _charged_cells(self) -> int:
        """The cells of the cached nodes, rounded up to a block."""
        cells = len(self._nodes) * len(self._characters)
        return min(self.conditioned.num_transitions, CHARGED_CELLS * (cells // CHARGED_CELLS + 1))

    def draw(self, count: int, generator: Generator) -> list[str]:
        """Return the next `count` names of the generator."""
        return [name for batch in self.batches(count, generator) for name in batch]

    def batches(self, count: int, generator: Generator) -> Iterator[list[str]]:
        """Yield the same names in lists of at most BATCH_NAMES."""
        if count < SAMPLING_BATCH_FROM:
            uniforms = generator.random((count, self._max_length))
            yield [self._walk_one(row) for row in uniforms.tolist()]
            return
        for start in range(0, count, BATCH_NAMES):
            uniforms = generator.random((min(BATCH_NAMES, count - start), self._max_length))
            yield self._vocabulary.decode(self._walk_batch(uniforms))

    def _walk_one(self, uniforms: list[float]) -> str:
        """Return one name: each token is the first whose cumulative probability exceeds u."""
        characters, name = self._characters, ""
        cumulative, children, key = self._root
        for u in uniforms:
            token = bisect_right(cumulative, u)
            if not token:  # BOUNDARY
                return name
            name += characters[token]
            cumulative, children, key = children[token] or self._child(children, key, token)
        return name

    def _child(
        self, children: "list[WalkNode | None]", key: tuple[int, int], token: int
    ) -> WalkNode:
        """Return the node after a token; link it to its parent if there is room."""
        length, state = key
        node = self._node(length + 1, self.conditioned.product.next_state(state, token))
        if len(self._nodes) * len(self._characters) < NODE_CELLS:
            children[token] = node
        return node

    def _node(self, length: int, state: int) -> WalkNode:
        """Return the node of a length and a state, from the cache or computed."""
        if length == self._max_length:
            return END_NODE
        key = length, state
        if key in self._nodes:
            return self._nodes[key]
        cumulative = self.conditioned.transition_probabilities(length, state).cumsum()
        cumulative /= cumulative[-1]
        node: WalkNode = (cumulative.tolist(), [None] * len(cumulative), key)
        if len(self._nodes) * len(cumulative) < NODE_CELLS:
            charged = self._charged_cells
            self._nodes[key] = node
            if self._charged_cells > charged:
                self.on_growth()
        return node

    def _expand(self) -> ConditionedChain:
        """Return the chain in its expanded form, which computes many rows at once faster."""
        if self._expanded is self.conditioned:
            self._expanded = self.conditioned.expanded
            if self._expanded is not self.conditioned:
                self.on_growth()
        return self._expanded

    def _walk_batch(self, uniforms: Floats) -> Ints:
        """Return the tokens of n names, padded with BOUNDARY: (n, max_length) -> the same."""
        names = np.full(uniforms.shape, BOUNDARY, dtype=np.intp)
        alive = np.arange(len(uniforms))  # the rows of the names that have not ended
        states = np.full(len(uniforms), START)
        next_states = self._expand().product.next_states
        for length in range(self._max_length):
            tokens = self._next_tokens(length, states, uniforms[:, length].take(alive))
            going = tokens.nonzero()[0]  # without those that have drawn BOUNDARY
            if not len(going):
                break
            alive, states, tokens = alive.take(going), states.take(going), tokens.take(going)
            names[alive, length] = tokens
            states = next_states[states, tokens]
        return names

    def _next_tokens(self, length: int, states: Ints, uniforms: Floats) -> Ints:
        """Return the next tokens of n names of a length, (n,), given their states and uniforms.

        If tables are not cached, the rows of the distinct states are computed in parts: all at
        once they would take hundreds of megabytes with an alphabet of thousands of characters.
        """
        if self._caches_tables:
            return _invert(self._table(length), states, uniforms)
        present = np.zeros(len(self.conditioned.product), dtype=bool)
        present[states] = True
        distinct = present.nonzero()[0]
        rank = np.empty(len(present), dtype=np.intp)
        rank[distinct] = np.arange(len(distinct))
        row, tokens = rank[states], np.empty(len(states), dtype=np.intp)
        for part in self.conditioned.chain.parts(stop=len(distinct)):
            rows = _cumulative(self._expanded.transition_probabilities(length, distinct[part]))
            names = ((row >= part.start) & (row < part.stop)).nonzero()[0]
            tokens[names] = _invert(rows, row[names] - part.start, uniforms[names])
        return tokens

    def _table(self, length: int) -> Floats:
        """Return the cumulative rows of all states at a length, (states, padded tokens)."""
        if length not in self._tables:
            expanded = self._expand()
            layer = expanded.layers[length][expanded.log_beta[length] > -np.inf]
            rows = _cumulative(expanded.transition_probabilities(length, layer))
            table = np.empty((len(self.conditioned.product), rows.shape[1]))
            table[layer] = rows
            self._tables[length] = table  # complete, because other threads may read it at once
            self.on_growth()
        return self._tables[length]


def _cumulative(probabilities: Floats) -> Floats:
    """Return cumulative sums over the last axis that end in exactly 1.

    They are padded with 1 to a power of two, so that a bisection halves them to the end.
    """
    *shape, tokens = probabilities.shape
    cumulative = np.ones((*shape, 1 << (tokens - 1).bit_length()))
    sums = probabilities.cumsum(axis=-1)
    cumulative[..., :tokens] = sums / sums[..., -1:]
    return cumulative


def _invert(cumulative: Floats, rows: Ints, uniforms: Floats) -> Ints:
    """Return the first token whose cumulative probability exceeds u, for n names, by bisection.

    cumulative: (all rows, padded tokens); rows, uniforms: (n,) each
    """
    width = cumulative.shape[1]
    flat = cumulative.ravel()
    before = rows * width - 1  # the entry before the row
    index = before.copy()
    half = width // 2
    while half:
        index += half * (flat.take(index + half) <= uniforms)
        half //= 2
    tokens: Ints = index - before
    return tokens
