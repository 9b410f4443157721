"""Backward recursion: log-probabilities of satisfying the constraints, by state and length.

It uses probabilities relative to the greatest one of a length, so that no exponential is
computed for each step. Where they are too small for a float, as at low temperatures and long
lengths from improbable states, it uses logarithms.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from models.arrays import Floats, Ints
from models.chain.markov_chain import FLOOR, LEAST, MarkovChain, TransitionWeights, log_sum_exp
from models.chain.product import Product
from models.counts.context_trie import START

CELLS_SHARED = 2**21  # of a layer whose shared arrays are kept, 50 MB; of more they are not


@dataclass(eq=False)
class _Part:
    """Some states of a layer, and the arrays that all lengths with this layer share.

    after: (n, tokens), the successors of the states
    chain_states: (n,), the states of the chain
    factors: (n, tokens), the factors of the step weights that depend on the state alone
    steps: the step weights from the last position on, (n, tokens), and their sums, (n,)
    """

    after: Ints
    chain_states: Ints
    factors: Floats
    steps: tuple[Floats, Floats] | None = None


class Backward:
    """The recursion over the lengths, from the longest to the shortest.

    layers: the states after 0, 1, ..., max_length characters, and none after one more
    """

    def __init__(
        self, chain: MarkovChain, product: Product, layers: Sequence[Ints], min_length: int
    ) -> None:
        self._chain, self._product, self._layers = chain, product, layers
        self._min_length = min_length
        self._weights = TransitionWeights(chain)
        self._layer = layers[-1]  # whose parts are kept, by their starts
        self._shared: dict[int, _Part] = {}
        # Of satisfying the constraints from each state after a step, (states + 1,): the logarithm
        # and the probability relative to the greatest, which is zero only where it is impossible.
        self._logs = np.full(len(product) + 1, -np.inf)
        self._shares = np.zeros(len(product) + 1)
        self._peak = 0.0  # the logarithm of the greatest

    def endings(self) -> list[Floats]:
        """The log-probabilities of satisfying the constraints from the states of each layer."""
        endings = [np.empty(0)] * len(self._layers)
        for length in reversed(range(len(self._layers) - 1)):
            endings[length] = self.step(length, endings[length + 1])
        return endings

    def step(self, length: int, after: Floats) -> Floats:
        """The log-probabilities of a layer, given those of the next one."""
        layer, later = self._layers[length : length + 2]
        if layer is not self._layer:
            self._shared, self._layer = {}, layer
        self._logs[later] = after
        self._logs[START] = 0.0 if length >= self._min_length else -np.inf
        peak = self._peak = max(float(after.max(initial=-np.inf)), float(self._logs[START]))
        log_beta = np.full(len(layer), -np.inf)
        if peak > -np.inf:
            self._shares[later] = _shares(after - peak)
            self._shares[START] = _shares(self._logs[START] - peak)
            for part in self._chain.parts(stop=len(layer)):
                log_beta[part] = self._ending(length, self._part(layer, part)) + peak
        self._logs[later] = -np.inf
        self._shares[later] = 0.0
        return log_beta

    def _part(self, layer: Ints, part: slice) -> _Part:
        if part.start in self._shared:
            return self._shared[part.start]
        states = layer[part]
        chain_states = self._product.in_chain(states).astype(np.intp)
        after = self._product.after(states).astype(np.intp)  # which take() is fast with
        some = _Part(after, chain_states, self._weights.state_factors(chain_states))
        if len(layer) * after.shape[1] <= CELLS_SHARED:
            self._shared[part.start] = some
        return some

    def _ending(self, length: int, part: _Part) -> Floats:
        """The logarithms of probabilities relative to the greatest after a step."""
        rows, totals = self._steps(length, part)
        joint: Floats = np.einsum("ij,ij->i", rows, self._shares.take(part.after))
        with np.errstate(divide="ignore"):
            log_beta: Floats = np.log(joint / totals)
        small = np.flatnonzero((totals < LEAST) | ((joint < LEAST) & (joint > 0.0)))
        if len(small):
            logs = self._chain.log_probabilities(length, part.chain_states[small])
            log_beta[small] = log_sum_exp(logs + self._logs.take(part.after[small])) - self._peak
        return log_beta

    def _steps(self, length: int, part: _Part) -> tuple[Floats, Floats]:
        """The weights of the steps, (n, tokens), and their sums, (n,)."""
        past = length >= self._chain.positions - 1
        if past and part.steps:
            return part.steps
        rows = self._weights.rows(length, part.chain_states, part.factors)
        steps = rows, np.einsum("ij->i", rows)
        if past:
            part.steps = steps
        return steps


def _shares(logs: Floats) -> Floats:
    """exp(logs), but zero for -inf alone."""
    shares: Floats = np.where(logs > -np.inf, np.maximum(np.exp(logs), FLOOR), 0.0)
    return shares
