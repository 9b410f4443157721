import random
from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest

from models.counts.context_counts import ContextCounts, clamp, count
from models.counts.transitions import transitions
from models.fitting.name_weighting import WeightedNames
from models.fitting.objective import Objective
from models.fitting.penalty import CLOSE, FEWEST, WIDEST, select
from models.fitting.recipes import CONVERGED, POST, Convergence, Recipe
from models.linear.feature_map import FeatureMap
from models.linear.features import ARCHITECTURES
from models.text.vocabulary import Vocabulary

ALPHABET = Vocabulary("abcdefghijklmnopqrstuvwxyz")


def counts_of(names: list[str]) -> ContextCounts:
    return count(transitions(ALPHABET.encode(names), order=4))


def selected(counts: ContextCounts, feature_map: FeatureMap) -> Convergence:
    return select(CONVERGED, WeightedNames.of(counts, 4, 23), feature_map)


def held_out_nll(
    recipe: Recipe, feature_map: FeatureMap, shown: ContextCounts, held: ContextCounts
) -> float:
    return Objective(held, feature_map).nll(recipe.fit(shown, feature_map).weights)


@pytest.mark.parametrize("architecture", list(ARCHITECTURES))
@pytest.mark.parametrize(
    "number", [100, *(pytest.param(number, marks=pytest.mark.slow) for number in (300, 1_000))]
)
def test_on_a_small_list_the_converged_recipe_beats_the_posts(
    us_names: list[str], architecture: str, number: int
) -> None:
    distinct = sorted(set(us_names))
    for seed in (1, 2):
        random.Random(seed).shuffle(distinct)
        shown, held = counts_of(distinct[:number]), counts_of(distinct[number : number + 3_000])
        known = 27, 23, shown
        feature_map = FeatureMap.from_counts(architecture, *known)
        recipe = selected(shown, feature_map)
        post = FeatureMap.from_counts(
            architecture if architecture != "fivegram" else "positional", *known
        )
        assert held_out_nll(recipe, feature_map, shown, held) < held_out_nll(
            POST, post, shown, held
        )


def test_the_penalty_chosen_is_about_the_best_for_names_not_seen(us_names: list[str]) -> None:
    distinct = sorted(set(us_names))
    random.Random(3).shuffle(distinct)
    shown, held = counts_of(distinct[:1_000]), counts_of(distinct[1_000:4_000])
    feature_map = FeatureMap.from_counts("fivegram", 27, 23, shown)
    chosen = selected(shown, feature_map)
    tried = [
        held_out_nll(replace(CONVERGED, penalty=2.0**doublings), feature_map, shown, held)
        for doublings in range(-3, 6)
    ]
    assert held_out_nll(chosen, feature_map, shown, held) < min(tried) + 0.01


def test_the_choice_is_the_same_every_time(us_names: list[str]) -> None:
    counts = counts_of(us_names[:500])
    feature_map = FeatureMap.from_counts("fivegram", 27, 23, counts)
    assert selected(counts, feature_map) == selected(counts, feature_map)


@pytest.mark.parametrize("names", [["a"], ["a", "b"], ["ab"] * 50, ["ab" * 150]])
def test_any_list_gets_some_penalty(names: list[str]) -> None:
    counts = counts_of(names)
    feature_map = FeatureMap.from_counts("fivegram", 27, 23, counts)
    penalty = selected(counts, feature_map).penalty
    assert 2.0**-WIDEST <= penalty <= 2.0**WIDEST
    assert np.isfinite(replace(CONVERGED, penalty=penalty).fit(counts, feature_map).weights).all()


def test_noise_gets_more_penalty_and_a_rule_gets_less() -> None:
    generator = random.Random(4)
    letters = ALPHABET.characters
    noise = ["".join(generator.choices(letters, k=6)) for _ in range(300)]
    rule = [letters[start:stop] for start in range(23) for stop in range(start + 3, 27)]
    for names, more in ((noise, True), (rule, False)):
        counts = counts_of(names)
        penalty = selected(counts, FeatureMap.from_counts("fivegram", 27, 23, counts)).penalty
        assert (penalty > CONVERGED.penalty) == more


@pytest.fixture(scope="module")
def distinct(us_names: list[str]) -> list[str]:
    names = sorted(set(us_names))
    random.Random(5).shuffle(names)
    return names


def fitted_nll(names: list[str], held_out: list[str]) -> float:
    """Of held-out names, of a model fitted as a job fits it."""
    counts = counts_of(names)
    feature_map = FeatureMap.from_counts("fivegram", 27, 23, clamp(counts, 23))
    weighted = WeightedNames.of(counts, 4, 23)
    weights = select(CONVERGED, weighted, feature_map).fit(weighted.all, feature_map).weights
    return Objective(clamp(counts_of(held_out), 23), feature_map).nll(weights)


REPEATED: dict[str, Callable[[int, random.Random], int]] = {
    "each five times": lambda rank, _: 5,
    "each now more, now less": lambda _, generator: generator.randint(4, 6),
    "by Zipf's law": lambda rank, _: max(1, 300 // (rank + 1)),
    "some a thousand times": lambda rank, _: 1000 if rank < 10 else 1,
}


@pytest.mark.parametrize("kind", REPEATED)
def test_repeated_names_do_not_make_others_less_well_predicted(
    distinct: list[str], kind: str
) -> None:
    fitted, held_out = distinct[:1_500], distinct[1_500:4_500]
    generator = random.Random(6)
    names = [n for rank, n in enumerate(fitted) for _ in range(REPEATED[kind](rank, generator))]
    assert fitted_nll(names, held_out) < fitted_nll(fitted, held_out) + 0.03


@pytest.mark.parametrize("number", [1, 2, FEWEST - 1])
def test_a_few_names_are_followed_closely(number: int, distinct: list[str]) -> None:
    counts = counts_of(distinct[:number] * 3)
    feature_map = FeatureMap.from_counts("fivegram", 27, 23, counts)
    assert selected(counts, feature_map) == replace(CONVERGED, penalty=CONVERGED.penalty * CLOSE)
