"""Context trie: the known suffixes of names, as the states of an automaton.

The state after some characters is their longest known suffix, of at most `order` characters:
the automaton of Aho and Corasick (1975), which is also that of a backoff language model. All
single characters are known; the boundary at the start of a name counts as one of them. Longer
suffixes extend shorter ones by the character before. So the states form a trie, in which the
parent of a state is its suffix without the farthest character.
"""

import numpy as np

from models.arrays import Counts, Ints, array_dataclass
from models.lazy_property import lazy
from models.text.vocabulary import BOUNDARY

START = BOUNDARY  # the state before the first character


@array_dataclass
class ContextTrie:
    """The known suffixes of up to `order` characters over an alphabet of `tokens` tokens.

    The first states are the single tokens: state = token. The other states follow.
    extensions: (n, 2), the parent and the farthest token of each other state, sorted

    Raises ValueError if the extensions are out of order, or if a suffix is known without its
    prefix (the suffix without its nearest character): the automaton could not reach it.
    """

    tokens: int
    order: int
    extensions: Ints

    def __post_init__(self) -> None:
        parents, farthest = self.extensions.T
        if self.extensions.min(initial=0) < 0 or farthest.max(initial=0) >= self.tokens:
            raise ValueError("a context has a token outside the vocabulary")
        if (parents >= np.arange(self.tokens, len(self))).any() or (np.diff(self._keys) <= 0).any():
            raise ValueError("the contexts are out of order")
        if (self._farthest[parents] == BOUNDARY).any():
            raise ValueError("a context has a character before the start of the name")
        if self.levels[-1].stop < len(self):
            raise ValueError(f"a context has more than {self.order} characters")
        if (self._prefixes[self.tokens :] < 0).any():
            raise ValueError("a context is known without its prefix")

    @classmethod
    def from_counts(cls, tokens: int, history: Ints, counts: Counts, minimum: int) -> "ContextTrie":
        """Return the trie of the suffixes that occur at least `minimum` times.

        history: (n, order), the last tokens of n contexts, nearest first
        counts: (n,), how often each context occurs
        """
        order = history.shape[1]
        extensions = np.empty((0, 2), dtype=np.intp)
        # The states of the last 1, 2, ... characters, with and without the nearest of them.
        states, prefixes = history[:, 0], history[:, 1:2].ravel()
        for back in range(1, order):
            possible = (states >= 0) & (prefixes >= 0) & (history[:, back - 1] != BOUNDARY)
            keys = np.where(possible, states * tokens + history[:, back], -1)
            known = frequent_keys(keys, counts, minimum)
            first = tokens + len(extensions)
            extensions = np.vstack([extensions, np.column_stack(np.divmod(known, tokens))])
            states = find_sorted(known, keys, first)
            if back + 1 < order:
                prefixes = find_sorted(known, prefixes * tokens + history[:, back + 1], first)
        return cls(tokens, order, extensions)

    def __len__(self) -> int:
        """Return the number of states."""
        return self.tokens + len(self.extensions)

    @lazy
    def states(self) -> Ints:
        """All states in order, (states,)."""
        return np.arange(len(self))

    @lazy
    def levels(self) -> list[slice]:
        """The states with 1, 2, ..., `order` characters."""
        levels = [slice(0, self.tokens)]
        for _ in range(1, self.order):
            # The extensions are sorted by parent: the next level extends the last one.
            start = levels[-1].stop
            stop = self.tokens + int(np.searchsorted(self.extensions[:, 0], start))
            levels.append(slice(start, max(start, stop)))
        return levels

    @lazy
    def ancestors(self) -> Ints:
        """The suffixes with 1, 2, ... characters of each state, (states, order).

        -1 for more characters than the state has.
        """
        ancestors = np.full((len(self), self.order), -1, dtype=np.intp)
        ancestors[: self.tokens, 0] = np.arange(self.tokens)
        for depth, level in enumerate(self.levels[1:], start=1):
            ancestors[level] = ancestors[self._parents(level)]
            ancestors[level, depth] = np.arange(level.start, level.stop)
        return ancestors

    @lazy
    def next_states(self) -> Ints:
        """The state after each token, (states, tokens); START after the boundary."""
        if not len(self.extensions):  # a view: take() would copy all of it
            return np.broadcast_to(np.arange(self.tokens), (self.tokens, self.tokens))
        next_states: Ints = np.empty((len(self), self.tokens), dtype=np.int32)
        next_states[: self.tokens] = np.arange(self.tokens)
        for depth, level in enumerate(self.levels):
            if depth:
                next_states[level] = next_states[self._parents(level)]
            if depth + 1 < self.order:
                extensions = self.levels[depth + 1]
                nearest = self.ancestors[extensions, 0]
                next_states[self._prefixes[extensions], nearest] = np.arange(
                    extensions.start, extensions.stop
                )
        return next_states

    def locate(self, history: Ints) -> Ints:
        """Return the state of each of n histories, (n, at least order) -> (n,).

        >>> trie = ContextTrie(3, 2, np.array([[2, 1]]))  # 0, 1, 2, and 2 after 1
        >>> trie.locate(np.array([[2, 1], [2, 2], [1, 0]])).tolist()
        [3, 2, 1]
        """
        states = history[:, self.order - 1]
        for back in reversed(range(self.order - 1)):
            states = self.next_states[states, history[:, back]]
        return states.astype(np.intp)  # the table has smaller integers

    def _parents(self, level: slice) -> Ints:
        return self.extensions[level.start - self.tokens : level.stop - self.tokens, 0]

    @property
    def _keys(self) -> Ints:
        """The sort keys of the extensions, (n,)."""
        return self.extensions[:, 0] * self.tokens + self.extensions[:, 1]

    @property
    def _farthest(self) -> Ints:
        """The farthest token of each state, (states,)."""
        return np.concatenate([np.arange(self.tokens), self.extensions[:, 1]])

    @lazy
    def _prefixes(self) -> Ints:
        """The state of each extension without its nearest character, (states,); -1 if unknown."""
        prefixes, farthest = np.full(len(self), -1, dtype=np.intp), self._farthest
        for depth, level in enumerate(self.levels[1:], start=1):
            if depth == 1:
                prefixes[level] = farthest[level]
            else:
                keys = prefixes[self._parents(level)] * self.tokens + farthest[level]
                prefixes[level] = find_sorted(self._keys, keys, self.tokens)
        return prefixes


def frequent_keys(keys: Ints, counts: Counts, minimum: int) -> Ints:
    """Return the distinct keys whose counts add up to at least `minimum`, sorted, without -1.

    >>> frequent_keys(np.array([5, 3, 5, -1]), np.array([1, 1, 1, 9]), minimum=2).tolist()
    [5]
    """
    distinct, groups = np.unique(keys, return_inverse=True)
    return distinct[(np.bincount(groups, counts) >= minimum) & (distinct >= 0)]


def find_sorted(keys: Ints, values: Ints, first: int) -> Ints:
    """Return the index of each value in the sorted keys plus `first`, or -1 if it is missing.

    >>> find_sorted(np.array([3, 5, 8]), np.array([8, 4]), first=10).tolist()
    [12, -1]
    """
    if not len(keys):
        return np.full(values.shape, -1, dtype=np.intp)
    indices = np.minimum(np.searchsorted(keys, values), len(keys) - 1)
    return np.where(keys[indices] == values, first + indices, -1)
