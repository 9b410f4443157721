"""Weights of repeated names, with which a converged model does not memorise frequent names.

A list of customers repeats a few names thousands of times. A model that is fitted to these counts
predicts the frequent names well and new names badly. So a name that occurs n times has a weight in
proportion to n^0.5, between the list of distinct names (n^0) and the list as it is (n^1). The table
counts of a Pitman-Yor process grow in a similar way (Goldwater, Griffiths and Johnson, 2006).
"""

from dataclasses import replace

import numpy as np

from models.arrays import Flags, Floats, array_dataclass
from models.counts.context_counts import ContextCounts, clamp, select_transitions, shorten
from models.counts.flow_decomposition import Paths, decompose

EXPONENT = 0.5  # of the number of occurrences


@array_dataclass
class WeightedNames:
    """Distinct names that explain the counts of a list, with their weights.

    counts: of the list, at positions that are not clamped
    paths: the names, found by flow decomposition
    weights: (names,), 1 on average, so that repeating the whole list changes nothing
    order, positions: the history and the number of positions of the counts that `select` returns
    """

    counts: ContextCounts
    paths: Paths
    weights: Floats
    order: int
    positions: int

    @classmethod
    def of(cls, counts: ContextCounts, order: int, positions: int) -> "WeightedNames":
        """Return the weighted names of counts at positions that are not clamped."""
        paths = decompose(counts)
        weights = paths.sizes**EXPONENT
        return cls(counts, paths, weights / weights.mean(), order, positions)

    def __len__(self) -> int:
        """The number of distinct names."""
        return len(self.paths)

    def select(self, selected: Flags) -> ContextCounts:
        """Return the weighted counts of the selected names, (names,)."""
        total = self.paths.counts(self.weights * selected, len(self.counts.counts))
        counts = select_transitions(replace(self.counts, counts=total), total > 0)
        return shorten(clamp(counts, self.positions), self.order)

    @property
    def all(self) -> ContextCounts:
        """The weighted counts of all names."""
        return self.select(np.ones(len(self), dtype=bool))
