"""The counts are the data: how often each next character follows each distinct context.

A model that looks at the position and the last few characters has a loss, and so
every step of its training, that depends on the list through these counts alone.
Counts of parts of a list add up to the counts of the list.
"""

import math
from collections.abc import Iterable, Sequence
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from models.arrays import Counts, Flags, Ints, array_dataclass
from models.counts.transitions import Contexts, Transitions

MOST_KEYS = int(np.iinfo(np.intp).max)
ROWS = 1 << 20  # of counts that wait to be added up: bounds the memory, loses no speed

Columns: TypeAlias = "tuple[Ints, ...]"  # position, history nearest first, token; (n,) each


@array_dataclass
class ContextCounts:
    """The distinct steps of a list of names and how often each occurs, counts (n,).

    They are fractions if the names have weights.
    """

    steps: Transitions
    counts: Counts

    @property
    def total(self) -> int:
        """The number of transitions in the list, ends of names included."""
        return int(self.counts.sum())

    @property
    def order(self) -> int:
        """How many of the last characters the contexts show."""
        order: int = self.steps.contexts.history.shape[1]
        return order


def count(steps: Transitions) -> ContextCounts:
    """Collect equal steps, sorted by position, history (nearest first) and token."""
    return _collect(_columns(steps), np.ones(len(steps.tokens), dtype=np.intp))


def add(parts: Iterable[ContextCounts]) -> ContextCounts:
    """The counts of all the parts, which show the same history, in one; sorted as by `count`.

    Takes the parts one by one: what it holds is bounded by the distinct steps, not by
    the number of parts. Raises ValueError if there is no part.
    """
    held: list[ContextCounts] = []
    for part in parts:
        held.append(part)
        rows = [len(counts.counts) for counts in held]
        if sum(rows) > 2 * rows[0] + ROWS:
            held = [_merge(held)]
    return _merge(held)


def clamp(counts: ContextCounts, positions: int) -> ContextCounts:
    """The counts with positions past the last of `positions` clamped to it, equal steps merged."""
    position, *columns = _columns(counts.steps)
    return _collect((np.minimum(position, positions - 1), *columns), counts.counts)


def shorten(counts: ContextCounts, order: int) -> ContextCounts:
    """The counts with contexts that show `order` characters of history, equal steps merged.

    Raises ValueError if they show less already.
    """
    if order > counts.order:
        raise ValueError(f"counts of order {counts.order} cannot be made to show {order}")
    position, *history, tokens = _columns(counts.steps)
    return _collect((position, *history[:order], tokens), counts.counts)


def select_steps(counts: ContextCounts, chosen: Flags) -> ContextCounts:
    """The counts of the chosen steps, (n,)."""
    contexts, tokens = counts.steps.contexts, counts.steps.tokens
    kept = Contexts(contexts.positions[chosen], contexts.history[chosen])
    return ContextCounts(Transitions(kept, tokens[chosen]), counts.counts[chosen])


def _columns(steps: Transitions) -> Columns:
    return (steps.contexts.positions, *steps.contexts.history.T, steps.tokens)


def _merge(parts: Sequence[ContextCounts]) -> ContextCounts:
    """Raises ValueError if there is no part."""
    columns = zip(*(_columns(part.steps) for part in parts), strict=True)
    return _collect(
        tuple(np.concatenate(column) for column in columns),
        np.concatenate([part.counts for part in parts]),
    )


def _collect(columns: Columns, counts: Counts) -> ContextCounts:
    """Rows of the columns that are equal become one with the sum of their counts; sorted."""
    sizes = [int(column.max(initial=0)) + 1 for column in columns]
    keys = _keys(columns, sizes)
    if math.prod(sizes) <= len(counts):
        # A table of all rows that there can be, as it is no longer than the columns.
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
    shown = np.array(history, dtype=np.intp).reshape(len(history), len(tokens)).T
    return ContextCounts(Transitions(Contexts(position, shown), tokens), counts)


def _keys(columns: Columns, sizes: list[int]) -> Ints:
    """A number for each row, the same for equal rows and in their order, (n,)."""
    if math.prod(sizes) <= MOST_KEYS:
        return np.ravel_multi_index(columns, sizes)
    # The rows have too many possible values: their rank among each other is the number.
    order = np.lexsort(columns[::-1])
    differs = [np.diff(column[order], prepend=-1) != 0 for column in columns]
    ranks = np.empty_like(order)
    ranks[order] = np.cumsum(np.logical_or.reduce(differs))
    return ranks
