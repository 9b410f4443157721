"""Features of a context, and the named architectures that combine them.

A feature switches on rows of the weights, each with the value that multiplies it: 1 for a
one-hot, 0 for a context that training has not seen. A feature looks either at the last
characters, that is at a state of the `ContextTrie`, or at the position, that is at one of the
`PositionContexts`. The logits of the layer are the sum of all rows that are switched on.

Each feature has the attributes `last`, the number of last characters that it looks at, and
`position`, whether it looks at the position.
"""

from dataclasses import dataclass
from typing import TypeAlias

import numpy as np

from models.arrays import Floats, Ints
from models.linear.position_contexts import PositionContexts

# The rows that each of n states, or position contexts, switches on, (n, width), and their
# values, (n, width).
Inputs: TypeAlias = tuple[Ints, Floats]

POSITIONS = 23  # as in the post: later positions are clamped to 22
MAX_POSITIONS = 256
MAX_TOKENS = 2**13
MAX_LETTER_TOKENS = 2**7  # tokens of an alphabet of letters; syllabaries and ideographs have more


@dataclass(frozen=True)
class LastCharacters:
    """One-hot of the `last` characters, among the known suffixes of this length.

    penalty: L2 weight of the rows relative to those of other features
    """

    last: int
    position = False
    penalty = 1.0

    @property
    def name(self) -> str:
        """The name of the feature in explanations."""
        return f"last {self.last}"

    def size(self, position_contexts: PositionContexts) -> int:
        """Return the number of rows: one for each known suffix of this length."""
        level = position_contexts.trie.levels[self.last - 1]
        return int(level.stop - level.start)

    def inputs(self, position_contexts: PositionContexts) -> Inputs:
        """Return the row that each state switches on, counted from the first row of the feature."""
        first = position_contexts.trie.levels[self.last - 1].start
        return _one_hot(position_contexts.trie.ancestors[:, self.last - 1], first)


@dataclass(frozen=True)
class Position:
    """One-hot of the position, or of the position and the `last` characters together.

    penalty: L2 weight of the rows relative to those of other features
    """

    last: int = 0
    position = True
    penalty: float = 1.0

    @property
    def name(self) -> str:
        """The name of the feature in explanations."""
        return f"position, last {self.last}" if self.last else "position"

    def size(self, position_contexts: PositionContexts) -> int:
        """Return the number of rows: one for each position, or for each known pair."""
        if not self.last:
            return position_contexts.positions
        pairs = position_contexts.pairs_of_length(self.last)
        return int(pairs.stop - pairs.start)

    def inputs(self, position_contexts: PositionContexts) -> Inputs:
        """Return the row that each position context switches on."""
        positions = position_contexts.context_positions
        if not self.last:
            return _one_hot(positions, 0)
        states = position_contexts.ancestors[:, self.last - 1]
        pairs = position_contexts.find_pairs(positions, states)
        return _one_hot(pairs, position_contexts.pairs_of_length(self.last).start)


@dataclass(frozen=True)
class Sines:
    """Sinusoidal encoding of the position: neighbours are similar.

    Positions that training has not seen are encoded too.

    The values of a position are a vector of length 1/2; with length 1 the post's learning rate
    diverges.

    penalty: L2 weight of the rows relative to those of other features; small, because small
        values need large weights
    """

    last = 0
    position = True
    penalty = 0.1
    name = "sines of the position"

    def wavelengths(self, position_contexts: PositionContexts) -> Floats:
        """Return 4, 8, 16, ... up to the first of at least twice the number of positions."""
        return np.exp2(np.arange(2, max(2, (position_contexts.positions - 1).bit_length() + 1) + 1))

    def size(self, position_contexts: PositionContexts) -> int:
        """Return the number of rows: a sine and a cosine for each wavelength."""
        return 2 * len(self.wavelengths(position_contexts))

    def inputs(self, position_contexts: PositionContexts) -> Inputs:
        """Return all rows for each position context, with the sines and cosines of its position."""
        wavelengths = self.wavelengths(position_contexts)
        positions = position_contexts.context_positions
        angles = 2 * np.pi * positions[:, np.newaxis] / wavelengths
        values = np.hstack([np.sin(angles), np.cos(angles)]) / np.sqrt(4 * len(wavelengths))
        return np.broadcast_to(np.arange(values.shape[1]), values.shape), values


def _one_hot(rows: Ints, first: int) -> Inputs:
    """Return a row for each of n contexts, counted from `first`; a row of -1 has the value 0."""
    return (rows - first)[:, np.newaxis], (rows >= 0)[:, np.newaxis].astype(float)


PositionFeature: TypeAlias = Position | Sines
Feature: TypeAlias = LastCharacters | PositionFeature


@dataclass(frozen=True)
class Architecture:
    """The features of a model.

    recipe: the name of the default recipe for an alphabet of letters
    """

    character_features: tuple[LastCharacters, ...]
    position_features: tuple[PositionFeature, ...] = ()
    recipe: str = "post"

    def recipe_for(self, tokens: int) -> str:
        """Return the name of the default recipe for an alphabet of this number of tokens.

        The recipe of the post hardly moves most rows of a large alphabet from their random start.

        >>> ARCHITECTURES["bigram"].recipe_for(27), ARCHITECTURES["bigram"].recipe_for(5000)
        ('post', 'converged')
        """
        return self.recipe if tokens <= MAX_LETTER_TOKENS else "converged"

    @property
    def features(self) -> tuple[Feature, ...]:
        """All features, in the order of their rows in the weights."""
        return (*self.character_features, *self.position_features)

    @property
    def order(self) -> int:
        """The number of last characters that the features look at."""
        return max(feature.last for feature in self.character_features)


ARCHITECTURES: dict[str, Architecture] = {
    "bigram": Architecture((LastCharacters(1),)),
    "positional": Architecture((LastCharacters(1),), (Position(),)),
    "sinusoidal": Architecture((LastCharacters(1),), (Sines(),)),
    # Chosen on names held out of the 90 % of names.txt that --evaluate fits on. There, the rows of
    # positions with characters improve the loss by 0.008 nats, their larger penalty by 0.002.
    "fivegram": Architecture(
        tuple(LastCharacters(last) for last in (1, 2, 3, 4)),
        (Position(), *(Position(last, penalty=4) for last in (1, 2, 3))),
        recipe="converged",
    ),
}
