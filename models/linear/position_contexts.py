"""Where in a name something stands: the position, alone or with a suffix known to end there."""

import numpy as np

from models.arrays import Ints, array_dataclass
from models.counts.context_trie import ContextTrie, find_sorted
from models.lazy import lazy


@array_dataclass
class PositionContexts:
    """The places in a name that has so many positions; later ones count as the last.

    The first places are the positions alone, place = position; then come those of
    pairs: (n, 2), a state of the suffixes and a position it is known at

    Raises ValueError if a pair does not exist or the pairs are out of order.
    """

    positions: int
    trie: ContextTrie
    pairs: Ints

    def __post_init__(self) -> None:
        states, positions = self.pairs.T
        if self.pairs.min(initial=0) < 0 or positions.max(initial=0) >= self.positions:
            raise ValueError("a place has a position that does not exist")
        if states.max(initial=0) >= len(self.trie):
            raise ValueError("a place has a suffix that does not exist")
        if (np.diff(self._keys) <= 0).any():
            raise ValueError("the places are out of order")

    def __len__(self) -> int:
        """How many places there are."""
        return self.positions + len(self.pairs)

    @property
    def position(self) -> Ints:
        """The position of each place, (places,)."""
        return np.concatenate([np.arange(self.positions), self.pairs[:, 1]])

    @property
    def ancestors(self) -> Ints:
        """Each place's suffixes of 1, 2, ... characters, -1 beyond its own: (places, order)."""
        alone = np.full((self.positions, self.trie.order), -1)
        return np.vstack([alone, self.trie.ancestors[self.pairs[:, 0]]])

    @lazy
    def table(self) -> Ints:
        """The place with the longest suffix for each position and state, (positions, states)."""
        table: Ints = np.empty((self.positions, len(self.trie)), dtype=np.int32)
        table[:] = np.arange(self.positions)[:, np.newaxis]
        for depth, level in enumerate(self.trie.levels):
            if depth:
                table[:, level] = table[:, self.trie.ancestors[level, depth - 1]]
            block = self.block(depth + 1)
            states, positions = self.pairs[block].T
            table[positions, states] = self.positions + np.arange(block.start, block.stop)
        return table

    def locate(self, positions: Ints, states: Ints) -> Ints:
        """The place of each of n contexts, given as positions and states, (n,)."""
        position_contexts: Ints = self.table[np.minimum(positions, self.positions - 1), states]
        return position_contexts.astype(np.intp)  # from a table of smaller integers

    def block(self, length: int) -> slice:
        """The pairs whose suffix has so many characters."""
        level = self.trie.levels[length - 1]
        start, stop = np.searchsorted(self.pairs[:, 0], [level.start, level.stop]).tolist()
        return slice(start, stop)

    def find_pairs(self, positions: Ints, states: Ints) -> Ints:
        """Which pair each position and state are, (n,); -1 if none or if the state is -1."""
        wanted = np.where(states < 0, -1, states * self.positions + positions)
        return find_sorted(self._keys, wanted, 0)

    @property
    def _keys(self) -> Ints:
        """What the pairs are sorted by."""
        return self.pairs[:, 0] * self.positions + self.pairs[:, 1]
