"""Weights of repeated names, compared with weights of each name of a list."""

from collections import defaultdict

import numpy as np
import pytest

from models.counts.context_counts import ContextCounts, count
from models.counts.transitions import transitions
from models.fitting.name_weighting import WeightedNames
from models.text.vocabulary import Vocabulary

LETTERS = Vocabulary("abcdefghijklmnopqrstuvwxyz")
NAMES = ["anna"] * 16 + ["bo"] * 4 + ["christopher"]  # determined by their counts


def counts_of(names: list[str], order: int = 4, positions: int | None = None) -> ContextCounts:
    return count(transitions(LETTERS.encode(names), order, positions))


def as_dictionary(counts: ContextCounts) -> dict[tuple[int, ...], float]:
    contexts = counts.transitions.contexts
    keys = np.column_stack([contexts.positions, contexts.history, counts.transitions.tokens])
    return dict(zip(map(tuple, keys.tolist()), counts.counts.tolist(), strict=True))


@pytest.mark.parametrize(("order", "positions"), [(4, 23), (1, 3)])
def test_the_weight_of_a_name_is_the_root_of_its_count(order: int, positions: int) -> None:
    expected: defaultdict[tuple[int, ...], float] = defaultdict(float)
    for name, weight in {"anna": 4, "bo": 2, "christopher": 1}.items():
        for step, times in as_dictionary(counts_of([name], order, positions)).items():
            expected[step] += times * weight / (7 / 3)  # 1 on average
    names = WeightedNames.of(counts_of(NAMES), order, positions)
    assert len(names) == 3
    assert as_dictionary(names.all) == pytest.approx(dict(expected))


def test_selected_names_have_their_own_counts() -> None:
    names = WeightedNames.of(counts_of(NAMES), 4, 23)
    parts = [names.select(np.arange(3) == index) for index in range(3)]
    steps = [set(as_dictionary(part)) for part in parts]
    alone = [set(as_dictionary(counts_of([name]))) for name in ("anna", "bo", "christopher")]
    assert sorted(map(sorted, steps)) == sorted(map(sorted, alone))


def test_repeating_the_whole_list_does_not_change_the_weights(us_names: list[str]) -> None:
    once, repeated = (WeightedNames.of(counts_of(us_names[:500] * n), 4, 23).all for n in (1, 7))
    assert as_dictionary(repeated) == pytest.approx(as_dictionary(once))
