import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.scoring.percentile_table import GRID_SIZE, PercentileTable, round_to_float32

# Log-likelihoods of one character from -30 to -10, of two from -60 to -20, with the same shares.
LIKELIHOODS = round_to_float32(np.linspace(-30, -10, GRID_SIZE))
LOGS = np.linspace(-12, -0.01, GRID_SIZE)
TABLE = PercentileTable(
    np.array([np.column_stack([LIKELIHOODS, LOGS]), np.column_stack([2 * LIKELIHOODS, LOGS])])
)


def share(likelihood: float, length: int) -> float:
    (percentile,) = TABLE.percentiles(np.array([likelihood]), np.array([length]))
    return float(percentile)


def test_the_percentile_at_a_grid_point_is_its_share() -> None:
    for length in (1, 2):
        percentiles = TABLE.percentiles(LIKELIHOODS * length, np.full(GRID_SIZE, length))
        assert percentiles == pytest.approx(np.exp(LOGS), rel=1e-12)


def test_between_grid_points_the_logarithm_of_the_share_is_interpolated() -> None:
    middle = (LIKELIHOODS[7] + LIKELIHOODS[8]) / 2
    assert share(middle, 1) == pytest.approx(np.exp((LOGS[7] + LOGS[8]) / 2))


def test_below_the_grid_the_percentile_decreases_like_the_probability() -> None:
    assert share(-30, 1) == pytest.approx(np.exp(-12))
    assert share(-31, 1) == pytest.approx(np.exp(-13))
    assert share(-300, 1) == pytest.approx(np.exp(-282), rel=1e-9)
    assert share(-100_000, 1) == 0.0


def test_above_the_grid_the_percentile_is_constant() -> None:
    assert share(-10, 1) == share(-0.5, 1) == pytest.approx(np.exp(-0.01))


def test_a_longer_name_is_compared_by_its_log_likelihood_per_character() -> None:
    for likelihood in (-70.0, -50.0, -33.3, -25.0):
        assert share(likelihood * 11 / 3, 10) == pytest.approx(share(likelihood, 2), rel=1e-9)


def test_the_empty_name_has_the_percentile_0() -> None:
    assert share(-0.1, 0) == 0.0


def test_a_log_likelihood_of_nan_has_the_percentile_nan() -> None:
    percentiles = TABLE.percentiles(np.array([-20.0, np.nan, -40.0]), np.array([1, 2, 2]))
    assert np.isnan(percentiles).tolist() == [False, True, False]
    assert TABLE.percentiles(np.empty(0), np.empty(0, dtype=np.intp)).shape == (0,)


@given(st.lists(st.floats(-500, 0), min_size=2), st.integers(1, 5))
def test_the_percentile_increases_with_the_log_likelihood(
    likelihoods: list[float], length: int
) -> None:
    percentiles = TABLE.percentiles(np.sort(likelihoods), np.full(len(likelihoods), length))
    assert (np.diff(percentiles) >= 0).all()
    assert ((percentiles >= 0) & (percentiles <= 1)).all()


@given(st.lists(st.tuples(st.floats(-100, 0), st.integers(0, 9)), max_size=40))
def test_the_percentile_of_a_name_does_not_depend_on_the_other_names(
    names: list[tuple[float, int]],
) -> None:
    likelihoods, lengths = [likelihood for likelihood, _ in names], [length for _, length in names]
    percentiles = TABLE.percentiles(np.array(likelihoods), np.array(lengths, dtype=np.intp))
    assert percentiles.tolist() == [share(*name) for name in names]
