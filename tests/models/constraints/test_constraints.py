import math
from typing import Any

import numpy as np
import pytest

from models.constraints.constraints import ConstraintError, Constraints


@pytest.mark.parametrize(
    ("pattern", "shortest", "longest"),
    [
        ("*", 3, 9), ("**", 3, 9), ("?", 3, 1), ("?????", 5, 5), ("?*", 3, 9), ("*??*???", 5, 9),
        ("?" * 12, 12, 9), ("", 3, 0),
    ],
)  # fmt: skip
def test_a_pattern_of_question_marks_and_stars_becomes_limits_of_the_length(
    pattern: str, shortest: int, longest: int
) -> None:
    constraints = Constraints(9, 0.5, min_length=3, pattern=pattern, novel=True)
    expected = Constraints(longest, 0.5, min_length=shortest, novel=True)
    assert constraints.simplified == expected


@pytest.mark.parametrize("pattern", ["a", "a*", "?[a-z]", "[?]", "[*]"])
def test_other_patterns_are_not_simplified(pattern: str) -> None:
    constraints = Constraints(pattern=pattern)
    assert constraints.simplified is constraints


NAN, INFINITY = math.nan, math.inf


@pytest.mark.parametrize(
    ("field", "values", "message"),
    [
        ("temperature", [0, 0.0, -0.0, -1, -1e-9, NAN, INFINITY, -INFINITY, "1", None, True, 1j,
                         np.float64("nan"), np.float32(0)],
         "Input should be a finite number greater than 0"),
        ("top_k", [0, -1, 1.0, NAN, "1", True, np.int64(0)],
         "Input should be an integer of at least 1"),
        ("min_length", [0, -1, 1.0, NAN, None, "1", True],
         "Input should be an integer of at least 1"),
        ("max_length", [-1, 8.0, NAN, INFINITY, None, "8", False],
         "Input should be an integer of at least 0"),
    ],
)  # fmt: skip
def test_a_number_out_of_range_raises_an_error_with_its_field(
    field: str, values: list[Any], message: str
) -> None:
    for value in values:
        with pytest.raises(ConstraintError) as caught:
            Constraints(**{field: value})
        assert (caught.value.field, str(caught.value)) == (field, message), value


def test_limits_of_the_ranges_and_numpy_numbers_are_valid() -> None:
    Constraints(max_length=1, temperature=1e-9, min_length=1, top_k=1)
    Constraints(10**9, 1e9, 10**9, 10**9)
    of_numpy: list[Any] = [np.int64(8), np.float32(0.5), np.intp(2), np.uint8(3)]
    Constraints(*of_numpy)
    Constraints(temperature=1, top_k=None)
    Constraints(0)  # the simplified form of an empty pattern
    Constraints(3, min_length=4)  # unsatisfiable, which condition() reports
