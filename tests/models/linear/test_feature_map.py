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
    """Return the input vectors of n contexts, (n, rows)."""
    rows, values = feature_map.inputs(feature_map.context_keys(contexts))
    vectors = np.zeros((len(rows), feature_map.shape[0]))
    np.add.at(vectors, (np.arange(len(rows))[:, np.newaxis], rows), values)
    return vectors


def test_positional_weights_are_27_character_rows_followed_by_23_position_rows() -> None:
    feature_map = FeatureMap.from_arrays("positional", 27, 23, NONE, NONE)
    assert feature_map.shape == (50, 27)
    assert feature_map.row_blocks == [slice(0, 27), slice(27, 50)]
    (vector,) = dense(feature_map, Contexts(np.array([40]), np.array([[5]])))
    assert vector.nonzero()[0].tolist() == [5, 27 + 22]


def test_bigram_weights_are_27_character_rows_and_ignore_the_position() -> None:
    feature_map = FeatureMap.from_arrays("bigram", 27, 23, NONE, NONE)
    assert feature_map.shape == (27, 27)
    first, tenth = dense(feature_map, Contexts(np.array([0, 9]), np.array([[5], [5]])))
    assert np.array_equal(first, tenth)


@pytest.mark.parametrize("positions", [1, 2, 3, 23, 64, 256])
def test_sines_are_vectors_of_length_one_half_and_differ_between_positions(
    positions: int,
) -> None:
    feature_map = FeatureMap.from_arrays("sinusoidal", 4, positions, NONE, NONE)
    contexts = Contexts(np.arange(positions), np.zeros((positions, 1), dtype=np.intp))
    sines = dense(feature_map, contexts)[:, 4:]
    assert np.linalg.norm(sines, axis=1) == pytest.approx(0.5)
    distances = np.linalg.norm(sines[:, np.newaxis] - sines, axis=2)
    assert distances[~np.eye(positions, dtype=bool)].min(initial=math.inf) > 0.05
    if positions == 23:
        assert feature_map.shape == (4 + 2 * len([4, 8, 16, 32, 64]), 4)
        assert distances[11, 12] < distances[11, 14] < distances[11, 22]


@pytest.mark.parametrize("architecture", list(ARCHITECTURES))
def test_a_context_switches_on_the_rows_of_its_known_suffixes(architecture: str) -> None:
    counts = counts_of(NAMES)
    feature_map = FeatureMap.from_counts(architecture, 4, 3, counts)
    layer = Layer(architecture, "abc", 3, np.zeros(feature_map.shape), NAMES)
    assert feature_map.shape[0] == len(layer.row)
    contexts = Contexts(*(np.array(c) for c in zip(*every_context(), strict=True)))
    expected = np.array([layer.inputs(*context) for context in every_context()])
    assert dense(feature_map, contexts) == pytest.approx(expected, abs=1e-15)


def every_context() -> list[tuple[int, tuple[int, ...]]]:
    """Return every position up to 6 with every possible history at it."""
    grid = np.indices((4, 4, 4, 4)).reshape(4, -1).T.tolist()
    return [
        (position, tuple(history))
        for position in range(7)
        for history in grid
        if history.count(0) == max(0, 4 - position) == sum(1 for h in history[position:] if h == 0)
    ]


def test_context_keys_are_64_bit_integers() -> None:
    # A million names have 81,000 states times 47,000 position contexts: more than 32 bits.
    position_contexts = FeatureMap.from_counts("fivegram", 4, 3, counts_of(NAMES)).position_contexts
    states = position_contexts.trie.locate(np.array([[1, 2, 3, 0], [2, 1, 0, 0]]))
    assert states.dtype == np.intp
    assert position_contexts.locate(np.array([3, 2]), states).dtype == np.intp


def test_counts_of_too_low_an_order_are_rejected() -> None:
    short = count(transitions(Vocabulary("abc").encode(NAMES), order=3))
    with pytest.raises(ValueError, match="counts of order 3; the architecture needs 4"):
        FeatureMap.from_counts("fivegram", 4, 23, short)


@pytest.mark.parametrize("architecture", ["bigram", "positional", "sinusoidal"])
def test_position_contexts_that_no_feature_looks_at_are_rejected(
    architecture: str,
) -> None:
    with pytest.raises(ValueError, match=f"position contexts that {architecture} does not look at"):
        FeatureMap.from_arrays(architecture, 4, 23, NONE, np.array([[1, 0]]))


@pytest.mark.parametrize("positions", [0, 257])
def test_numbers_of_positions_out_of_range_are_rejected(positions: int) -> None:
    with pytest.raises(ValueError, match=f"{positions} positions, expected 1 to 256"):
        FeatureMap.from_arrays("bigram", 4, positions, NONE, NONE)


def test_above_the_limit_of_weights_only_frequent_contexts_get_rows(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    counts = counts_of(NAMES * 10 + ["cc"])
    full = FeatureMap.from_counts("fivegram", 4, 3, counts)
    monkeypatch.setattr(
        "models.linear.feature_map.MAX_CONTEXT_WEIGHTS", 4 * (full.shape[0] - 4) - 1
    )
    cut = FeatureMap.from_counts("fivegram", 4, 3, counts)
    layer = Layer("fivegram", "abc", 3, np.zeros(cut.shape), NAMES)
    assert cut.shape[0] == len(layer.row)  # without the contexts that only cc has

    monkeypatch.setattr("models.linear.feature_map.MAX_CONTEXT_WEIGHTS", 0)
    smallest = FeatureMap.from_counts("fivegram", 4, 3, counts)
    assert smallest.shape == (4 + 3, 4)


def test_features_are_named_by_the_part_of_the_context_that_they_look_at() -> None:
    feature_map = FeatureMap.from_arrays("fivegram", 27, 23, NONE, NONE)
    names = [feature.name for feature in feature_map.features]
    assert names == FEATURES["fivegram"]
    assert (
        FeatureMap.from_arrays("sinusoidal", 27, 23, NONE, NONE).features[1].name
        == "sines of the position"
    )


def test_weights_of_another_shape_are_rejected() -> None:
    feature_map = FeatureMap.from_arrays("bigram", 4, 23, NONE, NONE)
    with pytest.raises(ValueError, match=r"weights of shape \(4, 5\), expected \(4, 4\)"):
        LinearModel(feature_map, Vocabulary("abc"), np.zeros((4, 5), dtype=np.float32))
