"""A list of names from its counts: the counts are those of the list, and copies stay together."""

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


def spelled(counts: ContextCounts, paths: Paths) -> list[str]:
    """The names that the paths go through, each as often as it is in the list."""
    names: list[list[int]] = [[] for _ in range(len(paths))]
    positions = counts.steps.contexts.positions
    for at in np.argsort(positions[paths.steps], kind="stable"):
        step = paths.steps[at]
        assert positions[step] == len(names[paths.names[at]])
        history = counts.steps.contexts.history[step]
        before = names[paths.names[at]][::-1][: len(history)]
        assert history.tolist() == before + [BOUNDARY] * (len(history) - len(before))
        names[paths.names[at]].append(int(counts.steps.tokens[step]))
    assert all(tokens[-1] == BOUNDARY for tokens in names)
    written = LETTERS.decode(np.array([tokens + [0] * (99 - len(tokens)) for tokens in names]))
    return [
        name for name, size in zip(written, paths.sizes.tolist(), strict=True) for _ in range(size)
    ]


@given(st.lists(st.text("abc", min_size=1, max_size=8), min_size=1), st.integers(1, 5))
def test_the_paths_are_names_that_have_the_same_counts(names: list[str], order: int) -> None:
    counts = counts_of(names, order)
    again = counts_of(spelled(counts, decompose(counts)), order)
    assert np.array_equal(again.counts, counts.counts)
    assert np.array_equal(again.steps.contexts.history, counts.steps.contexts.history)


def test_names_that_their_counts_determine_are_found_with_their_multiplicities() -> None:
    names = ["anna"] * 7 + ["bo"] * 3 + ["annika", "christopher"]
    counts = counts_of(names)
    assert Counter(spelled(counts, decompose(counts))) == Counter(names)


@pytest.fixture(scope="module")
def distinct(us_names: list[str]) -> list[str]:
    return sorted(set(us_names))


def test_a_list_of_distinct_names_is_taken_apart_into_about_as_many(distinct: list[str]) -> None:
    paths = decompose(counts_of(distinct))
    assert paths.sizes.sum() == len(distinct)
    assert len(paths) > 0.9 * len(distinct)


def test_a_list_repeated_as_a_whole_has_the_same_names_as_often(distinct: list[str]) -> None:
    once, often = decompose(counts_of(distinct)), decompose(counts_of(distinct * 5))
    assert np.array_equal(often.sizes, 5 * once.sizes)
    assert np.array_equal(often.steps, once.steps)


def test_names_that_are_repeated_now_more_now_less_stay_together(distinct: list[str]) -> None:
    generator = random.Random(1)
    names = [name for name in distinct for _ in range(generator.randint(4, 6))]
    paths = decompose(counts_of(names))
    assert len(paths) < 1.1 * len(distinct)


def test_the_most_frequent_names_are_found_as_often_as_they_are(distinct: list[str]) -> None:
    random.Random(2).shuffle(distinct)
    often = {name: 3000 // (rank + 1) for rank, name in enumerate(distinct[:30])}
    counts = counts_of([name for name in distinct for _ in range(often.get(name, 1))])
    found = Counter(spelled(counts, decompose(counts)))
    for name, times in often.items():
        assert found[name] == pytest.approx(times, rel=0.15, abs=5)


def test_names_in_large_pieces_have_the_same_counts(
    distinct: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(models.counts.flow_decomposition, "PIECES", 100)
    counts = counts_of(distinct)
    paths = decompose(counts)
    assert np.array_equal(
        paths.counts(paths.sizes.astype(float), len(counts.counts)), counts.counts
    )
    assert len(paths) < len(decompose_finely(counts))


def decompose_finely(counts: ContextCounts) -> Paths:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(models.counts.flow_decomposition, "PIECES", 2**20)
        return decompose(counts)


def test_what_is_beyond_the_longest_path_is_counted_all_the_same() -> None:
    counts = counts_of(["ab" * 400, "ab" * 400, "abc"])
    paths = decompose(counts)
    assert np.array_equal(
        paths.counts(paths.sizes.astype(float), len(counts.counts)), counts.counts
    )


@pytest.mark.parametrize("change", [1, -1])
def test_counts_of_which_one_is_wrong_are_those_of_no_names(change: int) -> None:
    names = ["anna", "bob", "ben", "hannah", "anna"]
    for at in range(3, len(counts_of(names).counts)):
        counts = counts_of(names)
        counts.counts[at] += change
        with pytest.raises(ValueError, match="whole names"):
            decompose(counts)
