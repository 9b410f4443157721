"""Backward recursion: log-probabilities of satisfying the constraints, by length and state.

This is the backward pass of the forward-backward algorithm, with scaling (Rabiner 1989): it uses
probabilities relative to the greatest of a length, so that it computes no exponential for each
transition. If they are too small for a float, as at low temperatures and great lengths from
improbable states, it uses logarithms.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from models.arrays import Floats, Ints
from models.chain.factored_exponentials import MIN_EXACT_SUM, MIN_FACTOR, log_sum_exp
from models.chain.markov_chain import MarkovChain
from models.chain.product import Product
from models.counts.context_trie import START

MAX_SHARED_CELLS = 2**21  # states times tokens of a layer whose arrays are shared, 50 MB


@dataclass(eq=False)
class _Part:
    """A part of the states of a layer, with the arrays shared by all lengths with this layer.

    next_states: (n, tokens)
    chain_states: (n,), the states of the chain
    state_factors: (n, tokens), the factors of the exponentials that depend on the state alone
    last_rows: unnormalised transition probabilities from the last position on, (n, tokens), and
        their sums, (n,)
    """

    next_states: Ints
    chain_states: Ints
    state_factors: Floats
    last_rows: tuple[Floats, Floats] | None = None


class BackwardRecursion:
    """The recursion over the lengths, from the longest to the shortest.

    layers: the states after 0, 1, ..., max_length characters, and an empty last layer
    """

    def __init__(
        self, chain: MarkovChain, product: Product, layers: Sequence[Ints], min_length: int
    ) -> None:
        self._chain, self._product, self._layers = chain, product, layers
        self._min_length = min_length
        self._exponentials = chain.factored_exponentials()
        self._layer = layers[-1]  # the layer of the shared parts
        self._shared: dict[int, _Part] = {}  # by the start of the part
        # log_beta: log-probability of satisfying the constraints after a transition to each
        # state, (states + 1,). scaled_beta: the same as a probability, divided by the greatest of
        # the layer; 0 only if it is impossible.
        self._log_beta = np.full(len(product) + 1, -np.inf)
        self._scaled_beta = np.zeros(len(product) + 1)
        self._scale = 0.0  # the logarithm of the greatest probability of the layer

    def log_betas(self) -> list[Floats]:
        """Return the log-probabilities of satisfying the constraints from each layer."""
        log_betas = [np.empty(0)] * len(self._layers)
        for length in reversed(range(len(self._layers) - 1)):
            log_betas[length] = self.log_beta(length, log_betas[length + 1])
        return log_betas

    def log_beta(self, length: int, next_log_beta: Floats) -> Floats:
        """Return the log-probabilities of the layer of a length, from those of the next layer."""
        layer, next_layer = self._layers[length : length + 2]
        if layer is not self._layer:
            self._shared, self._layer = {}, layer
        self._log_beta[next_layer] = next_log_beta
        self._log_beta[START] = 0.0 if length >= self._min_length else -np.inf
        scale = max(float(next_log_beta.max(initial=-np.inf)), float(self._log_beta[START]))
        self._scale = scale
        log_beta = np.full(len(layer), -np.inf)
        if scale > -np.inf:
            self._scaled_beta[next_layer] = _scaled(next_log_beta - scale)
            self._scaled_beta[START] = _scaled(self._log_beta[START] - scale)
            for part in self._chain.parts(stop=len(layer)):
                log_beta[part] = self._scaled_log_beta(length, self._part(layer, part)) + scale
        self._log_beta[next_layer] = -np.inf
        self._scaled_beta[next_layer] = 0.0
        return log_beta

    def _part(self, layer: Ints, part: slice) -> _Part:
        if part.start in self._shared:
            return self._shared[part.start]
        states = layer[part]
        chain_states = self._product.chain_states_of(states).astype(np.intp)
        next_states = self._product.next_states_of(states).astype(np.intp)  # take() needs no copy
        arrays = _Part(next_states, chain_states, self._exponentials.state_factors(chain_states))
        if len(layer) * next_states.shape[1] <= MAX_SHARED_CELLS:
            self._shared[part.start] = arrays
        return arrays

    def _scaled_log_beta(self, length: int, part: _Part) -> Floats:
        """Return log beta of the states of a part, minus the scale, (n,)."""
        rows, totals = self._unnormalized_rows(length, part)
        joint: Floats = np.einsum("ij,ij->i", rows, self._scaled_beta.take(part.next_states))
        with np.errstate(divide="ignore"):
            log_beta: Floats = np.log(joint / totals)
        inexact = (totals < MIN_EXACT_SUM) | ((joint < MIN_EXACT_SUM) & (joint > 0.0))
        inexact_rows = np.flatnonzero(inexact)
        if len(inexact_rows):
            logs = self._chain.log_probabilities(length, part.chain_states[inexact_rows])
            logs = logs + self._log_beta.take(part.next_states[inexact_rows])
            log_beta[inexact_rows] = log_sum_exp(logs) - self._scale
        return log_beta

    def _unnormalized_rows(self, length: int, part: _Part) -> tuple[Floats, Floats]:
        """Return unnormalised transition probabilities, (n, tokens), and their sums, (n,)."""
        is_last = length >= self._chain.positions - 1
        if is_last and part.last_rows:
            return part.last_rows
        rows = self._chain.unnormalized_probabilities(
            self._exponentials, length, part.chain_states, part.state_factors
        )
        with_sums = rows, np.einsum("ij->i", rows)
        if is_last:
            part.last_rows = with_sums
        return with_sums


def _scaled(logs: Floats) -> Floats:
    """Return exp(logs), at least MIN_FACTOR, but 0 for -inf."""
    scaled: Floats = np.where(logs > -np.inf, np.maximum(np.exp(logs), MIN_FACTOR), 0.0)
    return scaled
