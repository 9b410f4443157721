"""Fit the linear layer by gradients, on counts instead of on the list (torch).

Only this module and `objective` import torch: a model is served without it.
"""

import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
import torch
from torch import Tensor

from models.arrays import Floats, Weights, array_dataclass
from models.counts.context_counts import ContextCounts
from models.fitting.character_classes import CharacterClasses
from models.fitting.objective import Objective
from models.linear.feature_map import FeatureMap
from models.text.vocabulary import BOUNDARY

Callback: TypeAlias = Callable[[float], object]  # called with the loss before each step


def ignore_progress(loss: float) -> None:
    """Pass over the loss."""


@contextmanager
def one_thread() -> Iterator[None]:
    """One thread for torch: its tensors are small, and more threads would wait for each other."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)


@array_dataclass
class Fit:
    """Fitted weights (rows, tokens) and the loss at each step, penalty included."""

    weights: Weights
    losses: list[float]


@dataclass(frozen=True)
class GradientDescent:
    """Plain full-batch gradient descent from normally distributed weights, in float64.

    A step that raises the loss is taken back and the rate halved. On a list of thousands of
    names over a small alphabet none does; on a few names the post's rate diverges.
    """

    name: str
    seed: int
    steps: int
    rate: float
    penalty: float  # weight of mean(W^2) in the loss

    def fit(
        self, counts: ContextCounts, feature_map: FeatureMap, watch: Callback = ignore_progress
    ) -> Fit:
        """Minimise NLL + penalty * mean(W^2)."""
        classes = CharacterClasses.of(counts, feature_map.shape[1])
        objective = Objective(counts, feature_map, torch.float64, classes)
        generator = torch.Generator().manual_seed(self.seed)
        # Drawn in float32, as the post's are.
        weights = torch.randn(objective.shape, generator=generator).double()
        rate, losses = self.rate, list[float]()
        best = weights, torch.zeros_like(weights)  # so far, and the gradient there
        for _ in range(self.steps):
            nll, gradient = objective(weights)
            gradient += 2 * self.penalty / weights.numel() * weights
            losses.append(nll + self.penalty * float(weights.square().mean()))
            watch(losses[-1])
            if losses[-1] > min(losses):
                rate /= 2  # the step was too long: take a shorter one from where it began
            else:
                rate = min(self.rate, rate * 1.1)
                best = weights, gradient
            weights = best[0] - rate * best[1]
        return Fit(classes.expand(weights.float().numpy()), losses)


@dataclass(frozen=True)
class Convergence:
    """L-BFGS from zero towards the optimum, which is unique, in float32.

    penalty: of the squares of the weights, relative to one transition: minimises
        NLL + sum(penalty * penalty of the feature * W^2) / (2 * transitions)
    steps: the limit of evaluations, about
    tolerance: in nats; a step that lowers the loss by less is the last
    """

    name: str
    penalty: float
    steps: int
    tolerance: float

    def fit(
        self, counts: ContextCounts, feature_map: FeatureMap, watch: Callback = ignore_progress
    ) -> Fit:
        """Minimise NLL + the penalty."""
        classes = CharacterClasses.of(counts, feature_map.shape[1])
        objective = Objective(
            counts, feature_map, classes=classes, penalties=_penalties(feature_map)
        )
        ties = objective.ties
        penalties = self.penalty * torch.from_numpy(ties.penalties).float()[:, None]
        # Of the mean, as the objective is: its steps are then as long for any number of names.
        curvature = (_curvature(objective) + penalties) / objective.total
        scale = curvature.rsqrt()
        scaled = torch.zeros(objective.shape)
        start = torch.zeros(objective.shape)
        # Each context switches on one row of its last character; only the first is at the start.
        last = feature_map.row_blocks[0]
        start[ties.of_rows[last][1:], BOUNDARY] = _end(objective)
        losses: list[float] = []

        def evaluate() -> float:
            moved = scaled * scale
            nll, gradient = objective(start + moved)
            pull = penalties * moved / objective.total
            scaled.grad = (gradient + pull) * scale
            losses.append(nll + float((pull * moved).sum(dtype=torch.float64)) / 2)
            watch(losses[-1])
            return losses[-1]

        optimizer = _LBFGS(
            [scaled],
            max_iter=self.steps,
            max_eval=self.steps,
            history_size=4,
            tolerance_grad=0.0,
            tolerance_change=self.tolerance,
            line_search_fn="strong_wolfe",
        )
        optimizer.step(evaluate)  # type: ignore[no-untyped-call]
        weights = ties.expand((scaled * scale).numpy())
        weights[last][1:, BOUNDARY] += _end(objective)
        return Fit(classes.expand(weights), losses)


class _LBFGS(torch.optim.LBFGS):
    """The optimizer without its check of parameter groups, which imports all of torch.compile."""

    def add_param_group(self, param_group: dict[str, Any]) -> None:
        """Take the parameters with the options given to all."""
        self.param_groups.append({**self.defaults, **param_group})


def _end(objective: Objective) -> float:
    """The logit of the end in a model that knows the mean length of names and nothing else.

    In this model the logits of all characters are 0. The penalty is on the distance of the
    weights from it: a penalty on the distance from zero would make names longer, and the larger
    the alphabet, the longer.
    Where no name ends, as in a part of a very long name, half an end stands for none.
    """
    ends = max(float(objective.shares[BOUNDARY]), 0.5 / objective.total)
    return math.log(ends * (objective.shape[1] - 1) / (1 - ends))


def _penalties(feature_map: FeatureMap) -> Floats:
    """The relative L2 weight of each row, (rows,)."""
    sizes = [block.stop - block.start for block in feature_map.row_blocks]
    return np.repeat([feature.penalty for feature in feature_map.features], sizes)


def _curvature(objective: Objective) -> Tensor:
    """An estimate of the second derivative of the total NLL by each weight, (rows, classes).

    Scaled by its inverse square root, all directions are about equally steep, which halves the
    number of steps. The probability of a class is estimated by its share of what follows the
    row, or of all transitions if the row is not of a one-hot.
    """
    everywhere = objective.shares
    after = (objective.observed + 2 * everywhere) / (objective.mass + 2)
    one_hot = torch.isclose(objective.observed.sum(dim=1, keepdim=True), objective.mass)
    share = torch.where(one_hot, after, everywhere)
    return objective.mass * share * (1 - share)


# The post's recipe, the generator's seed included: makemore's own.
POST = GradientDescent(name="post", seed=2147483647, steps=200, rate=50.0, penalty=0.01)
CONVERGED = Convergence(name="converged", penalty=1.0, steps=300, tolerance=3e-6)
Recipe: TypeAlias = GradientDescent | Convergence
RECIPES: dict[str, Recipe] = {recipe.name: recipe for recipe in (POST, CONVERGED)}
