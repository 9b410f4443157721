import re
from fnmatch import fnmatchcase

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from models.constraints.constraints import ConstraintError, TooComplexError
from models.constraints.glob import MAX_PATTERN_STATES, min_match_length, pattern_automaton
from models.text.vocabulary import Vocabulary
from tests.support.automata import allowed, allows
from tests.support.oracle import all_names

ABC = Vocabulary("abc")
MARKS = Vocabulary("!-]ab")  # with the characters that are special in brackets
PARTS = ["a", "b", "?", "*", "[ab]", "[!a]", "[a-b]", "[]a]", "[!]]", "[a-]", "[-a]", "[!-]",
         "[]-a]", "[!-]]", "[--b]", "[!!]", "[a-b-]", "[?*]", "[[]", "-", "]", "!"]  # fmt: skip
PATTERNS = st.lists(st.sampled_from(PARTS), max_size=6).map("".join) | st.text("ab?*[]!-")
# A bracket closes at the first ] that is not its first character, behind a ! if there is one.
CLOSED = re.compile(r"(?:[^\[]|\[!?+.[^\]]*+\])*+")
RANGE = re.compile(r"(?=(.)-(.))")


@settings(max_examples=300)
@given(PATTERNS)
@example("")
@example("[]-b]")
@example("[a-b-!]")
def test_a_pattern_matches_the_names_that_fnmatch_does(pattern: str) -> None:
    backwards = any(first > last for first, last in RANGE.findall(pattern))
    try:
        automaton = pattern_automaton(pattern, MARKS)
    except ConstraintError:
        assert backwards or not CLOSED.fullmatch(pattern)
        return
    assert CLOSED.fullmatch(pattern)
    names = ["", *all_names(MARKS.characters, 4)]
    assert allowed(automaton, MARKS, names) == [n for n in names if fnmatchcase(n, pattern)]


@settings(max_examples=150)
@given(st.lists(st.sampled_from(["a", "b", "c", "?", "*", "[ab]", "[!a]", "[b-c]"])).map("".join))
def test_a_pattern_matches_longer_names_as_fnmatch_does(pattern: str) -> None:
    names = ["", *all_names("abc", 6)]
    automaton = pattern_automaton(pattern, ABC)
    assert allowed(automaton, ABC, names) == [name for name in names if fnmatchcase(name, pattern)]


@pytest.mark.parametrize(
    ("pattern", "name", "expected"),
    [("[*]", "*", True), ("[*]", "a", False), ("[?]", "?", True), ("[?]", "b", False),
     ("[[]", "[", True), ("[!a]", "!", True), ("[a!]", "!", True), ("[a^]", "^", True),
     ("[a^]", "b", False), ("a-b", "a-b", True), ("]", "]", True), ("\\*", "\\b", True),
     ("{a,b}", "a", False), ("[.]", "a", False), (".", "a", False)],
)  # fmt: skip
def test_characters_that_are_not_special_match_themselves(
    pattern: str, name: str, expected: bool
) -> None:
    signs = Vocabulary("!*-.?[\\]^ab")
    assert allows(pattern_automaton(pattern, signs), signs, name) == expected


@pytest.mark.parametrize("pattern", ["Ab*", "aB*", "[A]b*", "a[A-C]*", "AB*"])
def test_case_is_ignored_if_the_vocabulary_is_in_lower_case(pattern: str) -> None:
    lower = pattern_automaton(pattern.lower(), ABC)
    names = all_names("abc", 4)
    assert allowed(pattern_automaton(pattern, ABC), ABC, names) == allowed(lower, ABC, names)


def test_case_is_respected_if_the_vocabulary_keeps_it() -> None:
    kept = Vocabulary("ABab", keep_case=True)
    names = all_names("ABab", 3)
    for pattern in ("A*", "[A-B]?", "*b", "[!a]*", "[A-a]"):
        expected = [name for name in names if fnmatchcase(name, pattern)]
        assert allowed(pattern_automaton(pattern, kept), kept, names) == expected


@pytest.mark.parametrize("pattern", ["[a-C]*", "[A-c]?", "[!a-B]"])
def test_a_range_of_mixed_case_is_read_in_lower_case(pattern: str) -> None:
    names = all_names("abc", 3)
    expected = [name for name in names if fnmatchcase(name, pattern.lower())]
    assert allowed(pattern_automaton(pattern, ABC), ABC, names) == expected


@pytest.mark.parametrize("sigma", "\u03a3\u03c3\u03c2")
def test_all_sigmas_are_the_same_letter_unless_case_is_kept(sigma: str) -> None:
    letters = "\u03b1\u03c2\u03c3\u03c4"  # alpha, final sigma, sigma, tau
    vocabulary, kept = Vocabulary(letters), Vocabulary(letters, keep_case=True)
    names = all_names(letters, 3)
    begun = [name for name in names if re.match("\u03b1[\u03c2\u03c3]", name)]
    for pattern in (f"\u0391{sigma}*", f"\u03b1[{sigma}]*", f"\u03b1[{sigma}-{sigma}]*"):
        assert allowed(pattern_automaton(pattern, vocabulary), vocabulary, names) == begun
    without = [name for name in names if not set("\u03c2\u03c3") & set(name[0])]
    assert allowed(pattern_automaton(f"[!{sigma}]*", vocabulary), vocabulary, names) == without
    exactly = [name for name in names if name[0] == sigma]
    assert allowed(pattern_automaton(f"{sigma}*", kept), kept, names) == exactly


