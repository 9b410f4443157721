"""Tied rows: rows of the weights that occur in the same inputs are fitted as one.

A suffix that was seen once occurs in the same context as the longer suffixes that end in it. The
gradients of such rows are equal, so at the optimum of an L2-penalised fit their weights are
inversely proportional to their penalties. Their sum is one weight with a smaller penalty. Fitting
only the sums gives the same optimum.
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
        """Return the groups of rows with the given L2 weights, (rows,), in n inputs.

        Only one-hot rows are tied. Rows are compared by the sum of random hashes of their inputs,
        so two different rows are tied by mistake with a probability of about 2^-64.
        """
        rows, values = inputs
        max_hash = np.iinfo(np.uint64).max
        hashes = np.random.default_rng(0).integers(max_hash, size=len(rows), dtype=np.uint64)
        sums = np.zeros(len(penalties), dtype=np.uint64)
        for row, value in zip(rows.T, values.T, strict=True):
            np.add.at(sums, row[value != 0], hashes[value != 0])
        not_one_hot = np.unique(rows[(values != 0) & (values != 1)])
        sums[not_one_hot] = max_hash - not_one_hot.astype(np.uint64)
        of_rows = np.unique(sums, return_inverse=True)[1]
        inverse_penalties = np.bincount(of_rows, 1 / penalties)
        return cls(of_rows, 1 / penalties / inverse_penalties[of_rows], 1 / inverse_penalties)

    def tie(self, inputs: Inputs) -> Inputs:
        """Return the inputs with groups in place of rows, sorted.

        A group that occurs twice in an input keeps its value once.
        """
        rows, values = self.of_rows[inputs[0]], inputs[1].copy()
        for column in range(1, rows.shape[1]):
            before = rows[:, :column] == rows[:, column : column + 1]
            before &= values[:, :column] != 0
            values[before.any(axis=1), column] = 0.0
        order = np.argsort(rows, axis=1)
        return np.take_along_axis(rows, order, axis=1), np.take_along_axis(values, order, axis=1)

    def expand(self, weights: Weights) -> Weights:
        """Return weights of the groups, (groups, n), as weights of the rows, (rows, n)."""
        expanded: Weights = weights[self.of_rows] * self.shares[:, np.newaxis].astype(np.float32)
        return expanded
