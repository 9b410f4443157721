"""The counts are the data: how often each next character follows each distinct context.

A model that looks at the position and the last few characters has a loss, and so
every step of its training, that depends on the list through these counts alone.
"""

from dataclasses import dataclass

import numpy as np

from models.arrays import Ints
from models.transitions import Contexts, Transitions


@dataclass(frozen=True)
class ContextCounts:
    """The distinct steps of a list of names and how often each occurs, counts (n,)."""

    steps: Transitions
    counts: Ints

    @property
    def total(self) -> int:
        """The number of transitions in the list, ends of names included."""
        return int(self.counts.sum())


def count(steps: Transitions) -> ContextCounts:
    """Collect equal steps, sorted by position, history (nearest first) and token."""
    columns = (steps.contexts.positions, *steps.contexts.history.T, steps.tokens)
    shape = tuple(int(column.max(initial=0)) + 1 for column in columns)
    # One number for each step sorts many times faster than rows of columns.
    keys, counts = np.unique(np.ravel_multi_index(columns, shape), return_counts=True)
    distinct = np.array(np.unravel_index(keys, shape))
    contexts = Contexts(positions=distinct[0], history=distinct[1:-1].T)
    return ContextCounts(Transitions(contexts, distinct[-1]), counts)
