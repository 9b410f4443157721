from dataclasses import replace

import numpy as np
import pytest
import torch
from scipy.optimize import check_grad

import training.cli
from models.counts.context_counts import ContextCounts, count
from models.counts.transitions import transitions
from models.fitting.objective import Objective
from models.fitting.recipes import CONVERGED, POST, RECIPES
from models.linear.feature_map import FeatureMap
from models.linear.features import ARCHITECTURES
from models.text.vocabulary import Vocabulary
from tests.support.oracle import Layer

NAMES = ["ab", "abc", "cabba", "bacab", "aaa", "ab"]
every_architecture = pytest.mark.parametrize("architecture", list(ARCHITECTURES))


@pytest.fixture
def counts() -> ContextCounts:
    return count(transitions(Vocabulary("abc").encode(NAMES), order=4))


def nll(layer: Layer) -> float:
    """Mean over all transitions of the list, one by one."""
    steps = [(t, step) for name in NAMES for t, step in enumerate(layer.steps(name))]
    return -float(np.mean([np.log(layer.probabilities(t, h)[token]) for t, (h, token) in steps]))


@every_architecture
def test_the_objective_is_the_nll_of_every_transition(
    counts: ContextCounts, architecture: str
) -> None:
    feature_map = FeatureMap.from_counts(architecture, 4, 3, counts)
    weights = np.random.default_rng(1).normal(size=feature_map.shape)
    objective = Objective(counts, feature_map, torch.float64)
    layer = Layer(architecture, "abc", 3, weights, NAMES)
    assert objective.nll(weights.astype(np.float32)) == pytest.approx(nll(layer), abs=1e-6)
    assert objective(torch.from_numpy(weights))[0] == pytest.approx(nll(layer), abs=1e-12)


