"""Weights of repeated names: what a converged model is fitted to, so that it does not memorise.

A list of customers has the same name thousands of times. Taken as it is, a few names are most
of the data, and whatever predicts these predicts no others. So a name that occurs n times
weighs n^0.5: between a list of distinct names (0) and the list as it is (1), as the table
counts of a Pitman-Yor process do (Goldwater, Griffiths and Johnson, 2006).
"""

from dataclasses import replace

import numpy as np

from models.arrays import Flags, Floats, array_dataclass
from models.counts import ContextCounts, clamp, select_steps, shorten
from models.flow import Paths, decompose

POWER = 0.5


@array_dataclass
class WeightedNames:
    """The names that counts are made of, and how much each weighs.

    weights: (names,), 1 on average: so a list that is repeated as a whole stays the same
    order, positions: what the counts of some of the names show
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
        some = select_steps(replace(self.counts, counts=total), total > 0)
        return shorten(clamp(some, self.positions), self.order)

    @property
    def all(self) -> ContextCounts:
        """The weighted counts of all names."""
        return self.some(np.ones(len(self), dtype=bool))
