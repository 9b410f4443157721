"""Rare characters as one class, and frequent characters, which keep their own."""

import numpy as np
import pytest

import models.fitting.character_classes
from models.arrays import Ints
from models.counts.context_counts import ContextCounts, count
from models.counts.transitions import transitions
from models.fitting.character_classes import CharacterClasses
from models.fitting.objective import Objective
from models.fitting.recipes import CONVERGED, POST, Recipe
from models.linear.feature_map import FeatureMap
from models.linear.features import ARCHITECTURES
from models.text.vocabulary import Vocabulary
from tests.support.oracle import Layer

LETTERS = "abcdef"
NAMES = ["ab", "abab", "ba", "abba", "acb", "adb", "ea", "fab", "bad", "cab"]
RARE = "cdef"
recipes = pytest.mark.parametrize("recipe", [POST, CONVERGED], ids=["post", "converged"])
every_architecture = pytest.mark.parametrize("architecture", list(ARCHITECTURES))


@pytest.fixture
def counts() -> ContextCounts:
    return count(transitions(Vocabulary(LETTERS).encode(NAMES), order=4, positions=5))


@pytest.fixture
def few_classes(monkeypatch: pytest.MonkeyPatch) -> None:
    """Four classes: the end, a, b and the others."""
    monkeypatch.setattr(models.fitting.character_classes, "MAX_CLASSES", 4)


def expected_counts() -> Ints:
    return np.array(["".join(NAMES).count(letter) for letter in RARE])


def test_small_alphabets_have_a_class_for_each_character(counts: ContextCounts) -> None:
    classes = CharacterClasses.of(counts, 7)
    assert classes.of_tokens.tolist() == list(range(7))
    assert not classes.log_shares.any()


@pytest.mark.usefixtures("few_classes")
def test_the_frequent_characters_keep_a_class_of_their_own(counts: ContextCounts) -> None:
    classes = CharacterClasses.of(counts, 7)
    assert classes.of_tokens.tolist() == [0, 1, 2, 3, 3, 3, 3]
    assert classes.representatives.tolist() == [0, 1, 2, 3, 3, 3, 3]
    shares = np.exp(classes.log_shares)
    assert shares[:3].tolist() == [1, 1, 1]
    assert shares[3:] == pytest.approx((expected_counts() + 0.5) / (expected_counts() + 0.5).sum())


@pytest.mark.usefixtures("few_classes")
@every_architecture
@recipes
def test_rare_characters_share_their_class_in_proportion_to_their_counts(
    counts: ContextCounts, architecture: str, recipe: Recipe
) -> None:
    feature_map = FeatureMap.from_counts(architecture, 7, 5, counts)
    weights = recipe.fit(counts, feature_map).weights
    layer = Layer(architecture, LETTERS, 5, weights, NAMES)
    for before in ((1, 0, 0, 0), (2, 1, 0, 0), (3, 1, 0, 0)):
        probabilities = np.array(layer.probabilities(before.index(0), before))
        assert probabilities.sum() == pytest.approx(1)
        rare = probabilities[3:]
        expected = (expected_counts() + 0.5) / (expected_counts() + 0.5).sum()
        assert rare / rare.sum() == pytest.approx(expected, rel=1e-5)


@pytest.mark.usefixtures("few_classes")
@recipes
def test_fitting_classes_equals_fitting_a_list_with_merged_letters(
    counts: ContextCounts, recipe: Recipe
) -> None:
    merged = [name.translate(str.maketrans("def", "ccc")) for name in NAMES]
    small = count(transitions(Vocabulary("abc").encode(merged), order=4, positions=5))
    for architecture in ("bigram", "positional", "sinusoidal"):
        feature_map = FeatureMap.from_counts(architecture, 4, 5, small)
        nll = Objective(small, feature_map).nll(recipe.fit(small, feature_map).weights)
        feature_map = FeatureMap.from_counts(architecture, 7, 5, counts)
        weights = recipe.fit(counts, feature_map).weights
        layer = Layer(architecture, LETTERS, 5, weights, NAMES)
        likelihoods = [np.log(layer.probability(name)) for name in NAMES]
        shares = dict(zip(RARE, CharacterClasses.of(counts, 7).log_shares[3:], strict=True))
        within = sum(shares.get(letter, 0.0) for name in NAMES for letter in name)
        total = sum(len(name) + 1 for name in NAMES)
        tolerance = 1e-3 if recipe is CONVERGED else 0.05  # the post's start is random
        assert -(sum(likelihoods) - within) / total == pytest.approx(nll, abs=tolerance)
