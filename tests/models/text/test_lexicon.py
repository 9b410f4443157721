import random
from collections.abc import Iterator

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from models.arrays import Ints
from models.text import corpus as lines
from models.text import lexicon as lexicon
from models.text.lexicon import Lexicon
from models.text.vocabulary import BOUNDARY, Vocabulary

LETTERS = Vocabulary("abc")
letters = st.characters(exclude_categories=["Cs"], exclude_characters="\0\n")
names = st.lists(st.text("ab", min_size=1, max_size=4) | st.text(letters, min_size=1))
streams = st.lists(st.integers(-1, 3), max_size=9)


def listed(made: Lexicon, vocabulary: Vocabulary) -> list[str]:
    """The names of a roster, read token by token."""
    show = "\n" + vocabulary.characters
    return "".join(show[token] for token in made.stream).split("\n")[:-1]


def lines_of(names: list[str]) -> str:
    return "".join(f"{name}\n" for name in names)


def array(*tokens: int) -> Ints:
    return np.array(tokens, dtype=np.intp)


@given(names)
@example(["ab", "a", "ab", "b"])
def test_a_roster_holds_the_distinct_names_in_order(names: list[str]) -> None:
    vocabulary = Vocabulary.of([*names, "x"])
    for made in (Lexicon.of(vocabulary, names), Lexicon.of_lines(vocabulary, lines_of(names))):
        assert listed(made, vocabulary) == sorted(set(names))
        assert len(made) == len(set(names))
        assert made.known == bool(names)


@given(names, names)
@example(["ab", "b"], ["a", "abb", "aa", ""])
def test_it_knows_its_names_and_no_others(listed: list[str], others: list[str]) -> None:
    vocabulary = Vocabulary.of([*listed, "x"])
    made = Lexicon.of(vocabulary, listed)
    for name in [*listed, *others]:
        assert (vocabulary.encode([name]) in made) == (name in listed)


def test_a_name_comes_before_those_that_go_on_after_it() -> None:
    made = Lexicon.of(LETTERS, iter(["b", "ab", "a", "ab"]))
    assert made.stream.tolist() == [1, BOUNDARY, 1, 2, BOUNDARY, 2, BOUNDARY]


def test_the_names_of_a_list_are_gathered_from_all_its_blocks(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(lexicon, "blocks", lambda text: lines.blocks(text, size=4))
    made = Lexicon.of_lines(LETTERS, lines_of(["cab", "a", "b", "cab", "a", "bb"]))
    assert listed(made, LETTERS) == ["a", "b", "bb", "cab"]


@pytest.mark.parametrize("size", [1, 100])
def test_a_list_with_more_characters_than_are_kept_has_no_roster(
    monkeypatch: pytest.MonkeyPatch, size: int
) -> None:
    monkeypatch.setattr(lexicon, "blocks", lambda text: lines.blocks(text, size))
    text = lines_of(["ab", "c", "ab", "c", "bca", "ab"])
    monkeypatch.setattr(lexicon, "MAX_CHARACTERS", 9)
    assert listed(Lexicon.of_lines(LETTERS, text), LETTERS) == ["ab", "bca", "c"]
    monkeypatch.setattr(lexicon, "MAX_CHARACTERS", 8)
    assert not Lexicon.of_lines(LETTERS, text).known


def test_a_list_is_not_read_on_once_it_has_too_many_names(monkeypatch: pytest.MonkeyPatch) -> None:
    read = []

    def watched(text: str) -> Iterator[str]:
        for block in lines.blocks(text, size=1):
            read.append(block)
            yield block

    monkeypatch.setattr(lexicon, "MAX_CHARACTERS", 5)
    monkeypatch.setattr(lexicon, "blocks", watched)
    assert not Lexicon.of_lines(LETTERS, "a\nb\nc\nab\n").known
    assert read == ["a\n", "b\n", "c\n"]


def refusal(tokens: list[int]) -> str | None:
    """Why these are no names over three letters, said the slow and plain way."""
    if not all(0 <= token < len(LETTERS) for token in tokens):
        return "a name has a character that does not exist"
    if tokens and tokens[-1] != BOUNDARY:
        return "the last name has no end"
    names = "".join(map(str, tokens)).split("0")[:-1]
    if "" in names:
        return "a name has no character"
    return None if names == sorted(set(names)) else "the names are not distinct and in order"


@given(streams | st.lists(st.text("123", min_size=1, max_size=3), max_size=4).map(
    lambda names: [int(token) for name in names for token in f"{name}0"]
))  # fmt: skip
@example([])
@example([1, 4, 0])
@example([-1, 0])
@example([1, 0, 2])
@example([0, 1, 0])
@example([1, 0, 0, 2, 0])
@example([1, 2, 0, 1, 2, 0])
@example([1, 2, 0, 1, 0])
@example([1, 0, 3, 0, 2, 0])
@example([2, 2, 0, 2, 0, 3, 3, 0])
def test_a_stream_is_taken_if_and_only_if_it_is_names_in_order(tokens: list[int]) -> None:
    reason = refusal(tokens)
    if reason is None:
        assert len(Lexicon(len(LETTERS), array(*tokens))) == tokens.count(BOUNDARY)
    else:
        with pytest.raises(ValueError, match=reason):
            Lexicon(len(LETTERS), array(*tokens))


def test_a_name_with_a_character_outside_the_vocabulary_is_refused() -> None:
    with pytest.raises(ValueError, match="a character that does not exist"):
        Lexicon.of(LETTERS, ["abd"])


def test_two_names_out_of_order_are_found_among_many(us_names: list[str]) -> None:
    alphabet = Vocabulary.of(us_names)
    names = sorted(set(us_names))
    at = random.Random(1).randrange(1, len(names))
    assert len(Lexicon(len(alphabet), alphabet.encode(names))) == len(names)
    names[at - 1 : at + 1] = names[at], names[at - 1]
    with pytest.raises(ValueError, match="not distinct and in order"):
        Lexicon(len(alphabet), alphabet.encode(names))
