from collections import Counter

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from models.counts import count
from models.transitions import transitions
from models.vocabulary import Vocabulary

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


@given(lists, st.integers(0, 4), st.integers(1, 5))
def test_counts_are_the_steps_counted(names: list[str], order: int, positions: int) -> None:
    counts = count(transitions(LETTERS.encode(names), order, positions))
    contexts = counts.steps.contexts
    table = np.column_stack([contexts.positions, contexts.history, counts.steps.tokens])
    counted = {tuple(row): n for row, n in zip(table.tolist(), counts.counts.tolist(), strict=True)}
    assert counted == Counter(steps_said_plainly(names, order, positions))
    assert counts.total == sum(len(name) + 1 for name in names)
