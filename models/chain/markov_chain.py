"""The weights compiled into a Markov chain: the state is the known end of the name so far.

What comes next depends on the state and on the place, which is the position and maybe
a part of the state: the logits are a row for the state plus a row for the place.
"""

from collections.abc import Iterable, Iterator
from dataclasses import replace
from typing import TypeAlias

import numpy as np

from models.arrays import Floats, Ints, array_dataclass
from models.counts.context_trie import START, ContextTrie
from models.counts.transitions import Transitions
from models.linear.model import LinearModel
from models.text.vocabulary import Vocabulary

States: TypeAlias = Ints | slice | int

CELLS = 2**17  # of a table, worked on at once: as many as a processor's cache holds
FLOOR = 1e-100  # of exponentials, so that products of three are above zero
FACTORS_KEPT = 2**22  # of these, 32 MB: more are computed anew at each position
LEAST = 1e-80  # of sums of such products: above it, raising terms to FLOOR changes no digit
TABLED = 2**20  # log-probabilities, 8 MB: up to this many are kept in a table


@array_dataclass
class MarkovChain:
    """A Markov chain over the characters of a name.

    suffixes: the states, and the successors they lead to
    places: (positions, states), the place in each state at each position; steps past the
        last position use the last one
    of_states: (states, tokens), what the state adds to the logits of the next token
    of_places: (places, tokens), what the place adds
    vocabulary: what the tokens stand for
    temperature: divides the logits
    top_k: the step is one of the so many likeliest, and of those as likely as the last
        of them; None for any
    kept_normalizers: log(sum(exp(logits))), (positions, states); None to compute them
        each time for the states in question
    kept_table: all log-probabilities, (positions, states, tokens); None where they are many
    """

    trie: ContextTrie
    position_contexts: Ints
    state_logits: Floats
    position_logits: Floats
    vocabulary: Vocabulary
    temperature: float = 1.0
    top_k: int | None = None
    cached_normalizers: Floats | None = None
    cached_log_probabilities: Floats | None = None

    @property
    def positions(self) -> int:
        """How many positions the chain tells apart."""
        return len(self.position_contexts)

    def at(self, temperature: float, top_k: int | None) -> "MarkovChain":
        """The chain with its logits divided by a temperature and cut to the top k."""
        if (temperature, top_k) == (self.temperature, self.top_k):
            return self  # with the normalizers that it keeps
        return replace(
            self,
            temperature=temperature,
            top_k=top_k,
            cached_normalizers=None,
            cached_log_probabilities=None,
        )

    def logits(self, position: Ints | int, states: States) -> Floats:
        """Logits of the next token at a position, (..., tokens) for states (...)."""
        place = self.position_contexts[np.minimum(position, self.positions - 1), states]
        logits: Floats = self.state_logits[states] + self.position_logits[place]
        if self.temperature != 1.0:
            logits /= self.temperature
        if self.top_k is not None and self.top_k < logits.shape[-1]:
            least = np.partition(logits, -self.top_k, axis=-1)[..., -self.top_k]
            np.copyto(logits, -np.inf, where=logits < least[..., np.newaxis])
        return logits

    def log_probabilities(self, position: int, states: States) -> Floats:
        """Log-probabilities of the next token at a position, (..., tokens) for states (...)."""
        likelihoods = self.logits(position, states)
        if self.cached_normalizers is None:
            normalizers = log_sum_exp(likelihoods)
        else:
            normalizers = self.cached_normalizers[min(position, self.positions - 1), states]
        likelihoods -= normalizers[..., np.newaxis]
        return likelihoods

    @property
    def log_normalizers(self) -> Floats:
        """log(sum(exp(logits))), (positions, states)."""
        return log_normalizers(self) if self.cached_normalizers is None else self.cached_normalizers

    def transition_log_probabilities(
        self, positions: Ints | int, states: Ints, tokens: Ints
    ) -> Floats:
        """Log-probability of each of n steps, (n,), none of which top_k has cut off."""
        positions = np.minimum(positions, self.positions - 1)
        likelihoods: Floats
        if self.cached_log_probabilities is not None:
            height, width = self.state_logits.shape
            likelihoods = self.cached_log_probabilities.take(
                (positions * height + states) * width + tokens
            )
        elif self.cached_normalizers is not None:
            position_contexts = self.position_contexts[positions, states]
            logits = (
                self.state_logits[states, tokens] + self.position_logits[position_contexts, tokens]
            )
            likelihoods = logits / self.temperature - self.cached_normalizers[positions, states]
        else:
            likelihoods = self._step_log_likelihoods(positions, states, tokens)
        return likelihoods

    def _step_log_likelihoods(self, positions: Ints, states: Ints, tokens: Ints) -> Floats:
        """The same, with normalizers of these steps alone."""
        likelihoods = np.empty(len(states))
        for part in self.parts(stop=len(states)):
            at = positions[part] if positions.ndim else positions
            rows = self.logits(at, states[part])
            chosen = rows[np.arange(len(rows)), tokens[part]]
            likelihoods[part] = chosen - log_sum_exp(rows)
        return likelihoods

    def log_probability(self, position: int, state: int, token: int) -> float:
        """Log-probability of one step, the same to the last digit as among many steps."""
        if self.cached_normalizers is None:
            return float(self.log_probabilities(position, state)[token])
        position = min(position, self.positions - 1)
        place = self.position_contexts.item(position, state)
        logit = self.state_logits.item(state, token) + self.position_logits.item(place, token)
        likelihood: float = logit / self.temperature - self.cached_normalizers.item(position, state)
        return likelihood

    def log_likelihoods(self, steps: Transitions) -> Floats:
        """The same of transitions, whose history tells the states."""
        states = self.trie.locate(steps.contexts.history)
        return self.transition_log_probabilities(steps.contexts.positions, states, steps.tokens)

    def walk(self, tokens: Iterable[int]) -> Iterator[tuple[int, int, int]]:
        """Where a name takes each of its tokens, the first ones of one: position, state, token."""
        state = START
        for position, token in enumerate(tokens):
            yield position, state, token
            state = int(self.trie.next_states[state, token])

    def parts(self, stop: int | None = None) -> Iterator[slice]:
        """The states, or the indices of some, in parts that fit a processor's cache."""
        states, tokens = self.state_logits.shape
        return parts(states if stop is None else stop, tokens)


