"""Tied rows, compared with rows that are fitted one by one."""

import numpy as np
import pytest
import torch
from scipy.optimize import minimize

from models.counts.context_counts import ContextCounts, count
from models.counts.transitions import transitions
from models.fitting.objective import Objective
from models.fitting.recipes import CONVERGED
from models.fitting.tied_rows import TiedRows
from models.linear.feature_map import FeatureMap
from models.linear.features import ARCHITECTURES
from models.text.vocabulary import Vocabulary

NAMES = ["ab", "abc", "cabba", "bacab", "aaa", "ab"]


@pytest.fixture
def counts() -> ContextCounts:
    return count(transitions(Vocabulary("abc").encode(NAMES), order=4, positions=3))


def test_rows_in_the_same_inputs_are_tied() -> None:
    rows = np.array([[0, 1, 2], [0, 1, 3], [4, 5, 3]])
    values = np.ones((3, 3))
    values[2, 1] = 0.0  # row 5 is in no input
    ties = TiedRows.of((rows, values), np.array([1.0, 4.0, 1.0, 1.0, 1.0, 1.0, 1.0]))
    tied = [set(np.flatnonzero(ties.of_rows == group)) for group in range(len(ties.penalties))]
    assert sorted(map(sorted, tied)) == [[0, 1], [2], [3], [4], [5, 6]]
    assert ties.shares[:2].tolist() == [0.8, 0.2]
    assert ties.penalties[ties.of_rows[0]] == pytest.approx(0.8)
    groups, tied_values = ties.tie((rows, values))
    for at in range(3):
        nonzero = groups[at][tied_values[at] != 0].tolist()
        expected = {int(ties.of_rows[row]) for row in rows[at][values[at] != 0]}
        assert nonzero == sorted(expected)


def test_rows_of_values_other_than_one_are_not_tied() -> None:
    rows, values = np.array([[0, 1], [0, 1]]), np.array([[0.5, 0.5], [0.25, 0.5]])
    assert len(TiedRows.of((rows, values), np.ones(2)).penalties) == 2


@pytest.mark.parametrize("architecture", list(ARCHITECTURES))
def test_tied_rows_have_the_optimum_of_separate_rows(
    counts: ContextCounts, architecture: str
) -> None:
    feature_map = FeatureMap.from_counts(architecture, 4, 3, counts)
    objective = Objective(counts, feature_map, torch.float64)
    sizes = [block.stop - block.start for block in feature_map.row_blocks]
    penalties = np.repeat([feature.penalty for feature in feature_map.features], sizes)[
        :, np.newaxis
    ]
    ends = np.array([name.count("") - 1 for name in NAMES]).sum() + len(NAMES)  # transitions
    start = np.zeros(feature_map.shape)
    start[1:4, 0] = np.log(len(NAMES) / ends * 3 / (1 - len(NAMES) / ends))

    def loss(flat: np.ndarray) -> tuple[float, np.ndarray]:
        weights = flat.reshape(feature_map.shape)
        nll, gradient = objective(torch.from_numpy(weights))
        pull = penalties * (weights - start) / objective.total
        return nll + (pull * (weights - start)).sum() / 2, (gradient.numpy() + pull).ravel()

    optimum = minimize(loss, start.ravel(), jac=True, method="L-BFGS-B", options={"ftol": 1e-15})
    fitted = CONVERGED.fit(counts, feature_map)
    assert fitted.losses[-1] == pytest.approx(optimum.fun, abs=1e-5)
    assert fitted.weights == pytest.approx(optimum.x.reshape(feature_map.shape), abs=0.02)
