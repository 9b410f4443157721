"""What a model knows of the past: suffixes of names, as the states of an automaton.

A state is the longest known suffix of the name so far, at most `order` characters: the
automaton of Aho and Corasick (1975), of a backoff language model in other words. The
single characters are all known, and the boundary at the start of a name is one of them.
Longer suffixes grow from these by the character before: so all states are a trie, in
which the parent of a suffix is the suffix without its farthest character.
"""

import numpy as np

from models.arrays import Counts, Ints, array_dataclass
from models.lazy import lazy
from models.text.vocabulary import BOUNDARY

START = BOUNDARY  # the state before the first character


@array_dataclass
class ContextTrie:
    """The known suffixes of up to `order` characters over so many tokens.

    The first states are the single tokens, state = token; then come those of
    longer: (n, 2), the parent of a state and its farthest token

    Raises ValueError if they are out of order, or if one of them is known without
    what comes before its nearest character: the automaton could not get there.
    """

    tokens: int
    order: int
    extensions: Ints

    def __post_init__(self) -> None:
        parents, farthest = self.extensions.T
        if self.extensions.min(initial=0) < 0 or farthest.max(initial=0) >= self.tokens:
            raise ValueError("a suffix has a character that does not exist")
        if (parents >= np.arange(self.tokens, len(self))).any() or (np.diff(self._keys) <= 0).any():
            raise ValueError("the suffixes are out of order")
        if (self._farthest[parents] == BOUNDARY).any():
            raise ValueError("a suffix goes on before the start of the name")
        if self.levels[-1].stop < len(self):
            raise ValueError(f"a suffix has more than {self.order} characters")
        if (self._prefixes[self.tokens :] < 0).any():
            raise ValueError("a suffix is known without what comes before its last character")

    @classmethod
    def from_counts(cls, tokens: int, history: Ints, counts: Counts, minimum: int) -> "ContextTrie":
        """The suffixes of n histories, (n, order), that are at least `minimum` times there.

        counts: (n,), how often each history is
        """
        order = history.shape[1]
        extensions = np.empty((0, 2), dtype=np.intp)
        states, prefixes = history[:, 0], history[:, 1:2].ravel()  # with and without the nearest
        for back in range(1, order):
            possible = (states >= 0) & (prefixes >= 0) & (history[:, back - 1] != BOUNDARY)
            keys = np.where(possible, states * tokens + history[:, back], -1)
            known = often(keys, counts, minimum)
            first = tokens + len(extensions)
            extensions = np.vstack([extensions, np.column_stack(np.divmod(known, tokens))])
            states = find_sorted(known, keys, first)
            if back + 1 < order:
                prefixes = find_sorted(known, prefixes * tokens + history[:, back + 1], first)
        return cls(tokens, order, extensions)

    def __len__(self) -> int:
        """How many states there are."""
        return self.tokens + len(self.extensions)

    @lazy
    def states(self) -> Ints:
        """All states in order, (states,)."""
        return np.arange(len(self))

    @lazy
    def levels(self) -> list[slice]:
        """The states of 1, 2, ..., `order` characters."""
        levels = [slice(0, self.tokens)]
        for _ in range(1, self.order):
            # Parents are sorted: those in the last level belong to the next.
            start = levels[-1].stop
            stop = self.tokens + int(np.searchsorted(self.extensions[:, 0], start))
            levels.append(slice(start, max(start, stop)))
        return levels

    @lazy
    def ancestors(self) -> Ints:
        """Each state's suffixes of 1, 2, ... characters, -1 beyond its own: (states, order)."""
        ancestors = np.full((len(self), self.order), -1, dtype=np.intp)
        ancestors[: self.tokens, 0] = np.arange(self.tokens)
        for depth, level in enumerate(self.levels[1:], start=1):
            ancestors[level] = ancestors[self._parents(level)]
            ancestors[level, depth] = np.arange(level.start, level.stop)
        return ancestors

    @lazy
    def next_states(self) -> Ints:
        """The state after a token, (states, tokens); START after the boundary."""
        if not len(self.extensions):  # not to be used with take(), which would copy all of it
            return np.broadcast_to(np.arange(self.tokens), (self.tokens, self.tokens))
        next_states: Ints = np.empty((len(self), self.tokens), dtype=np.int32)
        next_states[: self.tokens] = np.arange(self.tokens)
        for depth, level in enumerate(self.levels):
            if depth:
                next_states[level] = next_states[self._parents(level)]
            for extensions in self.levels[depth + 1 : depth + 2]:
                nearest = self.ancestors[extensions, 0]
                next_states[self._prefixes[extensions], nearest] = np.arange(
                    extensions.start, extensions.stop
                )
        return next_states

    def locate(self, history: Ints) -> Ints:
        """The state after each of n histories, (n, at least order) -> (n,)."""
        states = history[:, self.order - 1]
        for back in reversed(range(self.order - 1)):
            states = self.next_states[states, history[:, back]]
        return states.astype(np.intp)  # from a table of smaller integers

    def _parents(self, level: slice) -> Ints:
        return self.extensions[level.start - self.tokens : level.stop - self.tokens, 0]

    @property
    def _keys(self) -> Ints:
        """What the longer states are sorted by."""
        return self.extensions[:, 0] * self.tokens + self.extensions[:, 1]

    @property
    def _farthest(self) -> Ints:
        return np.concatenate([np.arange(self.tokens), self.extensions[:, 1]])

    @lazy
    def _prefixes(self) -> Ints:
        """For each longer state the state without its nearest character, -1 if unknown."""
        prefixes, farthest = np.full(len(self), -1, dtype=np.intp), self._farthest
        for depth, level in enumerate(self.levels[1:], start=1):
            if depth == 1:
                prefixes[level] = farthest[level]
            else:
                wanted = prefixes[self._parents(level)] * self.tokens + farthest[level]
                prefixes[level] = find_sorted(self._keys, wanted, self.tokens)
        return prefixes


def often(keys: Ints, counts: Counts, minimum: int) -> Ints:
    """The distinct keys, sorted, that are counted at least so many times; never -1."""
    distinct, groups = np.unique(keys, return_inverse=True)
    return distinct[(np.bincount(groups, counts) >= minimum) & (distinct >= 0)]


def find_sorted(keys: Ints, wanted: Ints, first: int) -> Ints:
    """The index of each of the wanted among sorted keys, counted from `first`; -1 if missing."""
    if not len(keys):
        return np.full(wanted.shape, -1, dtype=np.intp)
    found = np.minimum(np.searchsorted(keys, wanted), len(keys) - 1)
    return np.where(keys[found] == wanted, first + found, -1)
