"""Choice of the L2 penalty by cross-validation on held-out names.

All copies of a name are on the same side of a split: fitted or held out.
"""

from collections.abc import Iterator
from dataclasses import replace

import numpy as np

from models.counts.context_counts import ContextCounts
from models.fitting.fit_result import OnStep, ignore_loss
from models.fitting.lbfgs import LBFGS
from models.fitting.name_weighting import WeightedNames
from models.fitting.objective import Objective
from models.linear.feature_map import FeatureMap

FOLDS = 10  # parts of the names; a split holds out one of them
MIN_HELD_OUT = 40  # names held out in all splits together: a short list has several splits
MIN_CROSS_VALIDATED_NAMES = 20  # fewer names are fitted closely, without cross-validation
CLOSE_FIT_FACTOR = 2.0**-5  # of the recipe's penalty, for fewer names
MAX_DOUBLINGS = 6  # doublings or halvings of the recipe's penalty
TRIAL_STEPS = 30  # of a fit in cross-validation: close enough to the optimum to compare penalties


def choose_penalty(
    recipe: LBFGS,
    names: WeightedNames,
    feature_map: FeatureMap,
    on_step: OnStep = ignore_loss,
) -> LBFGS:
    """Return the recipe with the penalty of the lowest negative log-likelihood on held-out names.

    The candidates are doublings and halvings of the recipe's penalty, searched downhill from it.
    The feature map may have contexts that only held-out names have: their weights stay zero.

    on_step: called with the loss of each step of all fits
    """
    if len(names) < MIN_CROSS_VALIDATED_NAMES:
        return replace(recipe, penalty=recipe.penalty * CLOSE_FIT_FACTOR)
    splits = [(fitted, Objective(held_out, feature_map)) for fitted, held_out in _splits(names)]
    nlls: dict[int, float] = {}  # by doublings

    def nll(doublings: int) -> float:
        if doublings not in nlls:
            trial = replace(recipe, penalty=recipe.penalty * 2.0**doublings, steps=TRIAL_STEPS)
            nlls[doublings] = sum(
                objective.total * objective.nll(trial.fit(fitted, feature_map, on_step).weights)
                for fitted, objective in splits
            )
        return nlls[doublings]

    best = 0
    for direction in (1, -1):
        while abs(best + direction) <= MAX_DOUBLINGS and nll(best + direction) < nll(best):
            best += direction
    return replace(recipe, penalty=recipe.penalty * 2.0**best)


def _splits(names: WeightedNames) -> Iterator[tuple[ContextCounts, ContextCounts]]:
    """Yield the fitted and the held-out counts of one split, or of several for a short list."""
    folds = np.random.default_rng(0).permutation(len(names)) % FOLDS
    for fold in range(min(FOLDS, -(-MIN_HELD_OUT * FOLDS // len(names)))):
        yield names.select(folds != fold), names.select(folds == fold)
