import numpy as np
import pytest

from models.features import ARCHITECTURES, Layout, OneHot
from models.transitions import Contexts


def every_context(tokens: int, positions: int, order: int) -> Contexts:
    grid = np.indices((positions, *[tokens] * order)).reshape(order + 1, -1)
    return Contexts(grid[0], grid[1:].T)


def test_positional_weights_are_27_character_rows_and_then_23_position_rows() -> None:
    layout = Layout(ARCHITECTURES["positional"], tokens=27, positions=23)
    assert layout.size == 50
    assert layout.blocks == [slice(0, 27), slice(27, 50)]
    context = Contexts(np.array([22]), np.array([[5]]))
    assert layout.rows(context).tolist() == [[5, 27 + 22]]


def test_bigram_weights_are_27_character_rows() -> None:
    layout = Layout(ARCHITECTURES["bigram"], tokens=27, positions=23)
    assert layout.size == 27
    assert layout.order == 1


def test_a_feature_gives_each_combination_it_looks_at_a_row_of_its_own() -> None:
    contexts = every_context(tokens=3, positions=4, order=2)
    for feature, looks_at in [
        (OneHot(last=2), contexts.history),
        (OneHot(position=True), contexts.positions[:, np.newaxis]),
        (
            OneHot(last=1, position=True),
            np.column_stack([contexts.positions, contexts.history[:, 0]]),
        ),
    ]:
        rows = feature.rows(contexts, tokens=3)
        assert set(rows.tolist()) == set(range(feature.size(tokens=3, positions=4)))
        assert len(np.unique(looks_at, axis=0)) == feature.size(tokens=3, positions=4)
        same_row = rows[:, np.newaxis] == rows
        same_view = (looks_at[:, np.newaxis] == looks_at).all(axis=-1)
        assert np.array_equal(same_row, same_view)


def test_a_context_with_too_little_history_is_refused() -> None:
    context = Contexts(np.array([3]), np.array([[1]]))
    with pytest.raises(ValueError, match="'last 2' needs contexts with more history"):
        OneHot(last=2).rows(context, tokens=27)


def test_features_are_named_by_what_they_look_at() -> None:
    features = [OneHot(last=1), OneHot(position=True), OneHot(last=1, position=True)]
    assert [f.name for f in features] == ["last 1", "position", "position, last 1"]
