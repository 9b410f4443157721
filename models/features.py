"""What the linear layer may look at, and the named architectures that are lists of it.

A feature switches on rows of the weights, each with the value it is multiplied by: 1 for
a one-hot, 0 for what was never seen in training. It looks at the last characters or at
the place in the name; the layer's logits are the sum of all that is switched on.
"""

from dataclasses import dataclass
from functools import cached_property
from itertools import accumulate, pairwise
from typing import TypeAlias

import numpy as np

from models.arrays import Floats, Ints
from models.counts import ContextCounts
from models.places import Places
from models.suffixes import Suffixes, often
from models.transitions import Contexts

# For each of n states, or of n places: the rows it switches on, counted from the
# feature's first, (n, width), and their values, (n, width).
Inputs: TypeAlias = tuple[Ints, Floats]

POSITIONS = 23  # of the post: the clamp is at 22
MAX_POSITIONS = 256
MAX_TOKENS = 2**13
MAX_WEIGHTS = 2**22  # beyond those of the last character: 16 MB of a checkpoint


@dataclass(frozen=True)
class Last:
    """A one-hot of the last `length` characters, among the known suffixes."""

    length: int
    penalty = 1.0  # the L2 weight of the rows relative to those of other features

    @property
    def name(self) -> str:
        """What it looks at, in words."""
        return f"last {self.length}"

    def size(self, places: Places) -> int:
        """How many rows it has: one for each suffix of this length."""
        level = places.suffixes.levels[self.length - 1]
        return int(level.stop - level.start)

    def inputs(self, places: Places) -> Inputs:
        """The row that each state switches on."""
        first = places.suffixes.levels[self.length - 1].start
        return _one_hot(places.suffixes.ancestors[:, self.length - 1], first)


@dataclass(frozen=True)
class Position:
    """A one-hot of the position, and of the last `with_last` characters together with it.

    penalty: the L2 weight of the rows relative to those of other features
    """

    with_last: int = 0
    penalty: float = 1.0

    @property
    def name(self) -> str:
        """What it looks at, in words."""
        return f"position, last {self.with_last}" if self.with_last else "position"

    def size(self, places: Places) -> int:
        """How many rows it has: one for each position, or for each that a suffix is known at."""
        if not self.with_last:
            return places.positions
        block = places.block(self.with_last)
        return int(block.stop - block.start)

    def inputs(self, places: Places) -> Inputs:
        """The row that each place switches on."""
        if not self.with_last:
            return _one_hot(places.position, 0)
        states = places.ancestors[:, self.with_last - 1]
        return _one_hot(
            places.find_pairs(places.position, states), places.block(self.with_last).start
        )


@dataclass(frozen=True)
class Sines:
    """Sines and cosines of the position: neighbours are alike, and none is without meaning.

    Together they are a vector of length 1/2: the post's rate diverges on a full one.
    """

    penalty = 0.1  # small, because small values need large weights
    name = "sines of the position"

    def waves(self, places: Places) -> Floats:
        """Wavelengths in positions: 4, 8, 16, ... to the first of at least twice the positions."""
        return np.exp2(np.arange(2, max(2, (places.positions - 1).bit_length() + 1) + 1))

    def size(self, places: Places) -> int:
        """How many rows it has: a sine and a cosine of each wave."""
        return 2 * len(self.waves(places))

    def inputs(self, places: Places) -> Inputs:
        """All rows for every place, with the sines and cosines of its position."""
        waves = self.waves(places)
        angles = 2 * np.pi * places.position[:, np.newaxis] / waves
        values = np.hstack([np.sin(angles), np.cos(angles)]) / np.sqrt(4 * len(waves))
        return np.broadcast_to(np.arange(values.shape[1]), values.shape), values


def _one_hot(keys: Ints, first: int) -> Inputs:
    """A row for each key, counted from the first; of value 0 where there is none (-1)."""
    return (keys - first)[:, np.newaxis], (keys >= 0)[:, np.newaxis].astype(float)


PlaceFeature: TypeAlias = Position | Sines
Feature: TypeAlias = Last | PlaceFeature


@dataclass(frozen=True)
class Architecture:
    """What a model looks at: the last characters and, maybe, the place in the name.

    recipe: the name of the one it is fitted with unless another is asked for
    """

    last: tuple[Last, ...]
    place: tuple[PlaceFeature, ...] = ()
    recipe: str = "post"

    @property
    def features(self) -> tuple[Feature, ...]:
        """All that it looks at, in the order of the rows of the weights."""
        return (*self.last, *self.place)

    @property
    def order(self) -> int:
        """How many of the last characters it looks at."""
        return max(feature.length for feature in self.last)


ARCHITECTURES: dict[str, Architecture] = {
    "bigram": Architecture(last=(Last(1),)),
    "positional": Architecture(last=(Last(1),), place=(Position(),)),
    "sinusoidal": Architecture(last=(Last(1),), place=(Sines(),)),
    # Chosen on names set aside from the 90 % of names.txt that --evaluate fits on. The places
    # with suffixes are worth 0.008 nats there, their greater penalty 0.002.
    "fivegram": Architecture(
        last=(Last(1), Last(2), Last(3), Last(4)),
        place=(Position(), *(Position(with_last=n, penalty=4) for n in (1, 2, 3))),
        recipe="converged",
    ),
}


