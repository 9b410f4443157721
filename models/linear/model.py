"""Linear model: one linear layer; the logits of the next character are a sum of weight rows."""

import numpy as np

from models.arrays import Floats, Weights, array_dataclass
from models.lazy_property import lazy
from models.linear.feature_map import FeatureMap
from models.linear.features import Inputs
from models.text.vocabulary import Vocabulary


@array_dataclass
class LinearModel:
    """A fitted layer.

    feature_map: the meaning of the rows
    vocabulary: the meaning of the columns
    weights: (rows, tokens)

    Raises ValueError if the shape of the weights is not that of the feature map.
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
        """What the last characters add to the logits of the next character, (states, tokens)."""
        return self._logits(self.feature_map.state_inputs)

    @lazy
    def position_logits(self) -> Floats:
        """What the position adds to these logits, (position contexts, tokens)."""
        return self._logits(self.feature_map.position_inputs)

    def contributions(self, state: int, position_context: int) -> Floats:
        """Return what each feature adds to the logits of the next character, (features, tokens)."""
        inputs = zip(self.feature_map.state_inputs, self.feature_map.position_inputs, strict=True)
        rows, values = (
            np.concatenate([by_state[state], by_position[position_context]])
            for by_state, by_position in inputs
        )
        ends = [block.stop for block in self.feature_map.row_blocks]
        contributions = np.zeros((len(ends), len(self.vocabulary)))
        features = np.searchsorted(ends, rows, side="right")  # the feature of each row
        np.add.at(contributions, features, values[:, np.newaxis] * self.weights[rows])
        return contributions

    def _logits(self, inputs: Inputs) -> Floats:
        """Return the sum of the rows that each of n inputs switches on, (n, tokens)."""
        rows, values = inputs
        logits = np.zeros((len(rows), len(self.vocabulary)))
        for row, value in zip(rows.T, values.T, strict=True):
            logits += value[:, np.newaxis] * self.weights[row]
        return logits
