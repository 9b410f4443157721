from collections import Counter

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.counts.context_counts import ContextCounts, add, clamp, count, shorten
from models.counts.transitions import Contexts, Transitions, transitions
from models.text.vocabulary import Vocabulary

lists = st.lists(st.text("abc"), min_size=1, max_size=20)
LETTERS = Vocabulary("abc")


def plain_transitions(names: list[str], order: int, positions: int) -> list[tuple[int, ...]]:
    """Return (position, last token, token before, ..., next token) for each transition."""
    rows = []
    for name in names:
        tokens = [LETTERS.characters.index(c) + 1 for c in name]
        for t in range(len(tokens) + 1):
            history = ([0] * order + tokens[:t])[t:][::-1]
            rows.append((min(t, positions - 1), *history, [*tokens, 0][t]))
    return rows


@given(lists, st.integers(0, 4), st.integers(1, 5))
def test_transitions_are_all_transitions_of_all_names(
    names: list[str], order: int, positions: int
) -> None:
    made = transitions(LETTERS.encode(names), order, positions)
    table = np.column_stack([made.contexts.positions, made.contexts.history, made.tokens])
    assert [tuple(row) for row in table.tolist()] == plain_transitions(names, order, positions)


def table(counts: ContextCounts) -> list[tuple[int, ...]]:
    """Return (position, last token, token before, ..., next token, count) for each row."""
    contexts = counts.transitions.contexts
    columns = [contexts.positions, *contexts.history.T, counts.transitions.tokens, counts.counts]
    return list(zip(*(column.tolist() for column in columns), strict=True))


def counted(names: list[str], order: int, positions: int | None = None) -> ContextCounts:
    return count(transitions(LETTERS.encode(names), order, positions))


@given(lists, st.integers(0, 4), st.integers(1, 5) | st.none())
def test_counts_are_the_sorted_counts_of_equal_transitions(
    names: list[str], order: int, positions: int | None
) -> None:
    counts = counted(names, order, positions)
    plain = Counter(plain_transitions(names, order, positions or 1_000))
    assert table(counts) == [(*row, n) for row, n in sorted(plain.items())]
    assert counts.total == sum(len(name) + 1 for name in names)
    assert counts.order == order


rows = st.tuples(st.integers(0, 2**31), *[st.sampled_from([0, 1, 97, 20_000, 0x10FFFF])] * 5)


@given(st.lists(rows, min_size=1, max_size=30))
def test_counting_works_for_any_alphabet_and_any_position(rows: list[tuple[int, ...]]) -> None:
    columns = np.array(rows, dtype=np.intp)
    made = Transitions(Contexts(columns[:, 0], columns[:, 1:-1]), columns[:, -1])
    assert table(count(made)) == [(*row, n) for row, n in sorted(Counter(rows).items())]


@given(st.lists(lists, min_size=1), st.integers(0, 4))
def test_counts_of_parts_add_up_to_the_counts_of_the_list(
    parts: list[list[str]], order: int
) -> None:
    whole = counted([name for part in parts for name in part], order)
    assert table(add(counted(part, order) for part in parts)) == table(whole)


def test_any_number_of_parts_adds_up_in_bounded_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("models.counts.context_counts.MAX_PENDING_ROWS", 10)
    total = add(counted(["abc", "ca"], 2) for _ in range(1_000))
    assert table(total) == table(counted(["abc", "ca"] * 1_000, 2))


@given(lists, st.integers(0, 4), st.integers(1, 5))
def test_clamped_counts_equal_counts_at_clamped_positions(
    names: list[str], order: int, positions: int
) -> None:
    assert table(clamp(counted(names, order), positions)) == table(counted(names, order, positions))


@given(lists, st.integers(0, 4), st.integers(0, 4))
def test_shortened_counts_equal_counts_of_the_shorter_history(
    names: list[str], order: int, more: int
) -> None:
    assert table(shorten(counted(names, order + more), order)) == table(counted(names, order))


def test_counts_cannot_be_shortened_to_a_longer_history() -> None:
    with pytest.raises(ValueError, match="counts of order 1 cannot be shortened to order 2"):
        shorten(counted(["abc"], 1), 2)
