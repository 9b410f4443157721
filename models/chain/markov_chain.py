"""Markov chain over the characters of a name, compiled from the weights of a linear model.

A state is a node of the context trie: the longest known suffix of the name so far. The logits of
the next token are a row of the state plus a row of the position context, which is the position,
alone or with a suffix.
"""

from collections.abc import Iterable, Iterator
from dataclasses import replace
from typing import TypeAlias

import numpy as np

from models.arrays import Floats, Ints, array_dataclass
from models.chain.factored_exponentials import MIN_EXACT_SUM, FactoredExponentials, log_sum_exp
from models.counts.context_trie import START, ContextTrie
from models.counts.transitions import Transitions
from models.linear.model import LinearModel
from models.text.vocabulary import Vocabulary

States: TypeAlias = Ints | slice | int

CACHE_CELLS = 2**17  # of a table that are processed at once: they fit a processor's cache
MAX_CACHED_CELLS = 2**20  # log-probabilities, 8 MB: up to this many are cached


@array_dataclass
class MarkovChain:
    """A Markov chain over the characters of a name.

    trie: the states and the next states
    position_context_table: (positions, states), the position context of each state at each
        position; later positions use the last row
    state_logits: (states, tokens), the part of the logits that depends on the state
    position_logits: (position contexts, tokens), the part that depends on the position context
    vocabulary: the characters of the tokens
    temperature: divides the logits
    top_k: only the k most probable tokens, and ties with the last of them, can follow; None for
        all
    cached_normalizers: log(sum(exp(logits))), (positions, states); None to compute them for
        each call
    cached_log_probabilities: (positions, states, tokens); None if there are too many

    The cached arrays are those of temperature 1 without top_k; `at` drops them.
    """

    trie: ContextTrie
    position_context_table: Ints
    state_logits: Floats
    position_logits: Floats
    vocabulary: Vocabulary
    temperature: float = 1.0
    top_k: int | None = None
    cached_normalizers: Floats | None = None
    cached_log_probabilities: Floats | None = None

    @property
    def positions(self) -> int:
        """The number of positions with distributions of their own."""
        return len(self.position_context_table)

    def factored_exponentials(self) -> FactoredExponentials:
        """Return the exponentials of the logits, computed at each call."""
        return FactoredExponentials(self.state_logits, self.position_logits, self.temperature)

    def at(self, temperature: float, top_k: int | None) -> "MarkovChain":
        """Return the chain with another temperature and top_k; returns self if nothing changes."""
        if (temperature, top_k) == (self.temperature, self.top_k):
            return self
        return replace(
            self,
            temperature=temperature,
            top_k=top_k,
            cached_normalizers=None,
            cached_log_probabilities=None,
        )

    def logits(self, position: Ints | int, states: States) -> Floats:
        """Return the logits of the next token at a position, (..., tokens) for states (...)."""
        contexts = self.position_context_table[np.minimum(position, self.positions - 1), states]
        logits: Floats = self.state_logits[states] + self.position_logits[contexts]
        if self.temperature != 1.0:
            logits /= self.temperature
        if self.top_k is not None and self.top_k < logits.shape[-1]:
            least = np.partition(logits, -self.top_k, axis=-1)[..., -self.top_k]
            np.copyto(logits, -np.inf, where=logits < least[..., np.newaxis])
        return logits

    def unnormalized_probabilities(
        self,
        exponentials: FactoredExponentials,
        position: int,
        states: Ints,
        state_factors: Floats,
    ) -> Floats:
        """Return the probabilities of the next token, (n, tokens), up to a factor for each row.

        exponentials: those of this chain
        states: (n,)
        state_factors: (n, tokens), those of the states
        """
        contexts = self.position_context_table[min(position, self.positions - 1)].take(states)
        probabilities = exponentials.products(contexts, state_factors)
        if self.top_k is not None:
            probabilities *= self.logits(position, states) > -np.inf
        return probabilities

    def log_probabilities(self, position: int, states: States) -> Floats:
        """Return log-probabilities of the next token, (..., tokens) for states (...)."""
        log_probabilities = self.logits(position, states)
        if self.cached_normalizers is None:
            normalizers = log_sum_exp(log_probabilities)
        else:
            normalizers = self.cached_normalizers[min(position, self.positions - 1), states]
        log_probabilities -= normalizers[..., np.newaxis]
        return log_probabilities

    def log_probability(self, position: int, state: int, token: int) -> float:
        """Return the log-probability of a transition.

        It is bitwise equal to that of `transition_log_probabilities`.
        """
        if self.cached_normalizers is None:
            return float(self.log_probabilities(position, state)[token])
        position = min(position, self.positions - 1)
        context = self.position_context_table.item(position, state)
        logit = self.state_logits.item(state, token) + self.position_logits.item(context, token)
        normalizer = self.cached_normalizers.item(position, state)
        log_probability: float = logit - normalizer
        return log_probability

    def transition_log_probabilities(
        self, positions: Ints | int, states: Ints, tokens: Ints
    ) -> Floats:
        """Return the log-probabilities of n transitions, (n,), which top_k must not exclude."""
        positions = np.minimum(positions, self.positions - 1)
        if self.cached_log_probabilities is not None:
            height, width = self.state_logits.shape
            cells = (positions * height + states) * width + tokens
            log_probabilities: Floats = self.cached_log_probabilities.take(cells)
            return log_probabilities
        if self.cached_normalizers is not None:
            contexts = self.position_context_table[positions, states]
            logits = self.state_logits[states, tokens] + self.position_logits[contexts, tokens]
            normalized: Floats = logits - self.cached_normalizers[positions, states]
            return normalized
        log_probabilities = np.empty(len(states))
        for part in self.parts(stop=len(states)):
            rows = self.logits(positions[part] if positions.ndim else positions, states[part])
            chosen = rows[np.arange(len(rows)), tokens[part]]
            log_probabilities[part] = chosen - log_sum_exp(rows)
        return log_probabilities

    def log_probabilities_in_context(self, transitions: Transitions) -> Floats:
        """Return the log-probabilities of n transitions in their contexts, (n,)."""
        contexts = transitions.contexts
        states = self.trie.locate(contexts.history)
        return self.transition_log_probabilities(contexts.positions, states, transitions.tokens)

    def walk(self, tokens: Iterable[int]) -> Iterator[tuple[int, int, int]]:
        """Yield position, state and token of each transition of a name, or of a prefix."""
        state = START
        for position, token in enumerate(tokens):
            yield position, state, token
            state = int(self.trie.next_states[state, token])

    def parts(self, stop: int | None = None) -> Iterator[slice]:
        """Yield the states, or the indices below `stop`, in slices that fit a processor's cache."""
        states, tokens = self.state_logits.shape
        return row_parts(states if stop is None else stop, tokens)