@every_architecture
def test_the_gradient_is_that_of_the_objective(
    counts: ContextCounts, architecture: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    feature_map = FeatureMap.from_counts(architecture, 4, 3, counts)
    start = np.random.default_rng(2).normal(size=feature_map.shape).ravel()
    for block in (2**20, 8):  # at once, and two inputs at a time
        monkeypatch.setattr("models.fitting.objective.BLOCK_LOGITS", block)
        objective = Objective(counts, feature_map, torch.float64)
        assert (len(objective._blocks) > 1) == (block == 8)

        def value(flat: np.ndarray, objective: Objective = objective) -> float:
            return objective(torch.from_numpy(flat.reshape(feature_map.shape)))[0]

        def gradient(flat: np.ndarray, objective: Objective = objective) -> np.ndarray:
            return objective(torch.from_numpy(flat.reshape(feature_map.shape)))[1].numpy().ravel()

        assert check_grad(value, gradient, start, direction="random", rng=3) < 1e-6


@every_architecture
def test_the_gradients_of_nll_and_penalty_cancel_at_converged_weights(
    counts: ContextCounts, architecture: str
) -> None:
    feature_map = FeatureMap.from_counts(architecture, 4, 3, counts)
    fitted = replace(CONVERGED, penalty=2.0, tolerance=1e-9).fit(counts, feature_map)
    weights = torch.from_numpy(fitted.weights).double()
    _, gradient = Objective(counts, feature_map, torch.float64)(weights)
    # The penalty is on the distance from a model that knows only the mean length.
    ends = len(NAMES) / counts.total
    weights[1:4, 0] -= np.log(ends * 3 / (1 - ends))
    for feature, block in zip(feature_map.features, feature_map.row_blocks, strict=True):
        pull = 2.0 * feature.penalty * weights[block] / counts.total
        assert (gradient[block] + pull).abs().max() < 1e-4
    by_length_alone = -ends * np.log(ends) - (1 - ends) * np.log((1 - ends) / 3)
    assert fitted.losses[0] == pytest.approx(by_length_alone, abs=0.3)  # but for the first letter
    assert fitted.losses[-1] == pytest.approx(min(fitted.losses), abs=1e-6)


def test_a_larger_penalty_gives_smaller_weights(counts: ContextCounts) -> None:
    feature_map = FeatureMap.from_counts("fivegram", 4, 3, counts)
    sizes = [
        np.square(replace(CONVERGED, penalty=penalty).fit(counts, feature_map).weights).sum()
        for penalty in (0.1, 1.0, 10.0)
    ]
    assert sizes[0] > sizes[1] > sizes[2]


@pytest.mark.parametrize("recipe", [POST, replace(CONVERGED, steps=20)])
def test_on_step_is_called_with_every_loss(
    counts: ContextCounts,
    recipe: type(POST) | type(CONVERGED),  # type: ignore[valid-type]
) -> None:
    losses: list[float] = []
    feature_map = FeatureMap.from_counts("positional", 4, 3, counts)
    assert recipe.fit(counts, feature_map, losses.append).losses == losses


@pytest.mark.parametrize("architecture", ["bigram", "positional", "sinusoidal"])
def test_the_optimum_is_below_the_loss_of_the_posts_recipe(
    post_counts: ContextCounts, architecture: str
) -> None:
    feature_map = FeatureMap.from_counts(architecture, 27, 23, post_counts)
    objective = Objective(post_counts, feature_map, torch.float64)
    post, converged = (
        objective.nll(recipe.fit(post_counts, feature_map).weights)
        for recipe in (POST, replace(CONVERGED, penalty=0.01))
    )
    assert converged < post - 0.005


@every_architecture
def test_repeating_the_list_and_the_penalty_keeps_the_optimum(
    post_counts: ContextCounts, counts: ContextCounts, architecture: str
) -> None:
    known = counts if architecture == "fivegram" else post_counts
    tokens = 4 if architecture == "fivegram" else 27
    feature_map = FeatureMap.from_counts(architecture, tokens, 23, known)
    lowest = []
    for times in (1, 100, 100_000):
        repeated = ContextCounts(known.transitions, known.counts * times)
        fitted = replace(CONVERGED, penalty=8.0 * times).fit(repeated, feature_map)
        assert len(fitted.losses) < CONVERGED.steps  # it converged
        lowest.append(fitted.losses[-1])
    assert lowest[1:] == pytest.approx(lowest[:1] * 2, abs=2e-3)


def test_the_command_line_offers_every_recipe() -> None:
    assert set(training.cli.RECIPE_NAMES) == RECIPES.keys()


FEW = [["emma", "ava"], ["a", "b", "c"], ["abc", "def"], ["x"], ["xiomara"] * 9 + ["bo"]]


@pytest.mark.parametrize("names", FEW, ids=" ".join)
@pytest.mark.parametrize("architecture", ["bigram", "positional", "sinusoidal"])
def test_the_posts_recipe_converges_on_a_few_names(architecture: str, names: list[str]) -> None:
    vocabulary = Vocabulary.of(names)
    counts = count(transitions(vocabulary.encode(names), 1, 23))
    fit = POST.fit(counts, FeatureMap.from_counts(architecture, len(vocabulary), 23, counts))
    layer = Layer(architecture, vocabulary.characters, 23, fit.weights, names)
    # Better than the best model without contexts, and every name is probable.
    letters = "".join(name + "." for name in names)
    shares = np.array([letters.count(letter) for letter in set(letters)]) / len(letters)
    assert nll_of(layer, names) < -(shares @ np.log(shares))
    assert min(layer.probability(name) for name in names) > 0.005


def nll_of(layer: Layer, names: list[str]) -> float:
    total = sum(float(np.log(layer.probability(name))) for name in names)
    return -total / sum(len(name) + 1 for name in names)


def test_a_step_that_increases_the_loss_is_undone(counts: ContextCounts) -> None:
    feature_map = FeatureMap.from_counts("positional", 4, 3, counts)
    high_rate = replace(POST, rate=1000.0).fit(counts, feature_map).losses
    low_rate = replace(POST, rate=1.0).fit(counts, feature_map).losses
    assert min(high_rate) < low_rate[-1]
    assert high_rate[-1] == pytest.approx(min(high_rate), abs=0.05)


@pytest.mark.parametrize("architecture", ["bigram", "positional", "sinusoidal"])
def test_no_step_on_the_posts_list_increases_the_loss(
    post_counts: ContextCounts, architecture: str
) -> None:
    losses = POST.fit(post_counts, FeatureMap.from_counts(architecture, 27, 23, post_counts)).losses
    assert (np.diff(losses) < 0).all()
