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


def steps_said_plainly(names: list[str], order: int, positions: int) -> list[tuple[int, ...]]:
    """(position, last token, the one before, ..., next token) for each step of each name."""
    steps = []
    for name in names:
        tokens = [LETTERS.characters.index(c) + 1 for c in name]
        for t in range(len(tokens) + 1):
            history = ([0] * order + tokens[:t])[t:][::-1]
            steps.append((min(t, positions - 1), *history, [*tokens, 0][t]))
    return steps


@given(lists, st.integers(0, 4), st.integers(1, 5))
def test_transitions_are_every_step_of_every_name(
    names: list[str], order: int, positions: int
) -> None:
    steps = transitions(LETTERS.encode(names), order, positions)
    table = np.column_stack([steps.contexts.positions, steps.contexts.history, steps.tokens])
    assert [tuple(row) for row in table.tolist()] == steps_said_plainly(names, order, positions)


def table(counts: ContextCounts) -> list[tuple[int, ...]]:
    """(position, last token, the one before, ..., next token, count) for each count, in order."""
    contexts = counts.steps.contexts
    columns = [contexts.positions, *contexts.history.T, counts.steps.tokens, counts.counts]
    return list(zip(*(column.tolist() for column in columns), strict=True))


def counted(names: list[str], order: int, positions: int | None = None) -> ContextCounts:
    return count(transitions(LETTERS.encode(names), order, positions))


@given(lists, st.integers(0, 4), st.integers(1, 5) | st.none())
def test_counts_are_the_steps_counted_in_order(
    names: list[str], order: int, positions: int | None
) -> None:
    counts = counted(names, order, positions)
    plain = Counter(steps_said_plainly(names, order, positions or 1_000))
    assert table(counts) == [(*step, n) for step, n in sorted(plain.items())]
    assert counts.total == sum(len(name) + 1 for name in names)
    assert counts.order == order


rows = st.tuples(st.integers(0, 2**31), *[st.sampled_from([0, 1, 97, 20_000, 0x10FFFF])] * 5)


@given(st.lists(rows, min_size=1, max_size=30))
def test_no_alphabet_is_too_large_and_no_position_too_far(rows: list[tuple[int, ...]]) -> None:
    columns = np.array(rows, dtype=np.intp)
    steps = Transitions(Contexts(columns[:, 0], columns[:, 1:-1]), columns[:, -1])
    assert table(count(steps)) == [(*row, n) for row, n in sorted(Counter(rows).items())]


@given(st.lists(lists, min_size=1), st.integers(0, 4))
def test_counts_of_parts_add_up_to_the_counts_of_the_list(
    parts: list[list[str]], order: int
) -> None:
    whole = counted([name for part in parts for name in part], order)
    assert table(add(counted(part, order) for part in parts)) == table(whole)


def test_parts_without_end_add_up_in_bounded_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("models.counts.context_counts.ROWS", 10)
    total = add(counted(["abc", "ca"], 2) for _ in range(1_000))
    assert table(total) == table(counted(["abc", "ca"] * 1_000, 2))


@given(lists, st.integers(0, 4), st.integers(1, 5))
def test_counts_are_clamped_as_if_they_had_been_counted_so(
    names: list[str], order: int, positions: int
) -> None:
    assert table(clamp(counted(names, order), positions)) == table(counted(names, order, positions))


@given(lists, st.integers(0, 4), st.integers(0, 4))
def test_counts_are_shortened_as_if_they_had_been_counted_so(
    names: list[str], order: int, more: int
) -> None:
    assert table(shorten(counted(names, order + more), order)) == table(counted(names, order))


def test_history_that_was_not_counted_cannot_be_shown() -> None:
    with pytest.raises(ValueError, match="counts of order 1 cannot be made to show 2"):
        shorten(counted(["abc"], 1), 2)