def row_parts(rows: int, tokens: int) -> Iterator[slice]:
    """Yield the rows of a table, (rows, tokens), in slices that fit a processor's cache."""
    height = max(1, CACHE_CELLS // tokens)
    return (slice(start, min(start + height, rows)) for start in range(0, rows, height))


def bigram_chain(vocabulary: Vocabulary, logits: Floats) -> MarkovChain:
    """Return the chain in which the next token depends on the last one only.

    logits: (tokens, tokens), a row for each last token; row 0 is the start of a name
    """
    tokens = len(vocabulary)
    trie = ContextTrie(tokens, 1, np.empty((0, 2), dtype=np.intp))
    return MarkovChain(
        trie, np.zeros((1, tokens), np.intp), logits, np.zeros((1, tokens)), vocabulary
    )


def compile_chain(model: LinearModel) -> MarkovChain:
    """Return the chain with the probabilities of a model, from START to the end of a name.

    >>> from models.counts.context_counts import count
    >>> from models.counts.transitions import transitions
    >>> from models.linear.feature_map import FeatureMap
    >>> counts = count(transitions(Vocabulary("ab").encode(["ab"]), order=1))
    >>> feature_map = FeatureMap.from_counts("bigram", 3, 1, counts)
    >>> weights = np.array([[-9, 2, 0], [0, 0, 2], [2, 0, 0]], dtype=np.float32)  # like abab
    >>> chain = compile_chain(LinearModel(feature_map, Vocabulary("ab"), weights))
    >>> np.exp(chain.log_probabilities(position=1, states=1)).round(2).tolist()  # after a
    [0.11, 0.11, 0.79]
    """
    contexts = model.feature_map.position_contexts
    chain = MarkovChain(
        contexts.trie,
        contexts.table,
        model.state_logits,
        model.position_logits,
        model.vocabulary,
    )
    # Requests use the chain at its own temperature most often: its normalizers are cached.
    chain = replace(chain, cached_normalizers=log_normalizers(chain))
    if chain.positions * chain.state_logits.size > MAX_CACHED_CELLS:
        return chain
    table = [chain.log_probabilities(p, slice(None)) for p in range(chain.positions)]
    return replace(chain, cached_log_probabilities=np.array(table))


def log_normalizers(chain: MarkovChain) -> Floats:
    """Return log(sum(exp(logits))) at all positions, (positions, states)."""
    normalizers = np.empty(chain.position_context_table.shape)
    exponentials = chain.factored_exponentials()
    for part in chain.parts():
        states = np.arange(part.start, part.stop)
        factors = exponentials.state_factors(states)
        for position in range(chain.positions):
            unnormalized = chain.unnormalized_probabilities(exponentials, position, states, factors)
            sums = np.einsum("ij->i", unnormalized)
            logs = exponentials.log_sums(sums, states, chain.position_context_table[position, part])
            inexact = np.flatnonzero(sums < MIN_EXACT_SUM)
            if len(inexact):
                logs[inexact] = log_sum_exp(chain.logits(position, states[inexact]))
            normalizers[position, part] = logs
    return normalizers
