import random
from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest

from models.counts.context_counts import ContextCounts, clamp, count
from models.counts.transitions import transitions
from models.fitting.lbfgs import LBFGS
from models.fitting.name_weighting import WeightedNames
from models.fitting.objective import Objective
from models.fitting.penalty import (
    CLOSE_FIT_FACTOR,
    MIN_CROSS_VALIDATED_NAMES,
    choose_penalty,
)
from models.fitting.recipes import CONVERGED, POST, Recipe
from models.linear.feature_map import FeatureMap
from models.linear.features import ARCHITECTURES
from models.text.vocabulary import Vocabulary

ALPHABET = Vocabulary("abcdefghijklmnopqrstuvwxyz")


def counts_of(names: list[str]) -> ContextCounts:
    return count(transitions(ALPHABET.encode(names), order=4))


def chosen_recipe(counts: ContextCounts, feature_map: FeatureMap) -> LBFGS:
    return choose_penalty(CONVERGED, WeightedNames.of(counts, 4, 23), feature_map)


def held_out_nll(
    recipe: Recipe, feature_map: FeatureMap, fitted: ContextCounts, held: ContextCounts
) -> float:
    return Objective(held, feature_map).nll(recipe.fit(fitted, feature_map).weights)


@pytest.mark.parametrize("architecture", list(ARCHITECTURES))
@pytest.mark.parametrize(
    "number", [100, *(pytest.param(number, marks=pytest.mark.slow) for number in (300, 1_000))]
)
def test_the_converged_recipe_is_better_than_the_posts_on_a_small_list(
    us_names: list[str], architecture: str, number: int
) -> None:
    distinct = sorted(set(us_names))
    for seed in (1, 2):
        random.Random(seed).shuffle(distinct)
        fitted, held = counts_of(distinct[:number]), counts_of(distinct[number : number + 3_000])
        known = 27, 23, fitted
        feature_map = FeatureMap.from_counts(architecture, *known)
        recipe = chosen_recipe(fitted, feature_map)
        post_map = FeatureMap.from_counts(
            architecture if architecture != "fivegram" else "positional", *known
        )
        assert held_out_nll(recipe, feature_map, fitted, held) < held_out_nll(
            POST, post_map, fitted, held
        )


@pytest.mark.slow
def test_the_chosen_penalty_is_nearly_the_best_for_unseen_names(us_names: list[str]) -> None:
    distinct = sorted(set(us_names))
    random.Random(3).shuffle(distinct)
    fitted, held = counts_of(distinct[:1_000]), counts_of(distinct[1_000:4_000])
    feature_map = FeatureMap.from_counts("fivegram", 27, 23, fitted)
    chosen = chosen_recipe(fitted, feature_map)
    nlls = [
        held_out_nll(replace(CONVERGED, penalty=2.0**doublings), feature_map, fitted, held)
        for doublings in range(-3, 6)
    ]
    assert held_out_nll(chosen, feature_map, fitted, held) < min(nlls) + 0.01


def test_the_chosen_penalty_is_deterministic(us_names: list[str]) -> None:
    counts = counts_of(us_names[:500])
    feature_map = FeatureMap.from_counts("fivegram", 27, 23, counts)
    assert chosen_recipe(counts, feature_map) == chosen_recipe(counts, feature_map)


@pytest.mark.parametrize("names", [["a"], ["a", "b"], ["ab"] * 50, ["ab" * 150]])
def test_any_list_has_finite_weights_at_the_chosen_penalty(names: list[str]) -> None:
    counts = counts_of(names)
    feature_map = FeatureMap.from_counts("fivegram", 27, 23, counts)
    penalty = chosen_recipe(counts, feature_map).penalty
    assert np.isfinite(replace(CONVERGED, penalty=penalty).fit(counts, feature_map).weights).all()


def test_random_names_have_a_larger_penalty_than_regular_names() -> None:
    generator = random.Random(4)
    letters = ALPHABET.characters
    random_names = ["".join(generator.choices(letters, k=6)) for _ in range(300)]
    regular = [letters[start:stop] for start in range(23) for stop in range(start + 3, 27)]
    for names, larger in ((random_names, True), (regular, False)):
        counts = counts_of(names)
        penalty = chosen_recipe(counts, FeatureMap.from_counts("fivegram", 27, 23, counts)).penalty
        assert (penalty > CONVERGED.penalty) == larger


@pytest.fixture(scope="module")
def distinct(us_names: list[str]) -> list[str]:
    names = sorted(set(us_names))
    random.Random(5).shuffle(names)
    return names


def fitted_nll(names: list[str], held_out: list[str]) -> float:
    """The NLL of held-out names under a model that is fitted as the training job does."""
    counts = counts_of(names)
    feature_map = FeatureMap.from_counts("fivegram", 27, 23, clamp(counts, 23))
    weighted = WeightedNames.of(counts, 4, 23)
    weights = (
        choose_penalty(CONVERGED, weighted, feature_map).fit(weighted.all, feature_map).weights
    )
    return Objective(clamp(counts_of(held_out), 23), feature_map).nll(weights)


REPEATED: dict[str, Callable[[int, random.Random], int]] = {
    "each five times": lambda rank, _: 5,
    "each four to six times": lambda _, generator: generator.randint(4, 6),
    "by Zipf's law": lambda rank, _: max(1, 300 // (rank + 1)),
    "ten names a thousand times": lambda rank, _: 1000 if rank < 10 else 1,
}


@pytest.mark.parametrize(
    "kind",
    [
        "by Zipf's law",
        *(pytest.param(kind, marks=pytest.mark.slow) for kind in REPEATED if "Zipf" not in kind),
    ],
)
def test_repeated_names_do_not_raise_the_nll_of_other_names(distinct: list[str], kind: str) -> None:
    fitted, held_out = distinct[:1_500], distinct[1_500:4_500]
    generator = random.Random(6)
    names = [n for rank, n in enumerate(fitted) for _ in range(REPEATED[kind](rank, generator))]
    assert fitted_nll(names, held_out) < fitted_nll(fitted, held_out) + 0.03


@pytest.mark.parametrize("number", [1, 2, MIN_CROSS_VALIDATED_NAMES - 1])
def test_a_few_names_are_fitted_closely(number: int, distinct: list[str]) -> None:
    counts = counts_of(distinct[:number] * 3)
    feature_map = FeatureMap.from_counts("fivegram", 27, 23, counts)
    assert chosen_recipe(counts, feature_map) == replace(
        CONVERGED, penalty=CONVERGED.penalty * CLOSE_FIT_FACTOR
    )
