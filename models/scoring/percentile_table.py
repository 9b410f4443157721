"""Percentile table: the distribution of the log-likelihoods of names, for each length.

Long names are less probable than short ones, whatever their characters, so a name is compared with
names of its own length. For each length the table has a quantile grid: log-likelihoods and the
percentiles of the chain's names of this length that have them.
"""

import numpy as np

from models.arrays import Floats, Ints, array_dataclass
from models.lazy_property import lazy

MAX_TABLE_LENGTH = 256  # characters of the longest names with a distribution of their own
GRID_SIZE = 256  # log-likelihoods of a length
NEGLIGIBLE = 1e-300  # relative to the greatest weight: log-likelihoods below it are left out


def round_to_float32(log_likelihoods: Floats) -> Floats:
    """Return the values in the table's precision: those that differ by rounding become equal."""
    rounded: Floats = log_likelihoods.astype(np.float32).astype(np.float64)
    return rounded


@array_dataclass
class PercentileTable:
    """The distributions of the log-likelihoods of names of 1, 2, ... characters.

    grid: (lengths, GRID_SIZE, 2), log-likelihoods in ascending order and, beside each, the natural
        logarithm of the percentile: the share of names that are less probable, plus half the share
        of those that are equally probable

    Raises ValueError if the grid has another shape, another order or invalid values.
    """

    grid: Floats

    def __post_init__(self) -> None:
        if self.grid.shape[1:] != (GRID_SIZE, 2) or not len(self.grid):
            raise ValueError("the percentiles do not have the shape of a table")
        if not np.isfinite(self.grid).all() or (self.grid[..., 1] > 0).any():
            raise ValueError("the percentiles are not the logarithms of shares")
        if (np.diff(self.grid, axis=1) < 0).any():
            raise ValueError("the percentiles are out of order")

    @property
    def max_length(self) -> int:
        """The greatest length that has a distribution of its own."""
        return len(self.grid)

    def percentiles(self, log_likelihoods: Floats, lengths: Ints) -> Floats:
        """Return the percentiles of n names, from 0 to 1, (n,).

        A percentile is the share of names of the same length that are less probable, plus half the
        share of those that are equally probable. It increases with the log-likelihood. Its
        logarithm is interpolated between the points of the grid. Below the first one the
        percentile decreases like the probability of the name. Names that are longer than
        max_length are compared by their log-likelihood per character with names of max_length.
        The empty name has the percentile 0, and a log-likelihood of nan gives nan.

        >>> logs = np.linspace(np.log(0.01), 0, GRID_SIZE)  # of the shares
        >>> table = PercentileTable(np.array([np.column_stack([20 * logs, logs])]))
        >>> log_likelihoods = np.array([20 * np.log(0.5), 20 * np.log(0.01) - 1])
        >>> table.percentiles(log_likelihoods, lengths=np.array([1, 1])).round(4)
        array([0.5   , 0.0037])
        """
        rows = np.minimum(lengths, self.max_length)
        scaled = log_likelihoods * ((rows + 1) / (lengths + 1))
        scaled, shares = round_to_float32(scaled), np.zeros(len(lengths))
        for row in np.unique(rows[rows > 0]):
            names = np.flatnonzero(rows == row)
            likelihoods, logs = self._columns[row - 1]
            below = np.minimum(scaled[names] - likelihoods[0], 0.0)
            shares[names] = np.exp(np.interp(scaled[names], likelihoods, logs) + below)
        return shares

    @lazy
    def _columns(self) -> Floats:
        """The grid in the memory order of interpolation, (lengths, 2, GRID_SIZE)."""
        return np.ascontiguousarray(self.grid.swapaxes(1, 2))


def quantile_grid(log_likelihoods: Floats, log_weights: Floats) -> Floats:
    """Return the grid of n weighted log-likelihoods, (GRID_SIZE, 2); ties count half."""
    values, weights = round_to_float32(log_likelihoods), np.exp(log_weights - log_weights.max())
    significant = weights > NEGLIGIBLE  # a weight of zero has no logarithm
    values, weights = values[significant], weights[significant]
    order = _ascending(values)
    values, weights = values[order], weights[order]
    first = np.flatnonzero(np.diff(values, prepend=-np.inf))  # of equal values
    values, weights = values[first], np.add.reduceat(weights, first)
    sums = weights.cumsum()
    logs = np.log((sums - weights / 2) / sums[-1])
    points = _grid_points(logs) if len(logs) > GRID_SIZE else np.arange(len(logs))
    points = np.pad(points, (0, GRID_SIZE - len(points)), mode="edge")
    return np.column_stack([values[points], logs[points]])


def _ascending(values: Floats) -> Ints:
    """Return the ascending order of float32 values <= 0, (n,), by a radix sort of half words.

    Without the sign, the bits of a float are in the order of its magnitude.
    """
    halves = np.abs(values).astype("<f4").view("<u2").reshape(-1, 2)  # the lower half first
    order: Ints = np.lexsort(halves.T)[::-1]
    return order


def _grid_points(logs: Floats) -> Ints:
    """Return the indices of at most GRID_SIZE points out of n ascending logarithms of shares.

    The points are closer together where the share increases faster, or, for the tail, where
    its logarithm does. A jump has a point before it and one after it.
    """
    height = 4 * np.exp(logs) - logs / logs[0]  # 4 by the share, 1 by its logarithm
    targets = np.linspace(height[0], height[-1], GRID_SIZE // 2)
    before = np.searchsorted(height, targets, side="right") - 1
    points: Ints = np.unique([before, np.minimum(before + 1, len(logs) - 1)])
    return points
