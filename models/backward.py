"""The backward recursion: the log-probability of ending well from every state at every length.

It works with probabilities relative to the greatest of a length, which takes no exponential
for each step. Where they are too small for that it works with logarithms: at low temperatures
and long lengths the probability of ending well from an improbable state is far below the
smallest float.
"""

from collections.abc import Sequence

import numpy as np

from models.arrays import Floats, Ints
from models.chain import FLOOR, LEAST, Chain, StepWeights, log_sum_exp
from models.product import Product
from models.suffixes import START

CELLS_SHARED = 2**22  # of steps, 32 MB, that positions past the last one share


class Backward:
    """The recursion over the lengths, from the longest to the shortest.

    layers: the states after 0, 1, ..., max_length characters, and none after one more
    """

    def __init__(
        self, chain: Chain, product: Product, layers: Sequence[Ints], min_length: int
    ) -> None:
        self._chain, self._product, self._layers = chain, product, layers
        self._min_length = min_length
        self._weights = StepWeights(chain)
        self._shared: dict[int, tuple[Floats, Floats]] = {}  # start of a part -> its steps
        # Of ending well from each state after a step, (states + 1,): the logarithm, and the
        # probability relative to the greatest, which is zero only where it is impossible.
        self._logs = np.full(len(product) + 1, -np.inf)
        self._shares = np.zeros(len(product) + 1)

    def endings(self) -> list[Floats]:
        """The log-probabilities of ending well from the states of each layer."""
        endings = [np.empty(0)] * len(self._layers)
        for length in reversed(range(len(self._layers) - 1)):
            endings[length] = self.step(length, endings[length + 1])
        return endings

    def step(self, length: int, after: Floats) -> Floats:
        """Those of the states after so many characters, given those of the next layer."""
        layer, later = self._layers[length : length + 2]
        if layer is not later:
            self._shared.clear()
        self._logs[later] = after
        self._logs[START] = 0.0 if length >= self._min_length else -np.inf
        peak = max(float(after.max(initial=-np.inf)), float(self._logs[START]))
        ending = np.full(len(layer), -np.inf)
        if peak > -np.inf:
            self._shares[later] = _shares(after - peak)
            self._shares[START] = _shares(self._logs[START] - peak)
            for part in self._chain.parts(stop=len(layer)):
                ending[part] = self._part(length, part, peak)
        self._logs[later] = -np.inf
        self._shares[later] = 0.0
        return ending

    def _part(self, length: int, part: slice, peak: float) -> Floats:
        states = self._layers[length][part]
        after = self._product.successors[states].astype(np.intp)  # which take() is fast with
        rows, totals = self._steps(length, part)
        joint: Floats = np.einsum("ij,ij->i", rows, self._shares.take(after))
        with np.errstate(divide="ignore"):
            ending: Floats = np.log(joint / totals) + peak
        small = np.flatnonzero((totals < LEAST) | ((joint < LEAST) & (joint > 0.0)))
        if len(small):
            chain_states = self._product.chain_states[states[small]]
            logs = self._chain.log_probabilities(length, chain_states)
            ending[small] = log_sum_exp(logs + self._logs.take(after[small]))
        return ending

    def _steps(self, length: int, part: slice) -> tuple[Floats, Floats]:
        """The weights of the steps from states of a layer, (n, tokens), and their sums, (n,)."""
        past = length >= self._chain.positions - 1
        if past and part.start in self._shared:
            return self._shared[part.start]
        layer = self._layers[length]
        rows = self._weights.rows(length, self._product.chain_states[layer[part]])
        steps = rows, np.einsum("ij->i", rows)
        if past and len(layer) * rows.shape[1] <= CELLS_SHARED:
            self._shared[part.start] = steps
        return steps


def _shares(logs: Floats) -> Floats:
    """exp(logs), but zero for -inf alone."""
    shares: Floats = np.where(logs > -np.inf, np.maximum(np.exp(logs), FLOOR), 0.0)
    return shares
