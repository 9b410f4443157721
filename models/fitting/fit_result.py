"""The result of a fit, and the callback that follows it."""

from collections.abc import Callable
from typing import TypeAlias

from models.arrays import Weights, array_dataclass

OnStep: TypeAlias = Callable[[float], object]  # called with the loss at each step


def ignore_loss(loss: float) -> None:
    """The default of `on_step`."""


@array_dataclass
class FitResult:
    """Fitted weights, (rows, tokens), and the loss at each step, penalty included."""

    weights: Weights
    losses: list[float]
