"""Tied rows: rows of the weights that are always switched on together are fitted as one.

A suffix that is seen once is switched on by the same context as the longer suffix around it.
The gradients of such rows are equal, so at the optimum of an L2-penalised fit their weights are
inversely proportional to their penalties. Their sum is one weight with a smaller penalty, and
fitting the sums alone has the same optimum.
"""

import numpy as np

from models.arrays import Floats, Ints, Weights, array_dataclass
from models.linear.features import Inputs


@array_dataclass
class TiedRows:
    """Groups of rows that are fitted as one.

    of_rows: (rows,), the group of each row
    shares: (rows,), the share that each row has of the weights of its group
    penalties: (groups,), the L2 weight of the sum
    """

    of_rows: Ints
    shares: Floats
    penalties: Floats

    @classmethod
    def of(cls, inputs: Inputs, penalties: Floats) -> "TiedRows":
        """The groups for n inputs, of rows with these L2 weights, (rows,).

        Only rows of one-hots are tied. Rows are compared by the sums of random hashes of their
        inputs: two that differ are taken for equal with a probability of about 2^-64.
        """
        rows, values = inputs
        numbers = np.iinfo(np.uint64).max
        hashes = np.random.default_rng(0).integers(numbers, size=len(rows), dtype=np.uint64)
        sums = np.zeros(len(penalties), dtype=np.uint64)
        for row, value in zip(rows.T, values.T, strict=True):
            np.add.at(sums, row[value != 0], hashes[value != 0])
        several = np.unique(rows[(values != 0) & (values != 1)])
        sums[several] = numbers - several.astype(np.uint64)
        of_rows = np.unique(sums, return_inverse=True)[1]
        looseness = np.bincount(of_rows, 1 / penalties)
        return cls(of_rows, 1 / penalties / looseness[of_rows], 1 / looseness)

    def tie(self, inputs: Inputs) -> Inputs:
        """The same inputs by groups, sorted; a group is on once, not once for each of its rows."""
        rows, values = self.of_rows[inputs[0]], inputs[1].copy()
        for at in range(1, rows.shape[1]):
            again = (rows[:, :at] == rows[:, at : at + 1]) & (values[:, :at] != 0)
            values[again.any(axis=1), at] = 0.0
        order = np.argsort(rows, axis=1)
        return np.take_along_axis(rows, order, axis=1), np.take_along_axis(values, order, axis=1)

    def expand(self, weights: Weights) -> Weights:
        """Weights (groups, ...) of the sums -> (rows, ...)."""
        expanded: Weights = weights[self.of_rows] * self.shares[:, np.newaxis].astype(np.float32)
        return expanded
