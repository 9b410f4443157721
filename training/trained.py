"""Counts -> a trained model: lay out its weights, choose the penalty, fit."""

from time import perf_counter

from models.arrays import array_dataclass
from models.counts import ContextCounts, clamp, shorten
from models.features import ARCHITECTURES
from models.fitting import RECIPES, Convergence, Recipe, one_thread
from models.layout import Layout
from models.linear import LinearModel
from models.selection import select
from models.vocabulary import Vocabulary
from models.weighting import WeightedNames
from training.progress import progress


@array_dataclass
class Trained:
    """A model and how it came about.

    losses: at each step, penalty included, in nats a character
    seconds: of the fit, the choice of the penalty included
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
    """Train an architecture by its own recipe, or by the one named.

    counts: of whole names, at positions that are not clamped, with at least the history that the
        architecture looks at; the more history, the better `converged` chooses its penalty
    """
    started = perf_counter()
    order = ARCHITECTURES[name].order
    shown = shorten(clamp(counts, positions), order)
    layout = Layout.seen(name, len(vocabulary), positions, shown)
    recipe = RECIPES[recipe_name or ARCHITECTURES[name].recipe_for(len(vocabulary))]
    if isinstance(recipe, Convergence):
        names = WeightedNames.of(counts, order, positions)
        shown = names.all
        with progress(f"{name}, choosing the penalty") as watch, one_thread():
            recipe = select(recipe, names, layout, watch)
    with progress(name) as watch, one_thread():
        fitted = recipe.fit(shown, layout, watch)
    reached = int(shown.steps.contexts.positions.max())
    weights = layout.repeat_last_position(fitted.weights, reached)
    model = LinearModel(layout, vocabulary, weights)
    return Trained(model, recipe, fitted.losses, perf_counter() - started)
