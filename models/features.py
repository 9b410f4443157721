"""What the linear layer may look at, and the named architectures that are lists of it.

An input is one-hot: each feature switches on one row of the weights, so the layer's
logits are a sum of weight rows, one for each feature.
"""

from dataclasses import dataclass
from functools import cached_property
from itertools import accumulate, pairwise

import numpy as np

from models.arrays import Ints
from models.transitions import Contexts


@dataclass(frozen=True)
class OneHot:
    """A row for each value of the last `last` characters, of the position, or of both together."""

    last: int = 0
    position: bool = False

    @property
    def name(self) -> str:
        """What it looks at, in words: `last 1`, `position`, `position, last 1`."""
        parts = ["position"] * self.position + [f"last {self.last}"] * (self.last > 0)
        return ", ".join(parts)

    def size(self, tokens: int, positions: int) -> int:
        """How many rows it has."""
        return int(tokens**self.last * (positions if self.position else 1))

    def rows(self, contexts: Contexts, tokens: int) -> Ints:
        """The row that each of n contexts switches on, (n,).

        Raises ValueError if the contexts show less history than it looks at.
        """
        if contexts.history.shape[1] < self.last:
            raise ValueError(f"{self.name!r} needs contexts with more history")
        row = contexts.positions if self.position else np.zeros_like(contexts.positions)
        for token in contexts.history.T[: self.last]:
            row = row * tokens + token
        return row


Features = tuple[OneHot, ...]

ARCHITECTURES: dict[str, Features] = {
    "bigram": (OneHot(last=1),),
    "positional": (OneHot(last=1), OneHot(position=True)),
}


@dataclass(frozen=True)
class Layout:
    """Which rows of the weights belong to which feature: one block after the other."""

    features: Features
    tokens: int
    positions: int

    @cached_property
    def order(self) -> int:
        """How many of the last characters the features look at."""
        return max(feature.last for feature in self.features)

    @cached_property
    def blocks(self) -> list[slice]:
        """The rows of each feature."""
        sizes = [feature.size(self.tokens, self.positions) for feature in self.features]
        ends = accumulate(sizes, initial=0)
        return [slice(start, stop) for start, stop in pairwise(ends)]

    @property
    def size(self) -> int:
        """How many rows the weights have."""
        return sum(feature.size(self.tokens, self.positions) for feature in self.features)

    def rows(self, contexts: Contexts) -> Ints:
        """The rows that each of n contexts switches on, (n, features)."""
        columns = [
            block.start + feature.rows(contexts, self.tokens)
            for feature, block in zip(self.features, self.blocks, strict=True)
        ]
        return np.column_stack(columns)
