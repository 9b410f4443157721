"""The weights compiled into a Markov chain: the state is the known end of the name so far.

What comes next depends on the state and on the place, which is the position and maybe
a part of the state: the logits are a row for the state plus a row for the place.
"""

from collections.abc import Iterable, Iterator
from dataclasses import replace
from functools import cached_property
from typing import TypeAlias

import numpy as np

from models.arrays import Floats, Ints, array_dataclass
from models.linear import LinearModel
from models.suffixes import START, Suffixes
from models.transitions import Transitions
from models.vocabulary import Vocabulary

States: TypeAlias = Ints | slice | int

CELLS = 2**17  # of a table, worked on at once: as many as a processor's cache holds
TABLED = 2**20  # log-probabilities, 8 MB, that are looked up whole rather than added up anew


@array_dataclass
class Chain:
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
    """

    suffixes: Suffixes
    places: Ints
    of_states: Floats
    of_places: Floats
    vocabulary: Vocabulary
    temperature: float = 1.0
    top_k: int | None = None

    @property
    def positions(self) -> int:
        """How many positions the chain tells apart."""
        return len(self.places)

    def at(self, temperature: float, top_k: int | None) -> "Chain":
        """The chain with its logits divided by a temperature and cut to the top k."""
        if (temperature, top_k) == (self.temperature, self.top_k):
            return self  # and the normalizers that are known already
        return replace(self, temperature=temperature, top_k=top_k)

    def logits(self, position: int, states: States) -> Floats:
        """Logits of the next token at a position, (..., tokens) for states (...)."""
        place = self.places[min(position, self.positions - 1), states]
        logits: Floats = self.of_states[states] + self.of_places[place]
        if self.temperature != 1.0:
            logits /= self.temperature
        if self.top_k is not None and self.top_k < logits.shape[-1]:
            least = np.partition(logits, -self.top_k, axis=-1)[..., -self.top_k]
            logits[logits < least[..., np.newaxis]] = -np.inf
        return logits

    def log_probabilities(self, position: int, states: States) -> Floats:
        """Log-probabilities of the next token at a position, (..., tokens) for states (...)."""
        normalizers = self.log_normalizers[min(position, self.positions - 1), states]
        likelihoods = self.logits(position, states)
        likelihoods -= normalizers[..., np.newaxis]
        return likelihoods

    @cached_property
    def log_normalizers(self) -> Floats:
        """log(sum(exp(logits))), (positions, states)."""
        normalizers = np.empty(self.places.shape)
        for position in range(self.positions):
            for part in self.parts():
                normalizers[position, part] = log_sum_exp(self.logits(position, part))
        return normalizers

    def step_log_likelihoods(self, positions: Ints | int, states: Ints, tokens: Ints) -> Floats:
        """Log-probability of each of n steps, (n,), none of which top_k has cut off."""
        positions = np.minimum(positions, self.positions - 1)
        likelihoods: Floats
        if self._table is not None:
            height, width = self.of_states.shape
            likelihoods = self._table.take((positions * height + states) * width + tokens)
        else:
            places = self.places[positions, states]
            logits = self.of_states[states, tokens] + self.of_places[places, tokens]
            likelihoods = logits / self.temperature - self.log_normalizers[positions, states]
        return likelihoods

    def log_likelihoods(self, steps: Transitions) -> Floats:
        """The same of transitions, whose history tells the states."""
        states = self.suffixes.locate(steps.contexts.history)
        return self.step_log_likelihoods(steps.contexts.positions, states, steps.tokens)

    @cached_property
    def _table(self) -> Floats | None:
        """All log-probabilities, (positions, states, tokens), if they are few."""
        if self.positions * self.of_states.size > TABLED:
            return None
        everything = slice(None)
        return np.array([self.log_probabilities(p, everything) for p in range(self.positions)])

    def walk(self, tokens: Iterable[int]) -> Iterator[tuple[int, int, int]]:
        """Where a name takes each of its tokens, the first ones of one: position, state, token."""
        state = START
        for position, token in enumerate(tokens):
            yield position, state, token
            state = int(self.suffixes.successors[state, token])

    def parts(self, stop: int | None = None) -> Iterator[slice]:
        """The states, or the indices of some, in parts that fit a processor's cache."""
        states, tokens = self.of_states.shape
        stop, height = states if stop is None else stop, max(1, CELLS // tokens)
        return (slice(at, min(at + height, stop)) for at in range(0, stop, height))


def compile_chain(model: LinearModel) -> Chain:
    """The chain that moves exactly as the model predicts, from START to the end of a name."""
    places = model.layout.places
    return Chain(places.suffixes, places.table, model.of_states, model.of_places, model.vocabulary)


def log_sum_exp(values: Floats) -> Floats:
    """log(sum(exp(values))) over the last axis; -inf where all values are."""
    peak = values.max(axis=-1, keepdims=True)
    peak[peak == -np.inf] = 0.0
    with np.errstate(divide="ignore"):
        total: Floats = np.log(np.exp(values - peak).sum(axis=-1, keepdims=True)) + peak
    return total[..., 0]
