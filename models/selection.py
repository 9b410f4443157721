"""How strong the penalty should be: chosen on transitions that the fit did not see."""

from dataclasses import replace

import numpy as np

from models.arrays import Ints
from models.counts import ContextCounts
from models.fitting import Convergence, Objective, Watch, unwatched
from models.layout import Layout
from models.transitions import Contexts, Transitions

SHARE = 0.1  # of the transitions, set aside at random
STEPS = 40  # near enough to the optimum to choose by
WIDEST = 6  # doublings or halvings of the recipe's own penalty


def select(
    recipe: Convergence, counts: ContextCounts, layout: Layout, watch: Watch = unwatched
) -> Convergence:
    """The recipe with the penalty, of its doublings and halvings, that predicts best.

    Walks downhill from the recipe's own penalty. The layout may know contexts that
    are only in the transitions set aside: their weights stay zero.
    """
    aside = np.random.default_rng(0).binomial(counts.counts, SHARE)
    if not 0 < aside.sum() < counts.total:
        return recipe  # too few to set any aside
    shown, held_out = _part(counts, counts.counts - aside), _part(counts, aside)
    judge = Objective(held_out, layout)
    tried: dict[int, float] = {}

    def nll(doublings: int) -> float:
        if doublings not in tried:
            trial = replace(recipe, penalty=recipe.penalty * 2.0**doublings, steps=STEPS)
            tried[doublings] = judge.nll(trial.fit(shown, layout, watch).weights)
        return tried[doublings]

    best = 0
    for step in (1, -1):
        while abs(best + step) <= WIDEST and nll(best + step) < nll(best):
            best += step
    return replace(recipe, penalty=recipe.penalty * 2.0**best)


def _part(counts: ContextCounts, times: Ints) -> ContextCounts:
    """The same steps, but so many of each."""
    some = times > 0
    contexts = counts.steps.contexts
    kept = Contexts(contexts.positions[some], contexts.history[some])
    return ContextCounts(Transitions(kept, counts.steps.tokens[some]), times[some])
