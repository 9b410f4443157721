import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.scoring.percentile_table import KNOTS, PercentileTable, round_to_float32

# Names of one character from -30 to -10, of two from -60 to -20, and the same shares of both.
LIKELIHOODS = round_to_float32(np.linspace(-30, -10, KNOTS))
LOGS = np.linspace(-12, -0.01, KNOTS)
TABLE = PercentileTable(
    np.array([np.column_stack([LIKELIHOODS, LOGS]), np.column_stack([2 * LIKELIHOODS, LOGS])])
)


def share(likelihood: float, length: int) -> float:
    (found,) = TABLE.of(np.array([likelihood]), np.array([length]))
    return float(found)


def test_at_a_knot_it_is_the_share_of_the_knot() -> None:
    for length in (1, 2):
        found = TABLE.of(LIKELIHOODS * length, np.full(KNOTS, length))
        assert found == pytest.approx(np.exp(LOGS), rel=1e-12)


def test_between_knots_the_logarithm_of_the_share_is_interpolated() -> None:
    middle = (LIKELIHOODS[7] + LIKELIHOODS[8]) / 2
    assert share(middle, 1) == pytest.approx(np.exp((LOGS[7] + LOGS[8]) / 2))


def test_below_the_first_knot_it_falls_as_the_probability_of_the_name() -> None:
    assert share(-30, 1) == pytest.approx(np.exp(-12))
    assert share(-31, 1) == pytest.approx(np.exp(-13))
    assert share(-300, 1) == pytest.approx(np.exp(-282), rel=1e-9)
    assert share(-100_000, 1) == 0.0


def test_above_the_last_knot_it_stays() -> None:
    assert share(-10, 1) == share(-0.5, 1) == pytest.approx(np.exp(-0.01))


def test_a_longer_name_than_any_is_compared_by_what_it_has_a_character() -> None:
    for likelihood in (-70.0, -50.0, -33.3, -25.0):
        assert share(likelihood * 11 / 3, 10) == pytest.approx(share(likelihood, 2), rel=1e-9)


def test_the_name_without_characters_has_none_below_it() -> None:
    assert share(-0.1, 0) == 0.0


def test_what_has_no_log_likelihood_has_no_percentile() -> None:
    found = TABLE.of(np.array([-20.0, np.nan, -40.0]), np.array([1, 2, 2]))
    assert np.isnan(found).tolist() == [False, True, False]
    assert TABLE.of(np.empty(0), np.empty(0, dtype=np.intp)).shape == (0,)


@given(st.lists(st.floats(-500, 0), min_size=2), st.integers(1, 5))
def test_it_rises_with_the_log_likelihood(likelihoods: list[float], length: int) -> None:
    found = TABLE.of(np.sort(likelihoods), np.full(len(likelihoods), length))
    assert (np.diff(found) >= 0).all()
    assert ((found >= 0) & (found <= 1)).all()


@given(st.lists(st.tuples(st.floats(-100, 0), st.integers(0, 9)), max_size=40))
def test_each_name_has_its_own_whatever_stands_beside_it(names: list[tuple[float, int]]) -> None:
    likelihoods, lengths = [one for one, _ in names], [length for _, length in names]
    found = TABLE.of(np.array(likelihoods), np.array(lengths, dtype=np.intp))
    assert found.tolist() == [share(*name) for name in names]
