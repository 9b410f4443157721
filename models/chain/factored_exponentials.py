"""Exponentials of logits, computed as products of two factors, and the log-sum-exp."""

import numpy as np

from models.arrays import Floats, Ints

MIN_FACTOR = 1e-100  # smaller factors are raised to it, so that no product of three is zero
MIN_EXACT_SUM = 1e-80  # raising factors to MIN_FACTOR changes no digit of a sum of at least this
MAX_FACTOR_CELLS = 2**22  # 32 MB of state factors; larger tables are recomputed at each call


class FactoredExponentials:
    """exp(logits / temperature) of the transitions of a chain, up to a scale for each row.

    The logits of the next token are a row of the state plus a row of the position context, so
    the exponentials are a product of two factors. Each factor is computed once, relative to the
    greatest of its row. Sums over a row are exact to the last digits if they are at least
    MIN_EXACT_SUM.
    """

    def __init__(self, state_logits: Floats, position_logits: Floats, temperature: float) -> None:
        self._state_logits, self._temperature = state_logits, temperature
        self._keeps_factors = state_logits.size <= MAX_FACTOR_CELLS
        kept_logits = state_logits if self._keeps_factors else state_logits[:0]
        self._state_factors, _ = _exponentials(kept_logits, temperature)
        self._position_factors, self._position_peaks = _exponentials(position_logits, temperature)

    def state_factors(self, states: Ints) -> Floats:
        """Return the factors of n states, (n, tokens)."""
        if self._keeps_factors:
            factors: Floats = self._state_factors.take(states, axis=0)
            return factors
        return _exponentials(self._state_logits[states], self._temperature)[0]

    def products(self, contexts: Ints, state_factors: Floats) -> Floats:
        """Return the exponentials, (n, tokens), from n position contexts and n state factors."""
        products: Floats = self._position_factors.take(contexts.astype(np.intp), axis=0)
        products *= state_factors
        return products

    def log_sums(self, sums: Floats, states: Ints, contexts: Ints) -> Floats:
        """Return the logarithms of the sums of n rows, with their scales, (n,)."""
        peaks = self._state_logits[states].max(axis=-1) / self._temperature
        logs: Floats = np.log(sums) + peaks + self._position_peaks[contexts]
        return logs


def _exponentials(logits: Floats, temperature: float) -> tuple[Floats, Floats]:
    """Return exp((logits - peak) / temperature), and peak / temperature of each row."""
    peaks = logits.max(axis=-1)
    exponentials = logits - peaks[:, np.newaxis]
    exponentials /= temperature
    np.exp(exponentials, out=exponentials)
    np.maximum(exponentials, MIN_FACTOR, out=exponentials)
    return exponentials, peaks / temperature


def log_sum_exp(values: Floats) -> Floats:
    """Return log(sum(exp(values))) over the last axis; -inf if all values are -inf.

    >>> log_sum_exp(np.array([[-1000.0, -1000.0], [0.0, -np.inf]])).round(3).tolist()
    [-999.307, 0.0]
    """
    peak = values.max(axis=-1, keepdims=True)
    peak[peak == -np.inf] = 0.0
    with np.errstate(divide="ignore"):
        total: Floats = np.log(np.exp(values - peak).sum(axis=-1, keepdims=True)) + peak
    return total[..., 0]
