import random
from dataclasses import replace

import numpy as np
import pytest

from models.counts import ContextCounts, count
from models.features import ARCHITECTURES
from models.fitting import CONVERGED, POST, Objective, Recipe
from models.layout import Layout
from models.selection import WIDEST, select
from models.transitions import transitions
from models.vocabulary import Vocabulary

ALPHABET = Vocabulary("abcdefghijklmnopqrstuvwxyz")


def counts_of(names: list[str]) -> ContextCounts:
    return count(transitions(ALPHABET.encode(names), order=4))


def held_out_nll(
    recipe: Recipe, layout: Layout, shown: ContextCounts, held: ContextCounts
) -> float:
    return Objective(held, layout).nll(recipe.fit(shown, layout).weights)


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
        layout = Layout.seen(architecture, *known)
        recipe = select(CONVERGED, shown, layout)
        post = Layout.seen(architecture if architecture != "fivegram" else "positional", *known)
        assert held_out_nll(recipe, layout, shown, held) < held_out_nll(POST, post, shown, held)


def test_the_penalty_chosen_is_about_the_best_for_names_not_seen(us_names: list[str]) -> None:
    distinct = sorted(set(us_names))
    random.Random(3).shuffle(distinct)
    shown, held = counts_of(distinct[:1_000]), counts_of(distinct[1_000:4_000])
    layout = Layout.seen("fivegram", 27, 23, shown)
    chosen = select(CONVERGED, shown, layout)
    tried = [
        held_out_nll(replace(CONVERGED, penalty=2.0**doublings), layout, shown, held)
        for doublings in range(-3, 6)
    ]
    assert held_out_nll(chosen, layout, shown, held) < min(tried) + 0.01


def test_the_choice_is_the_same_every_time(us_names: list[str]) -> None:
    counts = counts_of(us_names[:500])
    layout = Layout.seen("fivegram", 27, 23, counts)
    assert select(CONVERGED, counts, layout) == select(CONVERGED, counts, layout)


@pytest.mark.parametrize("names", [["a"], ["a", "b"], ["ab"] * 50])
def test_any_list_gets_some_penalty(names: list[str]) -> None:
    counts = counts_of(names)
    layout = Layout.seen("fivegram", 27, 23, counts)
    penalty = select(CONVERGED, counts, layout).penalty
    assert 2.0**-WIDEST <= penalty <= 2.0**WIDEST
    assert np.isfinite(replace(CONVERGED, penalty=penalty).fit(counts, layout).weights).all()


def test_noise_gets_more_penalty_and_a_rule_gets_less() -> None:
    generator = random.Random(4)
    noise = ["".join(generator.choices(ALPHABET.characters, k=6)) for _ in range(300)]
    for names, more in ((noise, True), (["abcdef"] * 300, False)):
        counts = counts_of(names)
        penalty = select(CONVERGED, counts, Layout.seen("fivegram", 27, 23, counts)).penalty
        assert (penalty > CONVERGED.penalty) == more


@pytest.mark.parametrize("share", [0.0, 1.0])
def test_if_nothing_or_everything_is_set_aside_the_recipe_stays(
    share: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("models.selection.SHARE", share)
    counts = counts_of(["ab", "ba"])
    assert select(CONVERGED, counts, Layout.seen("bigram", 27, 23, counts)) == CONVERGED
