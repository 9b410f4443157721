import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from models.constraints.constraints import TooComplexError
from models.constraints.forbidden import exclusion_automaton
from models.text.vocabulary import Vocabulary
from tests.support.automata import allowed, allows
from tests.support.oracle import all_names

ABC = Vocabulary("abc")
NAMES = ["", *all_names("abc", 6)]


@settings(max_examples=200)
@given(st.sets(st.text("abcC", min_size=1, max_size=4), min_size=1, max_size=6))
def test_the_automaton_accepts_the_names_that_contain_no_substring(substrings: set[str]) -> None:
    automaton = exclusion_automaton(substrings, ABC)
    assert automaton is not None
    without = [
        name for name in NAMES if not any(substring.lower() in name for substring in substrings)
    ]
    assert allowed(automaton, ABC, NAMES) == without


@pytest.mark.parametrize(
    "substrings",
    [["abcab", "bca", "a"], ["aab", "aaab"], ["abab", "babc"], ["abc", "bc", "c"],
     ["abacab", "ac"], ["aaaaaa"], ["bcb", "abca"]],
)  # fmt: skip
def test_substrings_may_overlap_and_contain_each_other(substrings: list[str]) -> None:
    automaton = exclusion_automaton(substrings, ABC)
    assert automaton is not None
    without = [name for name in NAMES if not any(substring in name for substring in substrings)]
    assert allowed(automaton, ABC, NAMES) == without


def test_case_is_ignored_even_if_the_vocabulary_keeps_it() -> None:
    kept = Vocabulary("ABab", keep_case=True)
    names = all_names("ABab", 4)
    for substring in ("ab", "AB", "aB", "bAb"):
        automaton = exclusion_automaton([substring], kept)
        assert automaton is not None
        without = [name for name in names if substring.lower() not in name.lower()]
        assert allowed(automaton, kept, names) == without


@pytest.mark.parametrize("keep_case", [True, False])
@pytest.mark.parametrize(
    ("substring", "name"),
    [("ö", "ö"), ("Ö", "ö"), ("O\u0308", "ö"), ("Ж", "ж"), ("ß", "ß"), ("ẞ", "ß"),
     ("ΟΣ", "ος"), ("οσ", "ος"), ("ΟΣ", "οσα"), ("ος", "οσα"), ("名", "名前"),
     ("i\u0307", "i\u0307"), ("İ", "i\u0307")],
)  # fmt: skip
def test_substrings_of_any_script_are_excluded_in_any_case(
    substring: str, name: str, keep_case: bool
) -> None:
    vocabulary = Vocabulary.of([name, "q"], keep_case)
    automaton = exclusion_automaton([substring], vocabulary)
    assert automaton is not None
    assert not allows(automaton, vocabulary, name)
    assert not allows(automaton, vocabulary, "q" + name)
    assert allows(automaton, vocabulary, "qq")


@pytest.mark.parametrize("name", ["Ö", "Ж", "ΟΣ", "ΟΣΑ", "İ", "ẞ", "ŉ", "J\u030c", "\u03aa\u0301"])
def test_a_name_in_capitals_is_excluded_by_itself_and_by_its_own_lower_case(name: str) -> None:
    vocabulary = Vocabulary.of([name, "q"], keep_case=True)
    for substring in {name, name.lower()} if len(name.lower()) == len(name) else {name}:
        automaton = exclusion_automaton([substring], vocabulary)
        assert automaton is not None, substring
        assert not allows(automaton, vocabulary, name)
        assert allows(automaton, vocabulary, "q")


@pytest.mark.parametrize(
    ("substring", "name"),
    [("\u0130pek", "ipek"), ("i\u0307pek", "ipek"), ("\u0130pek", "i\u0307pek"), ("IPEK", "ipek"),
     ("I\u015eIK", "\u0131\u015f\u0131k"), ("I\u015eIK", "i\u015fik"),
     ("\ufeffda\u00advid", "david"), ("da\u200bvid\u200f", "david"), ("ana\u00a0mar", "ana mar")],
)  # fmt: skip
def test_substrings_are_excluded_in_spite_of_invisible_characters_and_forms_of_i(
    substring: str, name: str
) -> None:
    for case in ({}, {"turkish": True}, {"keep_case": True}):
        vocabulary = Vocabulary.of([name, "q"], **case)
        automaton = exclusion_automaton([substring], vocabulary)
        assert automaton is not None
        assert not allows(automaton, vocabulary, f"q{name}")
        assert allows(automaton, vocabulary, "q")


def test_a_substring_of_invisible_characters_occurs_in_no_name() -> None:
    assert exclusion_automaton(["\u200b", "\ufeff\u00ad"], ABC) is None


def test_substrings_with_unknown_characters_are_ignored() -> None:
    assert exclusion_automaton([], ABC) is None
    assert exclusion_automaton(["x", "ab1", "名"], ABC) is None
    automaton = exclusion_automaton(["xa", "b", "ax"], ABC)
    assert automaton is not None
    assert allowed(automaton, ABC, NAMES) == [name for name in NAMES if "b" not in name]


def test_the_empty_substring_occurs_in_every_name() -> None:
    automaton = exclusion_automaton(["", "ab"], ABC)
    assert automaton is not None
    assert allowed(automaton, ABC, NAMES) == []


def test_substrings_that_need_too_many_states_raise_an_error(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("models.constraints.forbidden.MAX_EXCLUSION_STATES", 5)
    at_the_limit = exclusion_automaton(["abca", "ab", "x" * 100], ABC)
    assert at_the_limit is not None
    assert len(at_the_limit) == 5
    with pytest.raises(TooComplexError, match="more than 5 states") as caught:
        exclusion_automaton(["abca", "b"], ABC)
    assert caught.value.field == "exclude"


def test_the_limit_of_cells_allows_fewer_states_for_more_letters(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(
        "models.constraints.forbidden.MAX_EXCLUSION_CELLS", 4 * 5
    )  # three letters and all others
    at_the_limit = exclusion_automaton(["abca"], ABC)
    assert at_the_limit is not None
    assert at_the_limit.next_states.shape == (5, 4)
    with pytest.raises(TooComplexError, match="more than 5 states"):
        exclusion_automaton(["abcaa"], ABC)


def test_the_limit_of_cells_is_checked_before_the_table_is_allocated() -> None:
    letters = Vocabulary("".join(map(chr, range(0x4E00, 0x4E00 + 5_000))))
    substrings = [letters.characters[at : at + 12] for at in range(0, 4_980, 10)]
    with pytest.raises(TooComplexError, match="more than 3,"):
        exclusion_automaton(substrings, letters)
