import pytest

from models.wish import Wish


@pytest.mark.parametrize(
    ("pattern", "shortest", "longest"),
    [
        ("*", 3, 9), ("**", 3, 9), ("?", 3, 1), ("?????", 5, 5), ("?*", 3, 9), ("*??*???", 5, 9),
        ("?" * 12, 12, 9), ("", 3, 0),
    ],
)  # fmt: skip
def test_a_pattern_of_question_marks_and_stars_is_about_lengths(
    pattern: str, shortest: int, longest: int
) -> None:
    wish = Wish(9, 0.5, min_length=3, pattern=pattern, novel=True)
    expected = Wish(longest, 0.5, min_length=shortest, novel=True)
    assert wish.simplified == expected


@pytest.mark.parametrize("pattern", ["a", "a*", "?[a-z]", "[?]", "[*]"])
def test_any_other_pattern_stays(pattern: str) -> None:
    wish = Wish(pattern=pattern)
    assert wish.simplified is wish
