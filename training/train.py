"""Counts -> a trained model: lay out its weights, choose the penalty, fit."""

from time import perf_counter

from models.arrays import array_dataclass
from models.counts.context_counts import ContextCounts, clamp, shorten
from models.fitting.name_weighting import WeightedNames
from models.fitting.penalty import select
from models.fitting.recipes import RECIPES, Convergence, Recipe, one_thread
from models.linear.feature_map import FeatureMap
from models.linear.features import ARCHITECTURES
from models.linear.model import LinearModel
from models.text.vocabulary import Vocabulary
from training.progress import progress


@array_dataclass
class TrainedModel:
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
) -> TrainedModel:
    """Train an architecture by its own recipe, or by the one named.

    counts: of whole names, at positions that are not clamped, with at least the history that the
        architecture looks at; the more history, the better `converged` chooses its penalty
    """
    started = perf_counter()
    order = ARCHITECTURES[name].order
    shown = shorten(clamp(counts, positions), order)
    feature_map = FeatureMap.from_counts(name, len(vocabulary), positions, shown)
    recipe = RECIPES[recipe_name or ARCHITECTURES[name].recipe_for(len(vocabulary))]
    if isinstance(recipe, Convergence):
        names = WeightedNames.of(counts, order, positions)
        shown = names.all
        with progress(f"{name}, choosing the penalty") as watch, one_thread():
            recipe = select(recipe, names, feature_map, watch)
    with progress(name) as watch, one_thread():
        fitted = recipe.fit(shown, feature_map, watch)
    reached = int(shown.transitions.contexts.positions.max())
    weights = feature_map.repeat_last_position(fitted.weights, reached)
    model = LinearModel(feature_map, vocabulary, weights)
    return TrainedModel(model, recipe, fitted.losses, perf_counter() - started)
