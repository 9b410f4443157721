"""Position contexts: a position in a name, alone or with the last characters before it."""

import numpy as np

from models.arrays import Ints, array_dataclass
from models.counts.context_trie import ContextTrie, find_sorted
from models.lazy_property import lazy


@array_dataclass
class PositionContexts:
    """The positions of a name, and the known pairs of a context state and a position.

    positions: their number; later positions are clamped to the last one
    trie: the context states
    pairs: (n, 2), context states and the positions at which they are known, sorted

    The first position contexts are the positions alone: position context = position. The pairs
    follow. Raises ValueError if the pairs are out of range or out of order.
    """

    positions: int
    trie: ContextTrie
    pairs: Ints

    def __post_init__(self) -> None:
        states, positions = self.pairs.T
        if self.pairs.min(initial=0) < 0 or positions.max(initial=0) >= self.positions:
            raise ValueError("a position context has a position that does not exist")
        if states.max(initial=0) >= len(self.trie):
            raise ValueError("a position context has a state that does not exist")
        if (np.diff(self._keys) <= 0).any():
            raise ValueError("the position contexts are out of order")

    def __len__(self) -> int:
        """Return the number of position contexts."""
        return self.positions + len(self.pairs)

    @property
    def context_positions(self) -> Ints:
        """The position of each position context, (position contexts,)."""
        return np.concatenate([np.arange(self.positions), self.pairs[:, 1]])

    @property
    def ancestors(self) -> Ints:
        """The states of the last 1, 2, ... characters, (position contexts, order).

        -1 for more characters than the position context has.
        """
        without_state = np.full((self.positions, self.trie.order), -1)
        return np.vstack([without_state, self.trie.ancestors[self.pairs[:, 0]]])

    @lazy
    def table(self) -> Ints:
        """The position context with the longest known suffix of the state, (positions, states)."""
        table: Ints = np.empty((self.positions, len(self.trie)), dtype=np.int32)
        table[:] = np.arange(self.positions)[:, np.newaxis]
        for depth, level in enumerate(self.trie.levels):
            if depth:
                table[:, level] = table[:, self.trie.ancestors[level, depth - 1]]
            pairs = self.pairs_of_length(depth + 1)
            states, positions = self.pairs[pairs].T
            table[positions, states] = self.positions + np.arange(pairs.start, pairs.stop)
        return table

    def locate(self, positions: Ints, states: Ints) -> Ints:
        """Return the position context of each of n contexts, (n,)."""
        position_contexts: Ints = self.table[np.minimum(positions, self.positions - 1), states]
        return position_contexts.astype(np.intp)  # the table has smaller integers

    def pairs_of_length(self, length: int) -> slice:
        """Return the pairs whose state has `length` characters."""
        level = self.trie.levels[length - 1]
        start, stop = np.searchsorted(self.pairs[:, 0], [level.start, level.stop]).tolist()
        return slice(start, stop)

    def find_pairs(self, positions: Ints, states: Ints) -> Ints:
        """Return the index of the pair of each position and state, (n,).

        -1 if there is no such pair, or if the state is -1.
        """
        keys = np.where(states < 0, -1, states * self.positions + positions)
        return find_sorted(self._keys, keys, 0)

    @property
    def _keys(self) -> Ints:
        """The sort keys of the pairs, (n,)."""
        return self.pairs[:, 0] * self.positions + self.pairs[:, 1]
