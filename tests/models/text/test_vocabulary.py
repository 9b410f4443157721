import unicodedata

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from models.text.normalization import normalize
from models.text.vocabulary import BOUNDARY, UNKNOWN, Vocabulary

# NUL pads decoded names and is rejected in lists; surrogates cannot be encoded as UTF-8.
characters = st.characters(exclude_categories=["Cs"], exclude_characters="\0")
names = st.lists(st.text(characters), min_size=1)


def test_tokens_are_the_sorted_characters_after_the_boundary() -> None:
    vocabulary = Vocabulary.of(["emma", "ava"])
    assert vocabulary.characters == "aemv"
    assert len(vocabulary) == 5
    assert vocabulary.encode(["ava", "em"]).tolist() == [1, 4, 1, BOUNDARY, 2, 3, BOUNDARY]


def test_a_dot_is_a_character_like_any_other() -> None:
    vocabulary = Vocabulary.of(["j.r."])
    assert vocabulary.encode(["."]).tolist() == [1, BOUNDARY]


def test_characters_outside_the_vocabulary_are_encoded_as_unknown() -> None:
    vocabulary = Vocabulary("bd")
    assert vocabulary.encode(["abcde\U0010ffff\ud800"]).tolist() == [
        UNKNOWN, 1, UNKNOWN, 2, UNKNOWN, UNKNOWN, UNKNOWN, BOUNDARY,
    ]  # fmt: skip


@given(names)
def test_decode_inverts_encode(names: list[str]) -> None:
    vocabulary = Vocabulary.of([*names, "x"])
    stream = vocabulary.encode(names)
    ends = np.flatnonzero(stream == BOUNDARY)
    assert len(ends) == len(names)
    width = max(map(len, names)) + 1
    matrix = np.full((len(names), width), BOUNDARY, dtype=np.intp)
    for row, tokens in zip(matrix, np.split(stream, ends + 1), strict=False):
        row[: len(tokens)] = tokens
    assert vocabulary.decode(matrix) == names


line_characters = st.characters(exclude_categories=["Cs"], exclude_characters="\n")
lines = st.lists(st.text(line_characters, min_size=1), min_size=1)


@given(lines)
@example(["emma", "ava"])
@example(["\t"])
def test_a_text_of_lines_has_the_vocabulary_and_the_tokens_of_its_names(names: list[str]) -> None:
    text = "".join(f"{name}\n" for name in names)
    vocabulary = Vocabulary.of_lines(text)
    assert vocabulary == Vocabulary.of(names)
    assert np.array_equal(vocabulary.encode_lines(text), vocabulary.encode(names))


def test_characters_of_lines_outside_the_vocabulary_are_encoded_as_unknown() -> None:
    assert Vocabulary("\t").encode_lines("a\té\n\n").tolist() == [
        UNKNOWN, 1, UNKNOWN, BOUNDARY, BOUNDARY,
    ]  # fmt: skip


@given(st.text(), st.booleans())
def test_normalize_is_idempotent_and_returns_nfc(text: str, keep_case: bool) -> None:
    once = normalize(text, keep_case)
    assert normalize(once, keep_case) == once
    assert unicodedata.is_normalized("NFC", once)


def test_names_are_trimmed_composed_and_lower_case_unless_case_is_kept() -> None:
    assert (
        normalize(" Zoe\N{COMBINING DIAERESIS}\r\n") == "zo\N{LATIN SMALL LETTER E WITH DIAERESIS}"
    )
    assert normalize(" McKay\t", keep_case=True) == "McKay"
    # This letter and accent have a composed form in lower case only.
    assert normalize("J\N{COMBINING CARON}") == "\N{LATIN SMALL LETTER J WITH CARON}"


def test_a_vocabulary_cannot_keep_case_and_be_turkish() -> None:
    with pytest.raises(ValueError, match="cannot keep case and use Turkish"):
        Vocabulary("abc", keep_case=True, turkish=True)


@pytest.mark.parametrize("characters", ["", "ba", "aa"])
def test_unsorted_repeated_or_empty_characters_are_rejected(characters: str) -> None:
    with pytest.raises(ValueError, match="distinct characters in sorted order"):
        Vocabulary(characters)


def test_a_line_end_within_a_name_is_encoded_as_unknown() -> None:
    assert Vocabulary("abc").encode(["a\nb", "c"]).tolist() == [1, -1, 2, 0, 3, 0]