def test_the_minimum_length_of_a_decomposed_pattern_counts_composed_characters() -> None:
    for pattern in ("zoe\u0301", "ZOE\u0301", "z[o]e\u0301", "\ufeffz\u00adoé"):
        assert min_match_length(pattern, Vocabulary("eozé")) == 3
    assert min_match_length("*e\u0301?[e\u0301]", Vocabulary("é")) == 3


def test_an_accent_after_a_wildcard_is_a_character_of_its_own() -> None:
    accents = Vocabulary("eqé\u0301")
    names = ["é", "q\u0301", "eq\u0301", "qq"]
    assert allowed(pattern_automaton("?\u0301", accents), accents, names) == ["q\u0301"]
    assert allowed(pattern_automaton("*\u0301", accents), accents, names) == ["q\u0301", "eq\u0301"]


def test_an_i_is_read_as_the_vocabulary_reads_names() -> None:
    letters = "i\u0131"
    for capital, turkish, expected in [("I", False, "i"), ("\u0130", False, "i"),
                                       ("I", True, "\u0131"), ("I\u0307", True, "i")]:  # fmt: skip
        vocabulary = Vocabulary(letters, turkish=turkish)
        for pattern in (capital, f"[{capital}]"):
            pattern_allows = allowed(pattern_automaton(pattern, vocabulary), vocabulary, [*letters])
            assert pattern_allows == [expected]


@pytest.mark.parametrize("accented", ["é", "e\u0301", "É", "E\u0301"])
@pytest.mark.parametrize("around", ["{}", "[{}]", "*{}", "[{}-{}]"])
def test_an_accent_is_part_of_its_letter(accented: str, around: str) -> None:
    accents = Vocabulary("eé")
    pattern = pattern_automaton(around.format(accented, accented), accents)
    assert allowed(pattern, accents, ["e", "é"]) == ["é"]


def test_ranges_are_of_code_points() -> None:
    letters = Vocabulary("azßäöüжяد名𝒳")
    for pattern in ("[a-z]", "[à-ÿ]", "[а-я]", "[!a-z]", "[٠-名]", "?", "[名-𝒳]", "[ß-ü]"):
        automaton = pattern_automaton(pattern, letters)
        expected = [c for c in letters.characters if fnmatchcase(c, pattern)]
        assert allowed(automaton, letters, list(letters.characters)) == expected, pattern


@pytest.mark.parametrize(
    ("pattern", "expected"),
    [("x", 0), ("ax*", 0), ("[x-z]", 0), ("[!x]", 3), ("[xa]", 1), ("[!a-z]", 0),
     ("\U0010ffff", 0), ("[\0-\U0010ffff]", 3), ("\ud800", 0)],
)  # fmt: skip
def test_characters_outside_the_vocabulary_match_nothing(pattern: str, expected: int) -> None:
    assert len(allowed(pattern_automaton(pattern, ABC), ABC, all_names("abc", 3))) == expected


@pytest.mark.parametrize(
    ("pattern", "reason"),
    [
        ("qx[yz", "The [ at character 3 is not closed by a ]"),
        ("[", "The [ at character 1 is not closed by a ]"),
        ("[]", "The [ at character 1 is not closed by a ]"),
        ("[!", "The [ at character 1 is not closed by a ]"),
        ("*[!]", "The [ at character 2 is not closed by a ]"),
        ("[q][x", "The [ at character 4 is not closed by a ]"),
        ("q[^x]", "Negate with !, not with ^, at character 3"),
        ("[z-x]", "The range at character 2 runs backwards"),
        ("qx[!qz-x]", "The range at character 6 runs backwards"),
        ("[x--]", "The range at character 2 runs backwards"),
        ("[Z-a]", "The range at character 2 runs backwards"),  # as it is read, in lower case
    ],
)
def test_an_error_in_a_pattern_reports_its_position(pattern: str, reason: str) -> None:
    with pytest.raises(ConstraintError) as caught:
        pattern_automaton(pattern, ABC)
    assert (str(caught.value), caught.value.field) == (reason, "pattern")
    assert not isinstance(caught.value, TooComplexError)


def test_a_pattern_that_needs_too_many_states_raises_an_error_at_once() -> None:
    """The complete automaton has 2**40 states."""
    with pytest.raises(TooComplexError, match="more than 4,096 states") as caught:
        pattern_automaton("*a" + "?" * 40, ABC)
    assert caught.value.field == "pattern"


def test_the_limit_of_states_is_exact() -> None:
    # A state for each set of positions of a among the last 12 characters.
    assert len(pattern_automaton("*a" + "?" * 11, ABC)) == MAX_PATTERN_STATES
    with pytest.raises(TooComplexError):
        pattern_automaton("*a" + "?" * 12, ABC)


@pytest.mark.parametrize(
    ("pattern", "states"),
    [("*" * 256, 1), ("?" * 256, 257), ("a" * 256, 257), ("*a" * 128, 129), ("[ab]" * 64, 65),
     ("*?" * 128, 129), ("*a*b" * 64, 129), ("*ab*ba" * 42 + "*", 169), ("", 1)],
)  # fmt: skip
def test_a_long_pattern_needs_at_most_one_state_for_each_position(
    pattern: str, states: int
) -> None:
    assert len(pattern_automaton(pattern, ABC)) == states


def test_all_256_characters_of_a_pattern_count() -> None:
    automaton = pattern_automaton("?" * 255 + "a", ABC)
    assert allows(automaton, ABC, "b" * 255 + "a")
    for other in ("b" * 256, "b" * 254 + "a", "b" * 256 + "a"):
        assert not allows(automaton, ABC, other)
