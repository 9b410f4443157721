"""The choice of the penalty, by the likelihood of held-out names.

All copies of a name are on the same side: fitted or held out.
"""

from collections.abc import Iterator
from dataclasses import replace

import numpy as np

from models.counts.context_counts import ContextCounts
from models.fitting.name_weighting import WeightedNames
from models.fitting.objective import Objective
from models.fitting.recipes import Callback, Convergence, ignore_progress
from models.linear.feature_map import FeatureMap

PARTS = 10  # of the names, of which one is held out
HELD_OUT = 40  # names, at least, in all the parts that are held out in turn
FEWEST = 20  # names: too few to hold any out, so the penalty is small and the fit close
CLOSE = 2.0**-5  # of the recipe's own penalty
STEPS = 30  # near enough to the optimum to choose by
WIDEST = 6  # doublings or halvings of the recipe's own penalty


def select(
    recipe: Convergence,
    names: WeightedNames,
    feature_map: FeatureMap,
    watch: Callback = ignore_progress,
) -> Convergence:
    """The recipe with the penalty, of its doublings and halvings, that predicts best.

    Walks downhill from the recipe's own penalty. The layout may know contexts that
    are only in the names held out: their weights stay zero.
    """
    if len(names) < FEWEST:
        return replace(recipe, penalty=recipe.penalty * CLOSE)
    splits = [(shown, Objective(held_out, feature_map)) for shown, held_out in _splits(names)]
    tried: dict[int, float] = {}

    def nll(doublings: int) -> float:
        if doublings not in tried:
            trial = replace(recipe, penalty=recipe.penalty * 2.0**doublings, steps=STEPS)
            tried[doublings] = sum(
                judge.total * judge.nll(trial.fit(shown, feature_map, watch).weights)
                for shown, judge in splits
            )
        return tried[doublings]

    best = 0
    for step in (1, -1):
        while abs(best + step) <= WIDEST and nll(best + step) < nll(best):
            best += step
    return replace(recipe, penalty=recipe.penalty * 2.0**best)


def _splits(names: WeightedNames) -> Iterator[tuple[ContextCounts, ContextCounts]]:
    """The counts fitted and the counts held out: one split, or several for a short list."""
    part = np.random.default_rng(0).permutation(len(names)) % PARTS
    for held_out in range(min(PARTS, -(-HELD_OUT * PARTS // len(names)))):
        yield names.some(part != held_out), names.some(part == held_out)
