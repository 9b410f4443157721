"""Full-batch gradient descent, the fit of the blog post (torch)."""

from dataclasses import dataclass

import torch

from models.counts.context_counts import ContextCounts
from models.fitting.character_classes import CharacterClasses
from models.fitting.fit_result import FitResult, OnStep, ignore_loss
from models.fitting.objective import Objective
from models.linear.feature_map import FeatureMap


@dataclass(frozen=True)
class GradientDescent:
    """Full-batch gradient descent from normally distributed weights, in float64.

    A step that increases the loss is undone, and the learning rate is halved; each later step that
    does not increase it raises the rate by 10 %, up to `rate`. With thousands of names over a small
    alphabet no step is undone, but with a few names the post's rate diverges.

    seed: of the initial weights
    rate: the initial and largest learning rate
    penalty: the weight of mean(W^2) in the loss
    """

    name: str
    seed: int
    steps: int
    rate: float
    penalty: float

    def fit(
        self, counts: ContextCounts, feature_map: FeatureMap, on_step: OnStep = ignore_loss
    ) -> FitResult:
        """Return the weights after all steps of minimising NLL + penalty * mean(W^2).

        The losses include those of steps that were undone.
        """
        classes = CharacterClasses.of(counts, feature_map.shape[1])
        objective = Objective(counts, feature_map, torch.float64, classes)
        generator = torch.Generator().manual_seed(self.seed)
        # Drawn in float32, as the post does.
        weights = torch.randn(objective.shape, generator=generator).double()
        rate, losses = self.rate, list[float]()
        best = weights, torch.zeros_like(weights)  # with the gradient
        for _ in range(self.steps):
            nll, gradient = objective(weights)
            gradient += 2 * self.penalty / weights.numel() * weights
            losses.append(nll + self.penalty * float(weights.square().mean()))
            on_step(losses[-1])
            if losses[-1] > min(losses):
                rate /= 2  # go back, and take a shorter step
            else:
                rate = min(self.rate, rate * 1.1)
                best = weights, gradient
            weights = best[0] - rate * best[1]
        return FitResult(classes.expand(weights.float().numpy()), losses)
