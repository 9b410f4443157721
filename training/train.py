"""Training of one model: counts -> feature map -> penalty -> fitted weights."""

from time import perf_counter

from models.arrays import array_dataclass
from models.counts.context_counts import ContextCounts, clamp, shorten
from models.fitting.lbfgs import LBFGS
from models.fitting.name_weighting import WeightedNames
from models.fitting.penalty import choose_penalty
from models.fitting.recipes import RECIPES, Recipe, single_thread
from models.linear.feature_map import FeatureMap
from models.linear.features import ARCHITECTURES
from models.linear.model import LinearModel
from models.text.vocabulary import Vocabulary
from training.progress import progress


@array_dataclass
class TrainedModel:
    """A fitted model and how it was fitted.

    losses: loss of each evaluation of the recipe, penalty included, in nats per character
    seconds: duration of the fit, including the choice of the penalty
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
    """Train an architecture by the named recipe, or by its default recipe.

    `counts` are of complete names, at positions that are not clamped, with at least the order of
    the architecture. With a higher order, `converged` chooses its penalty more accurately.
    """
    started = perf_counter()
    order = ARCHITECTURES[name].order
    clamped_counts = shorten(clamp(counts, positions), order)
    feature_map = FeatureMap.from_counts(name, len(vocabulary), positions, clamped_counts)
    recipe = RECIPES[recipe_name or ARCHITECTURES[name].recipe_for(len(vocabulary))]
    if isinstance(recipe, LBFGS):
        names = WeightedNames.of(counts, order, positions)
        clamped_counts = names.all
        with progress(f"{name}, choosing the penalty") as phase, single_thread():
            recipe = choose_penalty(recipe, names, feature_map, phase)
    with progress(name) as phase, single_thread():
        fitted = recipe.fit(clamped_counts, feature_map, phase)
    last_position = int(clamped_counts.transitions.contexts.positions.max())
    weights = feature_map.repeat_last_position(fitted.weights, last_position)
    model = LinearModel(feature_map, vocabulary, weights)
    return TrainedModel(model, recipe, fitted.losses, perf_counter() - started)
