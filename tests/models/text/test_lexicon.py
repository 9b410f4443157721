import random
from collections.abc import Iterator

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from models.arrays import Ints
from models.text import corpus, lexicon
from models.text.lexicon import Lexicon
from models.text.vocabulary import BOUNDARY, Vocabulary

LETTERS = Vocabulary("abc")
letters = st.characters(exclude_categories=["Cs"], exclude_characters="\0\n")
names = st.lists(st.text("ab", min_size=1, max_size=4) | st.text(letters, min_size=1))
streams = st.lists(st.integers(-1, 3), max_size=9)


def names_in(lexicon: Lexicon, vocabulary: Vocabulary) -> list[str]:
    """Return the names of a lexicon, decoded token by token."""
    characters = "\n" + vocabulary.characters
    return "".join(characters[token] for token in lexicon.stream).split("\n")[:-1]


def lines_of(names: list[str]) -> str:
    return "".join(f"{name}\n" for name in names)


def array(*tokens: int) -> Ints:
    return np.array(tokens, dtype=np.intp)


@given(names)
@example(["ab", "a", "ab", "b"])
def test_a_lexicon_has_the_distinct_names_in_order(names: list[str]) -> None:
    vocabulary = Vocabulary.of([*names, "x"])
    for made in (Lexicon.of(vocabulary, names), Lexicon.of_lines(vocabulary, lines_of(names))):
        assert names_in(made, vocabulary) == sorted(set(names))
        assert len(made) == len(set(names))
        assert made.known == bool(names)


@given(names, names)
@example(["ab", "b"], ["a", "abb", "aa", ""])
def test_a_lexicon_contains_its_names_and_no_others(names: list[str], others: list[str]) -> None:
    vocabulary = Vocabulary.of([*names, "x"])
    made = Lexicon.of(vocabulary, names)
    for name in [*names, *others]:
        assert (vocabulary.encode([name]) in made) == (name in names)


def test_a_name_sorts_before_longer_names_that_begin_with_it() -> None:
    made = Lexicon.of(LETTERS, iter(["b", "ab", "a", "ab"]))
    assert made.stream.tolist() == [1, BOUNDARY, 1, 2, BOUNDARY, 2, BOUNDARY]


def test_the_lexicon_of_a_text_has_the_names_of_all_its_blocks(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(lexicon, "blocks", lambda text: corpus.blocks(text, size=4))
    made = Lexicon.of_lines(LETTERS, lines_of(["cab", "a", "b", "cab", "a", "bb"]))
    assert names_in(made, LETTERS) == ["a", "b", "bb", "cab"]


@pytest.mark.parametrize("size", [1, 100])
def test_a_text_with_too_many_characters_has_an_empty_lexicon(
    monkeypatch: pytest.MonkeyPatch, size: int
) -> None:
    monkeypatch.setattr(lexicon, "blocks", lambda text: corpus.blocks(text, size))
    text = lines_of(["ab", "c", "ab", "c", "bca", "ab"])
    monkeypatch.setattr(lexicon, "MAX_LEXICON_CHARACTERS", 9)
    assert names_in(Lexicon.of_lines(LETTERS, text), LETTERS) == ["ab", "bca", "c"]
    monkeypatch.setattr(lexicon, "MAX_LEXICON_CHARACTERS", 8)
    assert not Lexicon.of_lines(LETTERS, text).known


def test_reading_stops_when_the_names_have_too_many_characters(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    blocks_read = []

    def recorded_blocks(text: str) -> Iterator[str]:
        for block in corpus.blocks(text, size=1):
            blocks_read.append(block)
            yield block

    monkeypatch.setattr(lexicon, "MAX_LEXICON_CHARACTERS", 5)
    monkeypatch.setattr(lexicon, "blocks", recorded_blocks)
    assert not Lexicon.of_lines(LETTERS, "a\nb\nc\nab\n").known
    assert blocks_read == ["a\n", "b\n", "c\n"]


def problem(tokens: list[int]) -> str | None:
    """Return why these tokens are no lexicon over three letters, computed naively."""
    if not all(0 <= token < len(LETTERS) for token in tokens):
        return "a name has a token outside the vocabulary"
    if tokens and tokens[-1] != BOUNDARY:
        return "the last name has no boundary after it"
    names = "".join(map(str, tokens)).split("0")[:-1]
    if "" in names:
        return "a name is empty"
    return None if names == sorted(set(names)) else "the names are not distinct and sorted"


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
def test_a_stream_is_accepted_if_and_only_if_it_has_sorted_names(tokens: list[int]) -> None:
    reason = problem(tokens)
    if reason is None:
        assert len(Lexicon(len(LETTERS), array(*tokens))) == tokens.count(BOUNDARY)
    else:
        with pytest.raises(ValueError, match=reason):
            Lexicon(len(LETTERS), array(*tokens))


def test_a_name_with_a_character_outside_the_vocabulary_is_rejected() -> None:
    with pytest.raises(ValueError, match="a token outside the vocabulary"):
        Lexicon.of(LETTERS, ["abd"])


def test_two_names_out_of_order_are_detected_among_many(us_names: list[str]) -> None:
    alphabet = Vocabulary.of(us_names)
    names = sorted(set(us_names))
    index = random.Random(1).randrange(1, len(names))
    assert len(Lexicon(len(alphabet), alphabet.encode(names))) == len(names)
    names[index - 1 : index + 1] = names[index], names[index - 1]
    with pytest.raises(ValueError, match="not distinct and sorted"):
        Lexicon(len(alphabet), alphabet.encode(names))
