"""What the linear layer may look at, and the named architectures that are lists of it.

A feature switches on rows of the weights, each with the value it is multiplied by: 1 for
a one-hot, 0 for what was never seen in training. It looks at the last characters or at
the place in the name; the layer's logits are the sum of all that is switched on.

Each feature says how many of the last characters it looks at (`last`) and whether it looks at
the position (`position`).
"""

from dataclasses import dataclass
from typing import TypeAlias

import numpy as np

from models.arrays import Floats, Ints
from models.linear.position_contexts import PositionContexts

# For each of n states, or of n places: the rows it switches on, counted from the
# feature's first, (n, width), and their values, (n, width).
Inputs: TypeAlias = tuple[Ints, Floats]

POSITIONS = 23  # of the post: the clamp is at 22
MAX_POSITIONS = 256
MAX_TOKENS = 2**13
LETTERS = 2**7  # tokens of an alphabet of letters; syllables and ideographs are more


@dataclass(frozen=True)
class Last:
    """A one-hot of the `last` characters, among the known suffixes."""

    last: int
    position = False
    penalty = 1.0  # the L2 weight of the rows relative to those of other features

    @property
    def name(self) -> str:
        """What it looks at, in words."""
        return f"last {self.last}"

    def size(self, position_contexts: PositionContexts) -> int:
        """How many rows it has: one for each suffix of this length."""
        level = position_contexts.trie.levels[self.last - 1]
        return int(level.stop - level.start)

    def inputs(self, position_contexts: PositionContexts) -> Inputs:
        """The row that each state switches on."""
        first = position_contexts.trie.levels[self.last - 1].start
        return _one_hot(position_contexts.trie.ancestors[:, self.last - 1], first)


@dataclass(frozen=True)
class Position:
    """A one-hot of the position, and of the `last` characters before it together with it.

    penalty: the L2 weight of the rows relative to those of other features
    """

    last: int = 0
    position = True
    penalty: float = 1.0

    @property
    def name(self) -> str:
        """What it looks at, in words."""
        return f"position, last {self.last}" if self.last else "position"

    def size(self, position_contexts: PositionContexts) -> int:
        """How many rows it has: one for each position, or for each that a suffix is known at."""
        if not self.last:
            return position_contexts.positions
        block = position_contexts.block(self.last)
        return int(block.stop - block.start)

    def inputs(self, position_contexts: PositionContexts) -> Inputs:
        """The row that each place switches on."""
        if not self.last:
            return _one_hot(position_contexts.position, 0)
        states = position_contexts.ancestors[:, self.last - 1]
        return _one_hot(
            position_contexts.find_pairs(position_contexts.position, states),
            position_contexts.block(self.last).start,
        )


@dataclass(frozen=True)
class Sines:
    """Sines and cosines of the position: neighbours are alike, and none is without meaning.

    Together they are a vector of length 1/2: the post's rate diverges on a full one.
    """

    last = 0
    position = True
    penalty = 0.1  # small, because small values need large weights
    name = "sines of the position"

    def waves(self, position_contexts: PositionContexts) -> Floats:
        """Wavelengths in positions: 4, 8, 16, ... to the first of at least twice the positions."""
        return np.exp2(np.arange(2, max(2, (position_contexts.positions - 1).bit_length() + 1) + 1))

    def size(self, position_contexts: PositionContexts) -> int:
        """How many rows it has: a sine and a cosine of each wave."""
        return 2 * len(self.waves(position_contexts))

    def inputs(self, position_contexts: PositionContexts) -> Inputs:
        """All rows for every place, with the sines and cosines of its position."""
        waves = self.waves(position_contexts)
        angles = 2 * np.pi * position_contexts.position[:, np.newaxis] / waves
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

    recipe: the name of the one it is fitted with, for an alphabet of letters, unless another is
        asked for
    """

    last: tuple[Last, ...]
    place: tuple[PlaceFeature, ...] = ()
    recipe: str = "post"

    def recipe_for(self, tokens: int) -> str:
        """The name of the recipe for an alphabet of this number of tokens.

        The post's steps hardly move most rows of a large alphabet from their random start.
        """
        return self.recipe if tokens <= LETTERS else "converged"

    @property
    def features(self) -> tuple[Feature, ...]:
        """All that it looks at, in the order of the rows of the weights."""
        return (*self.last, *self.place)

    @property
    def order(self) -> int:
        """How many of the last characters it looks at."""
        return max(feature.last for feature in self.last)


ARCHITECTURES: dict[str, Architecture] = {
    "bigram": Architecture(last=(Last(1),)),
    "positional": Architecture(last=(Last(1),), place=(Position(),)),
    "sinusoidal": Architecture(last=(Last(1),), place=(Sines(),)),
    # Chosen on names set aside from the 90 % of names.txt that --evaluate fits on. The places
    # with suffixes are worth 0.008 nats there, their greater penalty 0.002.
    "fivegram": Architecture(
        last=(Last(1), Last(2), Last(3), Last(4)),
        place=(Position(), *(Position(last=n, penalty=4) for n in (1, 2, 3))),
        recipe="converged",
    ),
}
