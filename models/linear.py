"""The one linear layer, fitted: a sum of weight rows gives the logits of the next character."""

from dataclasses import dataclass
from functools import cached_property

from models.arrays import Floats, Weights
from models.features import ARCHITECTURES, Layout
from models.transitions import Contexts
from models.vocabulary import Vocabulary

POSITIONS = 23  # of the post: the clamp is at 22
MAX_POSITIONS = 256


@dataclass(frozen=True, eq=False)  # arrays have no truth value to compare by
class LinearModel:
    """A fitted layer and what its rows and columns mean; weights (rows, tokens).

    Raises ValueError if there are too few or too many positions, or if the weights do
    not have the shape that the rest asks for.
    """

    architecture: str
    vocabulary: Vocabulary
    positions: int
    weights: Weights

    def __post_init__(self) -> None:
        if not 1 <= self.positions <= MAX_POSITIONS:
            raise ValueError(f"{self.positions} positions, expected 1 to {MAX_POSITIONS}")
        expected = (self.layout.size, len(self.vocabulary))
        if self.weights.shape != expected:
            raise ValueError(f"weights of shape {self.weights.shape}, expected {expected}")

    @cached_property
    def layout(self) -> Layout:
        """Which rows belong to which feature."""
        return Layout(ARCHITECTURES[self.architecture], len(self.vocabulary), self.positions)

    def logits(self, contexts: Contexts) -> Floats:
        """Logits of the next token in each of n contexts, (n, tokens)."""
        rows = self.layout.rows(contexts)
        logits: Floats = self.weights.astype(float)[rows].sum(axis=1)
        return logits