def parts(rows: int, tokens: int) -> Iterator[slice]:
    """The rows of a table in parts that fit a processor's cache."""
    height = max(1, CELLS // tokens)
    return (slice(at, min(at + height, rows)) for at in range(0, rows, height))


def compile_chain(model: LinearModel) -> MarkovChain:
    """The chain that moves exactly as the model predicts, from START to the end of a name."""
    position_contexts = model.feature_map.position_contexts
    chain = MarkovChain(
        position_contexts.trie,
        position_contexts.table,
        model.state_logits,
        model.position_logits,
        model.vocabulary,
    )
    # Now, not when somebody waits for them; a chain at another temperature does without.
    chain = replace(chain, cached_normalizers=log_normalizers(chain))
    if chain.positions * chain.state_logits.size > TABLED:
        return chain
    everything = slice(None)
    table = [chain.log_probabilities(p, everything) for p in range(chain.positions)]
    return replace(chain, cached_log_probabilities=np.array(table))


def log_normalizers(chain: MarkovChain) -> Floats:
    """log(sum(exp(logits))), (positions, states)."""
    normalizers = np.empty(chain.position_contexts.shape)
    weights = TransitionWeights(chain)
    everything = np.arange(len(chain.state_logits))
    for part in chain.parts():
        factors = weights.state_factors(everything[part])
        for position in range(chain.positions):
            normalizers[position, part] = weights.log_sums(position, everything[part], factors)
    return normalizers


class TransitionWeights:
    """The exponentials of a chain's logits, up to a factor for each row.

    A logit is a sum of what the state and what the place add, so its exponential is a product
    of two: they are taken once for all positions. Exponentials below FLOOR are raised to it,
    so that no product of two is zero; sums of at least LEAST are exact to the last digits.
    """

    def __init__(self, chain: MarkovChain) -> None:
        self._chain = chain
        self._kept = chain.state_logits.size <= FACTORS_KEPT
        state_logits = chain.state_logits if self._kept else chain.state_logits[:0]
        self._of_states, _ = _exponentials(state_logits, chain.temperature)
        self._of_places, self._place_peaks = _exponentials(chain.position_logits, chain.temperature)

    def state_factors(self, states: Ints) -> Floats:
        """The factors of n states, (n, tokens)."""
        if self._kept:
            factors: Floats = self._of_states.take(states, axis=0)
            return factors
        return _exponentials(self._chain.state_logits[states], self._chain.temperature)[0]

    def rows(self, position: int, states: Ints, state_logits: Floats) -> Floats:
        """The weights of the next token, (n, tokens) for states (n,); 0 where top_k cuts.

        of_states: the factors of these states
        """
        chain = self._chain
        position_contexts = (
            chain.position_contexts[min(position, chain.positions - 1)].take(states).astype(np.intp)
        )
        rows: Floats = self._of_places.take(position_contexts, axis=0)
        rows *= state_logits
        if chain.top_k is not None:
            rows *= chain.logits(position, states) > -np.inf
        return rows

    def log_sums(self, position: int, states: Ints, state_logits: Floats) -> Floats:
        """log(sum(exp(logits))) of each of n states, (n,)."""
        chain = self._chain
        sums = np.einsum("ij->i", self.rows(position, states, state_logits))
        peaks = chain.state_logits[states].max(axis=-1) / chain.temperature
        logs: Floats = (
            np.log(sums) + peaks + self._place_peaks[chain.position_contexts[position, states]]
        )
        small = np.flatnonzero(sums < LEAST)
        if len(small):
            logs[small] = log_sum_exp(chain.logits(position, states[small]))
        return logs


def _exponentials(logits: Floats, temperature: float) -> tuple[Floats, Floats]:
    """exp((logits - peak) / temperature) or FLOOR, and the peak / temperature of each row."""
    peaks = logits.max(axis=-1)
    exponentials = logits - peaks[:, np.newaxis]
    exponentials /= temperature
    np.exp(exponentials, out=exponentials)
    np.maximum(exponentials, FLOOR, out=exponentials)
    return exponentials, peaks / temperature


def log_sum_exp(values: Floats) -> Floats:
    """log(sum(exp(values))) over the last axis; -inf where all values are."""
    peak = values.max(axis=-1, keepdims=True)
    peak[peak == -np.inf] = 0.0
    with np.errstate(divide="ignore"):
        total: Floats = np.log(np.exp(values - peak).sum(axis=-1, keepdims=True)) + peak
    return total[..., 0]
