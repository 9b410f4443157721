"""How a name compares with the others of its length: a table of the log-likelihoods of each length.

Long names are less likely than short ones, whatever they are, so that a name is compared
with names of its own length. The table has, for each length, some log-likelihoods in
ascending order and what share of the names that a chain makes of this length are less likely.
"""

import numpy as np

from models.arrays import Floats, Ints, array_dataclass
from models.lazy import lazy

KNOTS = 256  # log-likelihoods that are tabled for a length
NEGLIGIBLE = (
    1e-300  # weight, relative to the greatest: a log-likelihood that weighs less is left out
)


def round_to_float32(log_likelihoods: Floats) -> Floats:
    """As exactly as the table has them: those that differ by rounding alone become equal."""
    rounded: Floats = log_likelihoods.astype(np.float32).astype(np.float64)
    return rounded


@array_dataclass
class PercentileTable:
    """The laws of the log-likelihoods of names of 1, 2, ... characters.

    knots: (lengths, KNOTS, 2), log-likelihoods in ascending order and, with each, the natural
        logarithm of the share of names that are less likely

    Raises ValueError if the knots are anything else.
    """

    knots: Floats

    def __post_init__(self) -> None:
        if self.knots.shape[1:] != (KNOTS, 2) or not len(self.knots):
            raise ValueError("the percentiles do not have the shape of a table")
        if not np.isfinite(self.knots).all() or (self.knots[..., 1] > 0).any():
            raise ValueError("the percentiles are not the logarithms of shares")
        if (np.diff(self.knots, axis=1) < 0).any():
            raise ValueError("the percentiles are out of order")

    @property
    def longest(self) -> int:
        """The greatest length that has a law of its own."""
        return len(self.knots)

    def of(self, log_likelihoods: Floats, lengths: Ints) -> Floats:
        """The share of the names of its length that are less likely than each of n names, (n,).

        Rises with the log-likelihood. Between knots its logarithm is interpolated; below
        the first it falls as the probability of the name does, which is the fastest that it
        can fall for long. Longer names than any of the table are compared with the longest
        of these by what they have a character. It is 0 for the name without characters.
        """
        rows = np.minimum(lengths, self.longest)
        scaled = log_likelihoods * ((rows + 1) / (lengths + 1))
        scaled, shares = round_to_float32(scaled), np.zeros(len(lengths))
        for row in np.unique(rows[rows > 0]):
            here = np.flatnonzero(rows == row)
            likelihoods, logs = self._laws[row - 1]
            below = np.minimum(scaled[here] - likelihoods[0], 0.0)
            shares[here] = np.exp(np.interp(scaled[here], likelihoods, logs) + below)
        return shares

    @lazy
    def _laws(self) -> Floats:
        """The knots for interpolation, (lengths, 2, KNOTS)."""
        return np.ascontiguousarray(self.knots.swapaxes(1, 2))


def quantile_grid(log_likelihoods: Floats, log_weights: Floats) -> Floats:
    """The knots of the distribution of n weighted log-likelihoods, (KNOTS, 2); ties count half."""
    values, weights = round_to_float32(log_likelihoods), np.exp(log_weights - log_weights.max())
    some = weights > NEGLIGIBLE  # a weight of zero has no logarithm
    values, weights = values[some], weights[some]
    order = _ascending(values)
    values, weights = values[order], weights[order]
    first = np.flatnonzero(np.diff(values, prepend=-np.inf))
    values, weights = values[first], np.add.reduceat(weights, first)
    sums = weights.cumsum()
    logs = np.log((sums - weights / 2) / sums[-1])
    chosen = _chosen(logs) if len(logs) > KNOTS else np.arange(len(logs))
    chosen = np.pad(chosen, (0, KNOTS - len(chosen)), mode="edge")
    return np.column_stack([values[chosen], logs[chosen]])


def _ascending(values: Floats) -> Ints:
    """The order of float32 values of 0 and less, (n,): a radix sort of the halves of their bits.

    Without the sign the bits of a float are in the order of its magnitude.
    """
    halves = np.abs(values).astype("<f4").view("<u2").reshape(-1, 2)  # the lower one first
    order: Ints = np.lexsort(halves.T)[::-1]
    return order


def _chosen(logs: Floats) -> Ints:
    """Which of the logarithms of shares become knots, at most KNOTS.

    They are closer together where the share rises, or its logarithm does, which is for the
    tail; where it jumps they are before and after the jump.
    """
    height = 4 * np.exp(logs) - logs / logs[0]  # to 4 by the share, of 1 by its logarithm
    targets = np.linspace(height[0], height[-1], KNOTS // 2)
    before = np.searchsorted(height, targets, side="right") - 1
    chosen: Ints = np.unique([before, np.minimum(before + 1, len(logs) - 1)])
    return chosen
