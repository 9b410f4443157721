"""The one linear layer, fitted: a sum of weight rows gives the logits of the next character."""

import numpy as np

from models.arrays import Floats, Weights, array_dataclass
from models.lazy import lazy
from models.linear.feature_map import FeatureMap
from models.linear.features import Inputs
from models.text.vocabulary import Vocabulary


@array_dataclass
class LinearModel:
    """A fitted layer and what its rows and columns mean; weights (rows, tokens).

    Raises ValueError if the weights do not have the shape that the rest asks for.
    """

    feature_map: FeatureMap
    vocabulary: Vocabulary
    weights: Weights

    def __post_init__(self) -> None:
        if self.weights.shape != self.feature_map.shape:
            raise ValueError(
                f"weights of shape {self.weights.shape}, expected {self.feature_map.shape}"
            )

    @lazy
    def state_logits(self) -> Floats:
        """What the last characters add to the logits of the next one, (states, tokens)."""
        return self._logits(self.feature_map.state_inputs)

    @lazy
    def position_logits(self) -> Floats:
        """What the place adds to the logits of the next character, (places, tokens)."""
        return self._logits(self.feature_map.position_inputs)

    def contributions(self, state: int, place: int) -> Floats:
        """What each feature adds to the logits of the next character, (features, tokens)."""
        inputs = zip(self.feature_map.state_inputs, self.feature_map.position_inputs, strict=True)
        rows, values = (np.concatenate([last[state], where[place]]) for last, where in inputs)
        ends = [block.stop for block in self.feature_map.blocks]
        added = np.zeros((len(ends), len(self.vocabulary)))
        features = np.searchsorted(ends, rows, side="right")  # that the rows belong to
        np.add.at(added, features, values[:, np.newaxis] * self.weights[rows])
        return added

    def _logits(self, inputs: Inputs) -> Floats:
        rows, values = inputs
        logits = np.zeros((len(rows), len(self.vocabulary)))
        for row, value in zip(rows.T, values.T, strict=True):
            logits += value[:, np.newaxis] * self.weights[row]
        return logits
