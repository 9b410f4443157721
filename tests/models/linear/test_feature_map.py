import math

import numpy as np
import pytest

from models.counts.context_counts import ContextCounts, count
from models.counts.transitions import Contexts, transitions
from models.linear.feature_map import FeatureMap
from models.linear.features import ARCHITECTURES
from models.linear.model import LinearModel
from models.text.vocabulary import Vocabulary
from tests.support.oracle import FEATURES, Layer

NONE = np.empty((0, 2), dtype=np.intp)
NAMES = ["ab", "abc", "cabba", "bacab", "aaa"]


def counts_of(names: list[str]) -> ContextCounts:
    return count(transitions(Vocabulary("abc").encode(names), order=4))


def dense(
    feature_map: FeatureMap, contexts: Contexts
) -> np.ndarray[tuple[int, ...], np.dtype[np.float64]]:
    """The input vectors of n contexts, (n, rows)."""
    rows, values = feature_map.inputs(feature_map.keys(contexts))
    vectors = np.zeros((len(rows), feature_map.shape[0]))
    np.add.at(vectors, (np.arange(len(rows))[:, np.newaxis], rows), values)
    return vectors


def test_positional_weights_are_27_character_rows_and_then_23_position_rows() -> None:
    feature_map = FeatureMap.of("positional", 27, 23, NONE, NONE)
    assert feature_map.shape == (50, 27)
    assert feature_map.blocks == [slice(0, 27), slice(27, 50)]
    (vector,) = dense(feature_map, Contexts(np.array([40]), np.array([[5]])))
    assert vector.nonzero()[0].tolist() == [5, 27 + 22]


def test_bigram_weights_are_27_character_rows_and_positions_are_nothing_to_it() -> None:
    feature_map = FeatureMap.of("bigram", 27, 23, NONE, NONE)
    assert feature_map.shape == (27, 27)
    here, there = dense(feature_map, Contexts(np.array([0, 9]), np.array([[5], [5]])))
    assert np.array_equal(here, there)


@pytest.mark.parametrize("positions", [1, 2, 3, 23, 64, 256])
def test_sines_make_a_vector_of_length_one_half_that_no_two_positions_share(
    positions: int,
) -> None:
    feature_map = FeatureMap.of("sinusoidal", 4, positions, NONE, NONE)
    contexts = Contexts(np.arange(positions), np.zeros((positions, 1), dtype=np.intp))
    sines = dense(feature_map, contexts)[:, 4:]
    assert np.linalg.norm(sines, axis=1) == pytest.approx(0.5)
    apart = np.linalg.norm(sines[:, np.newaxis] - sines, axis=2)
    assert apart[~np.eye(positions, dtype=bool)].min(initial=math.inf) > 0.05
    if positions == 23:
        assert feature_map.shape == (4 + 2 * len([4, 8, 16, 32, 64]), 4)
        assert apart[11, 12] < apart[11, 14] < apart[11, 22]


@pytest.mark.parametrize("architecture", list(ARCHITECTURES))
def test_a_context_switches_on_what_it_shows_of_what_was_seen(architecture: str) -> None:
    counts = counts_of(NAMES)
    feature_map = FeatureMap.from_counts(architecture, 4, 3, counts)
    layer = Layer(architecture, "abc", 3, np.zeros(feature_map.shape), NAMES)
    assert feature_map.shape[0] == len(layer.row)
    contexts = Contexts(*(np.array(c) for c in zip(*every_context(), strict=True)))
    expected = np.array([layer.inputs(*context) for context in every_context()])
    assert dense(feature_map, contexts) == pytest.approx(expected, abs=1e-15)


def every_context() -> list[tuple[int, tuple[int, ...]]]:
    """Every position to 6 and every history that there can be at it."""
    grid = np.indices((4, 4, 4, 4)).reshape(4, -1).T.tolist()
    return [
        (position, tuple(history))
        for position in range(7)
        for history in grid
        if history.count(0) == max(0, 4 - position) == sum(1 for h in history[position:] if h == 0)
    ]


def test_contexts_are_numbered_in_whole_words() -> None:
    # 81,000 states times 47,000 places, as a million names have, are more than 32 bits hold.
    position_contexts = FeatureMap.from_counts("fivegram", 4, 3, counts_of(NAMES)).position_contexts
    states = position_contexts.trie.locate(np.array([[1, 2, 3, 0], [2, 1, 0, 0]]))
    assert states.dtype == np.intp
    assert position_contexts.locate(np.array([3, 2]), states).dtype == np.intp


def test_contexts_that_show_too_little_are_refused() -> None:
    short = count(transitions(Vocabulary("abc").encode(NAMES), order=3))
    with pytest.raises(ValueError, match="contexts of 3 characters are too short"):
        FeatureMap.from_counts("fivegram", 4, 23, short)


@pytest.mark.parametrize("architecture", ["bigram", "positional", "sinusoidal"])
def test_places_that_an_architecture_does_not_look_at_are_refused(architecture: str) -> None:
    with pytest.raises(ValueError, match=f"a place that {architecture} does not look at"):
        FeatureMap.of(architecture, 4, 23, NONE, np.array([[1, 0]]))


@pytest.mark.parametrize("positions", [0, 257])
def test_positions_that_are_too_few_or_too_many_are_refused(positions: int) -> None:
    with pytest.raises(ValueError, match=f"{positions} positions, expected 1 to 256"):
        FeatureMap.of("bigram", 4, positions, NONE, NONE)


def test_a_large_alphabet_gets_rows_for_what_is_there_often(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    counts = counts_of(NAMES * 10 + ["cc"])
    whole = FeatureMap.from_counts("fivegram", 4, 3, counts)
    monkeypatch.setattr("models.linear.feature_map.MAX_WEIGHTS", 4 * (whole.shape[0] - 4) - 1)
    cut = FeatureMap.from_counts("fivegram", 4, 3, counts)
    layer = Layer("fivegram", "abc", 3, np.zeros(cut.shape), NAMES)
    assert cut.shape[0] == len(layer.row)  # without what only cc shows

    monkeypatch.setattr("models.linear.feature_map.MAX_WEIGHTS", 0)
    nothing = FeatureMap.from_counts("fivegram", 4, 3, counts)
    assert nothing.shape == (4 + 3, 4)


def test_features_are_named_by_what_they_look_at() -> None:
    feature_map = FeatureMap.of("fivegram", 27, 23, NONE, NONE)
    told = [feature.name.replace("position, last", "place") for feature in feature_map.features]
    assert told == FEATURES["fivegram"]
    assert (
        FeatureMap.of("sinusoidal", 27, 23, NONE, NONE).features[1].name == "sines of the position"
    )


def test_weights_of_another_shape_are_refused() -> None:
    feature_map = FeatureMap.of("bigram", 4, 23, NONE, NONE)
    with pytest.raises(ValueError, match=r"weights of shape \(4, 5\), expected \(4, 4\)"):
        LinearModel(feature_map, Vocabulary("abc"), np.zeros((4, 5), dtype=np.float32))
