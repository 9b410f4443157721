"""Weights of repeated names: what a converged model is fitted to, so that it does not memorise.

A list of customers has the same name thousands of times. Taken as it is, a few names are most
of the data, and a model that predicts these well predicts new names badly. So a name that occurs
n times weighs n^0.5. The power is between 0, the list of distinct names, and 1, the list as it
is; the table counts of a Pitman-Yor process grow in a similar way (Goldwater, Griffiths and
Johnson, 2006).
"""

from dataclasses import replace

import numpy as np

from models.arrays import Flags, Floats, array_dataclass
from models.counts.context_counts import ContextCounts, clamp, select_transitions, shorten
from models.counts.flow_decomposition import Paths, decompose

POWER = 0.5


@array_dataclass
class WeightedNames:
    """Names that have the counts, and the weight of each.

    weights: (names,), 1 on average, so that repeating a list as a whole changes nothing
    order, positions: the history and the number of positions that `some` counts
    """

    counts: ContextCounts
    paths: Paths
    weights: Floats
    order: int
    positions: int

    @classmethod
    def of(cls, counts: ContextCounts, order: int, positions: int) -> "WeightedNames":
        """The names of counts at positions that are not clamped."""
        paths = decompose(counts)
        weights = paths.sizes**POWER
        return cls(counts, paths, weights / weights.mean(), order, positions)

    def __len__(self) -> int:
        """The number of distinct names."""
        return len(self.paths)

    def some(self, chosen: Flags) -> ContextCounts:
        """The weighted counts of the chosen names, (names,)."""
        total = self.paths.counts(self.weights * chosen, len(self.counts.counts))
        some = select_transitions(replace(self.counts, counts=total), total > 0)
        return shorten(clamp(some, self.positions), self.order)

    @property
    def all(self) -> ContextCounts:
        """The weighted counts of all names."""
        return self.some(np.ones(len(self), dtype=bool))
