"""The weights compiled into a Markov chain: the state is the known end of the name so far.

What comes next depends on the state and on the place, which is the position and maybe
a part of the state: the logits are a row for the state plus a row for the place.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import TypeAlias

import numpy as np

from models.arrays import Flags, Floats, Ints
from models.linear import LinearModel
from models.suffixes import Suffixes
from models.transitions import Transitions

States: TypeAlias = Ints | slice | int

CELLS = 2**17  # of a table, worked on at once: as many as a processor's cache holds


@dataclass(frozen=True, eq=False)  # arrays have no truth value to compare by
class Chain:
    """A Markov chain over the characters of a name.

    suffixes: the states, and the successors they lead to
    places: (positions, states), the place in each state at each position; steps past the
        last position use the last one
    of_states: (states, tokens), what the state adds to the logits of the next token
    of_places: (places, tokens), what the place adds
    spaces: (tokens,), whether a token is white space
    """

    suffixes: Suffixes
    places: Ints
    of_states: Floats
    of_places: Floats
    spaces: Flags

    @property
    def positions(self) -> int:
        """How many positions the chain tells apart."""
        return len(self.places)

    @cached_property
    def log_normalizers(self) -> Floats:
        """log(sum(exp(logits))), (positions, states)."""
        return self.normalizers(1.0, self.positions)

    def logits(self, position: int, states: States) -> Floats:
        """Logits of the next token at a position, (..., tokens) for states (...)."""
        place = self.places[min(position, self.positions - 1), states]
        logits: Floats = self.of_states[states] + self.of_places[place]
        return logits

    def log_likelihoods(self, steps: Transitions) -> Floats:
        """Log-probability of each of n steps, (n,)."""
        positions = np.minimum(steps.contexts.positions, self.positions - 1)
        states = self.suffixes.locate(steps.contexts.history)
        places = self.places[positions, states]
        logits = self.of_states[states, steps.tokens] + self.of_places[places, steps.tokens]
        likelihoods: Floats = logits - self.log_normalizers[positions, states]
        return likelihoods

    def parts(self, first: int = 0, stop: int | None = None) -> Iterator[slice]:
        """States from the first on, or indices of some, in parts that fit a processor's cache."""
        states, tokens = self.of_states.shape
        stop, height = states if stop is None else stop, max(1, CELLS // tokens)
        return (slice(at, min(at + height, stop)) for at in range(first, stop, height))

    def normalizers(self, temperature: float, positions: int) -> Floats:
        """log(sum(exp(logits / temperature))) at the first positions, (positions, states)."""
        normalizers = np.empty((positions, len(self.suffixes)))
        for position in range(positions):
            for part in self.parts():
                logits = self.logits(position, part)
                logits /= temperature
                normalizers[position, part] = log_sum_exp(logits)
        return normalizers


def compile_chain(model: LinearModel) -> Chain:
    """The chain that moves exactly as the model predicts, from START to the end of a name."""
    places, spaces = model.layout.places, np.array(model.vocabulary.spaces)
    return Chain(places.suffixes, places.table, model.of_states, model.of_places, spaces)


def log_sum_exp(values: Floats) -> Floats:
    """log(sum(exp(values))) over the last axis; -inf where all values are."""
    peak = values.max(axis=-1)
    peak[peak == -np.inf] = 0.0
    with np.errstate(divide="ignore"):
        total: Floats = np.log(np.exp(values - peak[..., np.newaxis]).sum(axis=-1)) + peak
    return total
