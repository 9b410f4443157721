"""Fit the linear layer by gradients, on counts instead of on the list (torch).

The only module here that imports torch: what serves a model does without it.
"""

import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
import torch
from torch import Tensor

from models.arrays import Counts, Weights, array_dataclass
from models.classes import CharacterClasses
from models.counts import ContextCounts
from models.features import Inputs
from models.layout import Layout

BLOCK = 2**22  # logits computed at once: bounds the memory that large alphabets take

Watch: TypeAlias = Callable[[float], object]  # is told the loss before each step


def unwatched(loss: float) -> None:
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


class Objective:
    """The mean negative log-likelihood of counted transitions, as a function of the weights.

    The weights have a column for each token, or for each character class.

    shape: of the weights, (rows, classes)
    total: the number of transitions
    mass: (rows, 1), how often each row is switched on, by the squares of its values
    observed: (rows, classes), how often each row is switched on before each class
    shares: (classes,), the share that each class has of all transitions
    """

    def __init__(
        self,
        counts: ContextCounts,
        layout: Layout,
        dtype: torch.dtype = torch.float32,
        classes: CharacterClasses | None = None,
    ) -> None:
        tokens, times = counts.steps.tokens, counts.counts
        keys = layout.keys(counts.steps.contexts)
        self.shape = layout.shape
        if classes:
            tokens, keys = classes.of_tokens[tokens], layout.merge(keys, classes.representatives)
            self.shape = layout.shape[0], len(classes)
        keys, groups = np.unique(keys, return_inverse=True)
        rows, values = layout.inputs(keys)
        if classes:
            rows[:, 0] = classes.representatives[rows[:, 0]]  # those of the last character
        sizes = np.bincount(groups, times)  # how often each distinct input is
        observed, mass = np.zeros(self.shape), np.zeros((self.shape[0], 1))
        for row, value in zip(rows.T, values.T, strict=True):
            np.add.at(observed, (row[groups], tokens), value[groups] * times)
            np.add.at(mass[:, 0], row, value**2 * sizes)
        self.total = float(times.sum())
        self.observed = torch.from_numpy(observed).to(dtype)
        self.mass = torch.from_numpy(mass).to(dtype)
        shares = np.bincount(tokens, times, self.shape[1]) / self.total
        self.shares = torch.from_numpy(shares).to(dtype)
        height = max(1, BLOCK // self.shape[1])
        self._blocks = [
            _Block.of((rows[part], values[part]), sizes[part], self.shape[0], dtype)
            for part in (slice(start, start + height) for start in range(0, len(keys), height))
        ]

    def nll(self, weights: Weights) -> float:
        """The value at fitted weights."""
        return self(torch.from_numpy(weights).to(self.observed.dtype))[0]

    def __call__(self, weights: Tensor) -> tuple[float, Tensor]:
        """The value at the weights, and its gradient.

        The gradient of a weight is how often its row is expected to be switched on
        before its token, less how often it is observed.
        """
        nll = -(self.observed * weights).sum(dtype=torch.float64)
        gradient = -self.observed
        for block in self._blocks:
            logits = block.inputs @ weights
            normalizers = logits.logsumexp(dim=1, keepdim=True)
            nll += (block.sizes * normalizers).sum(dtype=torch.float64)
            gradient += block.transposed @ (logits - normalizers).exp_().mul_(block.sizes)
        return float(nll) / self.total, gradient / self.total


@array_dataclass
class _Block:
    """Some of the distinct inputs: (n, rows), its transpose, and how often each is, (n, 1)."""

    inputs: Tensor
    transposed: Tensor
    sizes: Tensor

    @classmethod
    def of(cls, inputs_: Inputs, sizes: Counts, width: int, dtype: torch.dtype) -> "_Block":
        rows, values = inputs_
        on = values != 0
        ends = np.concatenate([[0], on.sum(axis=1).cumsum()])
        with warnings.catch_warnings():
            # Of all that torch has for sparse matrices only this is fast, and it says it is new.
            warnings.filterwarnings("ignore", "Sparse CSR tensor support is in beta")
            inputs = torch.sparse_csr_tensor(
                torch.from_numpy(ends),
                torch.from_numpy(rows[on]),
                torch.from_numpy(values[on]).to(dtype),
                size=(len(rows), width),
                check_invariants=True,
            )
            transposed = inputs.t().to_sparse_csr()
        return cls(inputs, transposed, torch.from_numpy(sizes[:, np.newaxis]).to(dtype))


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

    def fit(self, counts: ContextCounts, layout: Layout, watch: Watch = unwatched) -> Fit:
        """Minimise NLL + penalty * mean(W^2)."""
        classes = CharacterClasses.of(counts, layout.shape[1])
        objective = Objective(counts, layout, torch.float64, classes)
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
                best = weights, gradient
            weights = best[0] - rate * best[1]
        return Fit(classes.expand(weights.float().numpy()), losses)


@dataclass(frozen=True)
class Convergence:
    """L-BFGS from zero towards the optimum, which is unique, in float32.

    penalty: of the squares of the weights, relative to one transition: minimises
        NLL + sum(penalty * penalty of the feature * W^2) / (2 * transitions)
    steps: about so many evaluations at most
    tolerance: stop at a step that lowers the loss by less than so much, in nats
    """

    name: str
    penalty: float
    steps: int
    tolerance: float

    def fit(self, counts: ContextCounts, layout: Layout, watch: Watch = unwatched) -> Fit:
        """Minimise NLL + the penalty."""
        classes = CharacterClasses.of(counts, layout.shape[1])
        objective = Objective(counts, layout, classes=classes)
        penalties = self.penalty * _penalties(layout)
        # Of the mean, as the objective is: its steps are then as long for any number of names.
        curvature = (_curvature(objective) + penalties) / objective.total
        scale = curvature.rsqrt()
        scaled = torch.zeros(objective.shape)
        losses: list[float] = []

        def evaluate() -> float:
            weights = scaled * scale
            nll, gradient = objective(weights)
            pull = penalties * weights / objective.total
            scaled.grad = (gradient + pull) * scale
            losses.append(nll + float((pull * weights).sum(dtype=torch.float64)) / 2)
            watch(losses[-1])
            return losses[-1]

        optimizer = torch.optim.LBFGS(
            [scaled],
            max_iter=self.steps,
            max_eval=self.steps,
            history_size=4,
            tolerance_grad=0.0,
            tolerance_change=self.tolerance,
            line_search_fn="strong_wolfe",
        )
        optimizer.step(evaluate)  # type: ignore[no-untyped-call]
        return Fit(classes.expand((scaled * scale).numpy()), losses)


def _penalties(layout: Layout) -> Tensor:
    """The relative L2 weight of each row, (rows, 1)."""
    sizes = [block.stop - block.start for block in layout.blocks]
    penalties = [feature.penalty for feature in layout.features]
    return torch.tensor(penalties).repeat_interleave(torch.tensor(sizes))[:, None]


def _curvature(objective: Objective) -> Tensor:
    """About the second derivative of the total NLL by each weight, (rows, classes).

    In units of its inverse root all directions are about equally steep, which halves the
    steps. For the probability of a token stands its share among what follows the row,
    or among all tokens if the row is not of a one-hot.
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
