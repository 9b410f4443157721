"""Flow decomposition: the names have the given counts, and repeated names stay together."""

import random
from collections import Counter

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import models.counts.flow_decomposition
from models.counts.context_counts import ContextCounts, count
from models.counts.flow_decomposition import Paths, decompose
from models.counts.transitions import transitions
from models.text.vocabulary import BOUNDARY, Vocabulary

LETTERS = Vocabulary("abcdefghijklmnopqrstuvwxyz")


def counts_of(names: list[str], order: int = 4) -> ContextCounts:
    return count(transitions(LETTERS.encode(names), order))


def names_of(counts: ContextCounts, paths: Paths) -> list[str]:
    """Return the names of the paths, each as often as its size."""
    names: list[list[int]] = [[] for _ in range(len(paths))]
    positions = counts.transitions.contexts.positions
    for index in np.argsort(positions[paths.transitions], kind="stable"):
        transition = paths.transitions[index]
        assert positions[transition] == len(names[paths.names[index]])
        history = counts.transitions.contexts.history[transition]
        before = names[paths.names[index]][::-1][: len(history)]
        assert history.tolist() == before + [BOUNDARY] * (len(history) - len(before))
        names[paths.names[index]].append(int(counts.transitions.tokens[transition]))
    assert all(tokens[-1] == BOUNDARY for tokens in names)
    written = LETTERS.decode(np.array([tokens + [0] * (99 - len(tokens)) for tokens in names]))
    return [
        name for name, size in zip(written, paths.sizes.tolist(), strict=True) for _ in range(size)
    ]


@given(st.lists(st.text("abc", min_size=1, max_size=8), min_size=1), st.integers(1, 5))
def test_the_names_of_the_paths_have_the_same_counts(names: list[str], order: int) -> None:
    counts = counts_of(names, order)
    again = counts_of(names_of(counts, decompose(counts)), order)
    assert np.array_equal(again.counts, counts.counts)
    assert np.array_equal(again.transitions.contexts.history, counts.transitions.contexts.history)


def test_names_determined_by_their_counts_are_found_with_their_multiplicities() -> None:
    names = ["anna"] * 7 + ["bo"] * 3 + ["annika", "christopher"]
    counts = counts_of(names)
    assert Counter(names_of(counts, decompose(counts))) == Counter(names)


@pytest.fixture(scope="module")
def distinct(us_names: list[str]) -> list[str]:
    return sorted(set(us_names))


def test_a_list_of_distinct_names_has_about_as_many_paths(distinct: list[str]) -> None:
    paths = decompose(counts_of(distinct))
    assert paths.sizes.sum() == len(distinct)
    assert len(paths) > 0.9 * len(distinct)


def test_a_list_repeated_as_a_whole_has_the_same_paths_with_larger_sizes(
    distinct: list[str],
) -> None:
    once, repeated = decompose(counts_of(distinct)), decompose(counts_of(distinct * 5))
    assert np.array_equal(repeated.sizes, 5 * once.sizes)
    assert np.array_equal(repeated.transitions, once.transitions)


def test_names_repeated_a_varying_number_of_times_stay_together(distinct: list[str]) -> None:
    generator = random.Random(1)
    names = [name for name in distinct for _ in range(generator.randint(4, 6))]
    paths = decompose(counts_of(names))
    assert len(paths) < 1.1 * len(distinct)


def test_the_most_frequent_names_are_found_with_about_their_frequencies(
    distinct: list[str],
) -> None:
    random.Random(2).shuffle(distinct)
    frequencies = {name: 3000 // (rank + 1) for rank, name in enumerate(distinct[:30])}
    counts = counts_of([name for name in distinct for _ in range(frequencies.get(name, 1))])
    found = Counter(names_of(counts, decompose(counts)))
    for name, frequency in frequencies.items():
        assert found[name] == pytest.approx(frequency, rel=0.15, abs=5)


def test_paths_in_large_pieces_have_the_same_counts(
    distinct: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(models.counts.flow_decomposition, "MAX_PIECES", 100)
    counts = counts_of(distinct)
    paths = decompose(counts)
    assert np.array_equal(
        paths.counts(paths.sizes.astype(float), len(counts.counts)), counts.counts
    )
    assert len(paths) < len(decompose_finely(counts))


def decompose_finely(counts: ContextCounts) -> Paths:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(models.counts.flow_decomposition, "MAX_PIECES", 2**20)
        return decompose(counts)


def test_transitions_beyond_the_longest_path_keep_their_counts() -> None:
    counts = counts_of(["ab" * 400, "ab" * 400, "abc"])
    paths = decompose(counts)
    assert np.array_equal(
        paths.counts(paths.sizes.astype(float), len(counts.counts)), counts.counts
    )


@pytest.mark.parametrize("change", [1, -1])
def test_counts_with_one_wrong_count_are_rejected(change: int) -> None:
    names = ["anna", "bob", "ben", "hannah", "anna"]
    for at in range(3, len(counts_of(names).counts)):
        counts = counts_of(names)
        counts.counts[at] += change
        with pytest.raises(ValueError, match="whole names"):
            decompose(counts)
