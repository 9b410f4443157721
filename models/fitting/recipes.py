"""Recipes: named ways to fit the linear layer to transition counts.

`post` is the full-batch gradient descent of the blog post, `converged` an L2-penalised fit by
L-BFGS.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TypeAlias

import torch

from models.fitting.gradient_descent import GradientDescent
from models.fitting.lbfgs import LBFGS

# The seed is the one of makemore, which the post uses.
POST = GradientDescent(name="post", seed=2147483647, steps=200, rate=50.0, penalty=0.01)
CONVERGED = LBFGS(name="converged", penalty=1.0, steps=300, tolerance=3e-6)
Recipe: TypeAlias = GradientDescent | LBFGS
RECIPES: dict[str, Recipe] = {recipe.name: recipe for recipe in (POST, CONVERGED)}


@contextmanager
def single_thread() -> Iterator[None]:
    """Limit torch to one thread: its tensors are small, and more threads would slow it down."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)
