"""Counts -> a trained model: lay out its weights, choose the penalty, fit."""

from time import perf_counter

from models.arrays import array_dataclass
from models.counts import ContextCounts
from models.features import ARCHITECTURES
from models.fitting import RECIPES, Convergence, Recipe
from models.layout import Layout
from models.linear import LinearModel
from models.selection import select
from models.vocabulary import Vocabulary
from training.progress import progress


@array_dataclass
class Trained:
    """A model and how it came about.

    losses: at each step, penalty included, in nats a character
    seconds: that it took, the choice of the penalty included
    """

    model: LinearModel
    recipe: Recipe
    losses: list[float]
    seconds: float


def train(
    name: str,
    vocabulary: Vocabulary,
    counts: ContextCounts,
    positions: int,
    recipe_name: str | None = None,
) -> Trained:
    """Train an architecture by its own recipe, or by the one named."""
    started = perf_counter()
    layout = Layout.seen(name, len(vocabulary), positions, counts)
    recipe = RECIPES[recipe_name or ARCHITECTURES[name].recipe]
    if isinstance(recipe, Convergence):
        with progress(f"{name}, choosing the penalty") as watch:
            recipe = select(recipe, counts, layout, watch)
    with progress(name) as watch:
        fitted = recipe.fit(counts, layout, watch)
    model = LinearModel(layout, vocabulary, fitted.weights)
    return Trained(model, recipe, fitted.losses, perf_counter() - started)
