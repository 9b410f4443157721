"""Context counts: how often each next character follows each distinct context.

The loss of a model that looks at the position and the last few characters depends on the list
through these counts alone, and so does its gradient: they are sufficient statistics. The counts
of the parts of a list add up to the counts of the list.
"""

import math
from collections.abc import Iterable, Sequence
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from models.arrays import Counts, Flags, Ints, array_dataclass
from models.counts.transitions import Contexts, Transitions

MAX_INTEGER = int(np.iinfo(np.intp).max)  # of the keys of rows
MAX_PENDING_ROWS = 1 << 20  # rows that `add` keeps before it merges: bounds the memory

Columns: TypeAlias = "tuple[Ints, ...]"  # position, history nearest first, token; (n,) each


@array_dataclass
class ContextCounts:
    """The distinct transitions of a list of names and how often each occurs.

    counts: (n,), integers, or fractions if the names have weights
    """

    transitions: Transitions
    counts: Counts

    @property
    def total(self) -> int:
        """The number of transitions in the list, ends of names included.

        Rounded down if the counts are fractions.
        """
        return int(self.counts.sum())

    @property
    def order(self) -> int:
        """The number of last characters in the contexts."""
        order: int = self.transitions.contexts.history.shape[1]
        return order


def count(transitions: Transitions) -> ContextCounts:
    """Count equal transitions; sorted by position, history (nearest first) and token.

    >>> from models.counts.transitions import transitions
    >>> counts = count(transitions(np.array([1, 0, 1, 2, 0]), order=1))  # two names
    >>> counts.transitions.tokens.tolist(), counts.counts.tolist()
    ([1, 0, 2, 0], [2, 1, 1, 1])
    """
    return _collect(_columns(transitions), np.ones(len(transitions.tokens), dtype=np.intp))


def add(parts: Iterable[ContextCounts]) -> ContextCounts:
    """Add up the counts of parts of a list, all of the same order; sorted as by `count`.

    Reads the parts one by one: the memory is bounded by the number of distinct transitions, not
    by the number of parts. Raises ValueError if there is no part.

    >>> from models.counts.transitions import transitions
    >>> part = count(transitions(np.array([1, 0]), order=1))
    >>> add([part, part]).counts.tolist()
    [2, 2]
    """
    pending: list[ContextCounts] = []
    for part in parts:
        pending.append(part)
        rows = [len(counts.counts) for counts in pending]
        if sum(rows) > 2 * rows[0] + MAX_PENDING_ROWS:
            pending = [_merge(pending)]
    return _merge(pending)


def clamp(counts: ContextCounts, positions: int) -> ContextCounts:
    """Return the counts with later positions clamped to the last of `positions`."""
    position, *columns = _columns(counts.transitions)
    return _collect((np.minimum(position, positions - 1), *columns), counts.counts)


def shorten(counts: ContextCounts, order: int) -> ContextCounts:
    """Return the counts with the history cut to the last `order` characters.

    Raises ValueError if the order of the counts is lower.
    """
    if order > counts.order:
        raise ValueError(f"counts of order {counts.order} cannot be shortened to order {order}")
    position, *history, tokens = _columns(counts.transitions)
    return _collect((position, *history[:order], tokens), counts.counts)


def select_transitions(counts: ContextCounts, chosen: Flags) -> ContextCounts:
    """Return the counts of the chosen transitions, (n,)."""
    contexts, tokens = counts.transitions.contexts, counts.transitions.tokens
    chosen_contexts = Contexts(contexts.positions[chosen], contexts.history[chosen])
    return ContextCounts(Transitions(chosen_contexts, tokens[chosen]), counts.counts[chosen])


def _columns(transitions: Transitions) -> Columns:
    contexts = transitions.contexts
    return (contexts.positions, *contexts.history.T, transitions.tokens)


def _merge(parts: Sequence[ContextCounts]) -> ContextCounts:
    """Add up the counts. Raises ValueError if there is no part."""
    columns = zip(*(_columns(part.transitions) for part in parts), strict=True)
    return _collect(
        tuple(np.concatenate(column) for column in columns),
        np.concatenate([part.counts for part in parts]),
    )


def _collect(columns: Columns, counts: Counts) -> ContextCounts:
    """Merge equal rows of the columns and add up their counts; sorted."""
    sizes = [int(column.max(initial=0)) + 1 for column in columns]
    keys = _keys(columns, sizes)
    if math.prod(sizes) <= len(counts):
        # A table of all possible rows is no longer than the columns.
        table: NDArray[Any] = np.zeros_like(counts, shape=math.prod(sizes))
        np.add.at(table, keys, counts)
        keys = np.flatnonzero(table)
        columns, counts = np.unravel_index(keys, sizes), table[keys]
    else:
        order = np.argsort(keys)
        first = np.flatnonzero(np.diff(keys[order], prepend=-1))
        counts = np.add.reduceat(counts[order], first)
        distinct = order[first]
        columns = tuple(column[distinct] for column in columns)
    position, *history, tokens = columns
    histories = np.array(history, dtype=np.intp).reshape(len(history), len(tokens)).T
    return ContextCounts(Transitions(Contexts(position, histories), tokens), counts)


def _keys(columns: Columns, sizes: list[int]) -> Ints:
    """Return a number for each row, the same for equal rows and in the order of rows, (n,)."""
    if math.prod(sizes) <= MAX_INTEGER:
        return np.ravel_multi_index(columns, sizes)
    # The mixed-radix number of a row would overflow: use its rank among the rows.
    order = np.lexsort(columns[::-1])
    differs = [np.diff(column[order], prepend=-1) != 0 for column in columns]
    ranks = np.empty_like(order)
    ranks[order] = np.cumsum(np.logical_or.reduce(differs))
    return ranks
