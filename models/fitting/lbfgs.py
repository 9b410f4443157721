"""L2-penalised fit by L-BFGS (Liu and Nocedal, 1989), with torch."""

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from models.arrays import Floats
from models.counts.context_counts import ContextCounts
from models.fitting.character_classes import CharacterClasses
from models.fitting.fit_result import FitResult, OnStep, ignore_loss
from models.fitting.objective import Objective
from models.linear.feature_map import FeatureMap
from models.text.vocabulary import BOUNDARY


@dataclass(frozen=True)
class LBFGS:
    """L-BFGS in float32, until a step lowers the loss by less than `tolerance`.

    The loss has one minimum. It is
    NLL + sum(penalty * penalty of the feature * (W - W0)^2) / (2 * transitions),
    where the model with the weights W0 knows only the mean length of names (`_end_logit`).

    penalty: of the squared distance from W0, relative to one transition
    steps: the limit of evaluations of the loss, approximate
    tolerance: in nats per character
    """

    name: str
    penalty: float
    steps: int
    tolerance: float

    def fit(
        self, counts: ContextCounts, feature_map: FeatureMap, on_step: OnStep = ignore_loss
    ) -> FitResult:
        """Return the weights that minimise the loss.

        The optimizer works on scaled offsets from W0, in which all directions are about equally
        steep.
        """
        classes = CharacterClasses.of(counts, feature_map.shape[1])
        penalties = _penalties(feature_map)
        objective = Objective(counts, feature_map, classes=classes, penalties=penalties)
        tied_rows = objective.tied_rows
        tied_penalties = self.penalty * torch.from_numpy(tied_rows.penalties).float()[:, None]
        # Divided by the total, as the objective is a mean: steps are as long for any list.
        scale = ((_curvature(objective) + tied_penalties) / objective.total).rsqrt()
        scaled, start = torch.zeros(objective.shape), torch.zeros(objective.shape)
        # Every context has one row of the last character; that of BOUNDARY is the start of a name.
        last_character, end = feature_map.row_blocks[0], _end_logit(objective)
        start[tied_rows.of_rows[last_character][1:], BOUNDARY] = end
        losses: list[float] = []

        def evaluate() -> float:
            offsets = scaled * scale
            nll, gradient = objective(start + offsets)
            pull = tied_penalties * offsets / objective.total
            scaled.grad = (gradient + pull) * scale
            losses.append(nll + float((pull * offsets).sum(dtype=torch.float64)) / 2)
            on_step(losses[-1])
            return losses[-1]

        self._optimizer(scaled).step(evaluate)  # type: ignore[no-untyped-call]
        weights = tied_rows.expand((scaled * scale).numpy())
        weights[last_character][1:, BOUNDARY] += end
        return FitResult(classes.expand(weights), losses)

    def _optimizer(self, parameters: Tensor) -> "_Optimizer":
        return _Optimizer(
            [parameters],
            max_iter=self.steps,
            max_eval=self.steps,
            history_size=4,
            tolerance_grad=0.0,
            tolerance_change=self.tolerance,
            line_search_fn="strong_wolfe",
        )


class _Optimizer(torch.optim.LBFGS):
    """The optimizer without its check of parameter groups, which imports all of torch.compile."""

    def add_param_group(self, param_group: dict[str, Any]) -> None:
        """Add the parameters with the default options."""
        self.param_groups.append({**self.defaults, **param_group})


def _end_logit(objective: Objective) -> float:
    """Return the logit of the end in a model that knows only the mean length of names.

    The logits of all characters are 0 in this model, and the penalty is on the distance from it. A
    penalty on the distance from zero would make names longer, and more so with a larger alphabet.
    If no name ends, as in a part of a very long name, half an end is assumed.
    """
    ends = max(float(objective.shares[BOUNDARY]), 0.5 / objective.total)
    return math.log(ends * (objective.shape[1] - 1) / (1 - ends))


def _penalties(feature_map: FeatureMap) -> Floats:
    """Return the relative L2 weight of each row, (rows,)."""
    sizes = [block.stop - block.start for block in feature_map.row_blocks]
    return np.repeat([feature.penalty for feature in feature_map.features], sizes)


def _curvature(objective: Objective) -> Tensor:
    """Return an estimate of the second derivative of the total NLL by each weight, (rows, classes).

    Scaling by its inverse square root halves the number of steps. The probability of a class is
    estimated by its share after the row, or by its share of all transitions if the row is not
    one-hot.
    """
    shares = objective.shares
    shares_after_row = (objective.observed + 2 * shares) / (objective.squares + 2)
    one_hot = torch.isclose(objective.observed.sum(dim=1, keepdim=True), objective.squares)
    probabilities = torch.where(one_hot, shares_after_row, shares)
    return objective.squares * probabilities * (1 - probabilities)