@dataclass(frozen=True, eq=False)  # arrays have no truth value to compare by
class Layout:
    """What each row of the weights means: one block of rows for each feature.

    name: of the architecture
    positions: how many positions are told apart, by the features that look at them
    """

    name: str
    positions: int
    places: Places

    @classmethod
    def of(cls, name: str, tokens: int, positions: int, suffixes: Ints, pairs: Ints) -> "Layout":
        """An architecture over the suffixes and pairs that are known.

        Raises ValueError if there are too few or too many positions, or if the rest
        does not make suffixes and places.
        """
        if not 1 <= positions <= MAX_POSITIONS:
            raise ValueError(f"{positions} positions, expected 1 to {MAX_POSITIONS}")
        architecture = ARCHITECTURES[name]
        known = Suffixes(tokens, architecture.order, suffixes)
        layout = cls(name, positions, Places(positions if architecture.place else 1, known, pairs))
        with_last = [f for f in architecture.place if isinstance(f, Position) and f.with_last]
        if sum(feature.size(layout.places) for feature in with_last) != len(pairs):
            raise ValueError(f"a place that {name} does not look at")
        return layout

    @classmethod
    def seen(cls, name: str, tokens: int, positions: int, counts: ContextCounts) -> "Layout":
        """An architecture with a row for whatever the counts show.

        What they show too seldom gets none if there would be more than MAX_WEIGHTS.
        """
        minimum = 1
        while True:
            suffixes = _seen_suffixes(ARCHITECTURES[name], tokens, counts, minimum)
            pairs = _seen_pairs(ARCHITECTURES[name], suffixes, positions, counts, minimum)
            layout = cls.of(name, tokens, positions, suffixes.longer, pairs)
            learned = (layout.shape[0] - tokens) * tokens
            if learned <= MAX_WEIGHTS or not len(suffixes.longer) + len(pairs):
                return layout
            minimum *= 2

    @property
    def features(self) -> tuple[Feature, ...]:
        """What it looks at, in the order of the blocks."""
        return ARCHITECTURES[self.name].features

    @cached_property
    def blocks(self) -> list[slice]:
        """The rows of each feature."""
        sizes = [feature.size(self.places) for feature in self.features]
        return [slice(*ends) for ends in pairwise(accumulate(sizes, initial=0))]

    @property
    def shape(self) -> tuple[int, int]:
        """The shape of the weights, (rows, tokens)."""
        return self.blocks[-1].stop, self.places.suffixes.tokens

    @cached_property
    def of_states(self) -> Inputs:
        """What each state switches on by its last characters, (states, width)."""
        return self._inputs(len(self.places.suffixes), ARCHITECTURES[self.name].last)

    @cached_property
    def of_places(self) -> Inputs:
        """What each place switches on, (places, width)."""
        return self._inputs(len(self.places), ARCHITECTURES[self.name].place)

    def keys(self, contexts: Contexts) -> Ints:
        """A number for each of n contexts, (n,): the same for those that look the same."""
        states = self.places.suffixes.locate(contexts.history)
        return states * len(self.places) + self.places.locate(contexts.positions, states)

    def inputs(self, keys: Ints) -> Inputs:
        """All that contexts with these keys switch on, (n, width)."""
        states, places = np.divmod(keys, len(self.places))
        (last, value), (place, place_value) = self.of_states, self.of_places
        return np.hstack([last[states], place[places]]), np.hstack(
            [value[states], place_value[places]]
        )

    def _inputs(self, keys: int, features: tuple[Feature, ...]) -> Inputs:
        """What so many states, or places, switch on by these features."""
        rows, values = [np.empty((keys, 0), dtype=np.intp)], [np.empty((keys, 0))]
        for feature, block in zip(self.features, self.blocks, strict=True):
            if feature in features:
                row, value = feature.inputs(self.places)
                rows.append(np.where(value != 0, block.start + row, 0))
                values.append(value)
        return np.hstack(rows), np.hstack(values)


def _seen_suffixes(
    architecture: Architecture, tokens: int, counts: ContextCounts, minimum: int
) -> Suffixes:
    """The suffixes that are in the counts at least so many times."""
    history = counts.steps.contexts.history
    if history.shape[1] < architecture.order:
        raise ValueError(f"contexts of {history.shape[1]} characters are too short")
    return Suffixes.seen(tokens, history[:, : architecture.order], counts.counts, minimum)


def _seen_pairs(
    architecture: Architecture,
    suffixes: Suffixes,
    positions: int,
    counts: ContextCounts,
    minimum: int,
) -> Ints:
    """The suffixes at a position that are in the counts at least so many times."""
    at = np.minimum(counts.steps.contexts.positions, positions - 1)
    states = suffixes.ancestors[suffixes.locate(counts.steps.contexts.history)]
    pairs = [np.empty((0, 2), dtype=np.intp)]
    for feature in architecture.place:
        if isinstance(feature, Position) and feature.with_last:
            state = states[:, feature.with_last - 1]
            known = often(np.where(state < 0, -1, state * positions + at), counts.counts, minimum)
            pairs.append(np.column_stack(np.divmod(known, positions)))
    return np.vstack(pairs)
