"""Fit the linear layer by gradients, on counts instead of on the list (torch).

The only module here that imports torch: what serves a model does without it.
"""

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import embedding_bag

from models.arrays import Weights
from models.counts import ContextCounts
from models.features import Layout


@dataclass(frozen=True)
class GradientDescent:
    """Plain full-batch gradient descent from normally distributed weights."""

    name: str
    seed: int
    steps: int
    rate: float
    penalty: float  # weight of mean(W^2) in the loss


# The post's recipe, the generator's seed included: makemore's own.
POST = GradientDescent(name="post", seed=2147483647, steps=200, rate=50.0, penalty=0.01)


@dataclass(frozen=True)
class Fit:
    """Fitted weights (rows, tokens) and the loss before each step, as the post prints it."""

    weights: Weights
    losses: list[float]


@dataclass(frozen=True)
class Examples:
    """The distinct inputs of a layout and what follows them.

    rows: (inputs, features), the weight rows each input switches on
    targets: (inputs, tokens), the share of all transitions that each cell has
    """

    rows: Tensor
    targets: Tensor

    @classmethod
    def of(cls, counts: ContextCounts, layout: Layout) -> "Examples":
        """Contexts that a layout cannot tell apart become one input."""
        rows = layout.rows(counts.steps.contexts)
        inputs, groups = np.unique(rows, axis=0, return_inverse=True)
        targets = np.zeros((len(inputs), layout.tokens))
        np.add.at(targets, (groups, counts.steps.tokens), counts.counts / counts.total)
        return cls(torch.from_numpy(inputs), torch.from_numpy(targets))

    def nll(self, weights: Tensor) -> Tensor:
        """Mean negative log-likelihood of a transition, in nats."""
        # One-hot inputs times weights: the sum of the rows that are switched on.
        logits = embedding_bag(self.rows, weights, mode="sum")
        return -(self.targets * logits.log_softmax(dim=1)).sum()


def fit(counts: ContextCounts, layout: Layout, recipe: GradientDescent = POST) -> Fit:
    """Minimise NLL + penalty * mean(W^2) over the counts, in float64.

    The counts must show at least as many characters of history as the layout looks at.
    """
    torch.set_num_threads(1)  # the tensors are small: threads would wait longer than they work
    examples = Examples.of(counts, layout)
    generator = torch.Generator().manual_seed(recipe.seed)
    start = torch.randn((layout.size, layout.tokens), generator=generator)  # float32, as the post's
    weights = start.double().requires_grad_()
    losses = []
    for _ in range(recipe.steps):
        loss = examples.nll(weights) + recipe.penalty * weights.square().mean()
        losses.append(loss.item())
        (gradient,) = torch.autograd.grad(loss, weights)
        weights.data -= recipe.rate * gradient
    return Fit(weights.detach().float().numpy(), losses)
