import sys

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from models.text.corpus import blocks, normalize_lines
from models.text.normalization import normalize

# Characters that a rule might trim, compose, or change across a line end: sigmas, accents, dotted
# capitals, Hangul jamo, all white space, control characters, a byte order mark.
TRICKY = (
    "aΣσςAİIıßǰJE\u0301\u030c\u0307\u0345'.\u00ad1ᄀ\u1161\u11a8\u212b\u2000\ufeff\u200b\u200c\u200d\u0645\u0915\u200f\0\x7f\U0001f600"
    + "".join(c for c in map(chr, range(sys.maxunicode)) if c.isspace())
)
tricky = st.text(TRICKY) | st.text(st.characters(exclude_categories=["Cs"]))
texts = st.lists(tricky).map("\n".join)


@given(texts, st.sampled_from([(False, False), (True, False), (False, True)]))
@example("ΟΔΟΣ\nΟΔΟΣΑ\nΣ\nAΣ\n\u0301a\nE\n\u0301", (False, False))
@example("\r\n\x1c\n\x85\u3000\n\ufeff\n", (False, False))
@example("\u0645\u200c\n\u0645\u200c\u0645\n\u200d\u0645", (False, False))
def test_lines_are_normalised_as_if_one_by_one(text: str, case: tuple[bool, bool]) -> None:
    names = [normalize(line, *case) for line in text.split("\n")]
    expected = "".join(f"{name}\n" for name in names if name)
    assert normalize_lines(text, *case) == expected


@given(texts, st.integers(1, 20))
def test_blocks_are_the_text_cut_after_line_ends(text: str, size: int) -> None:
    pieces = list(blocks(text, size))
    assert "".join(pieces) == text
    assert all(piece.endswith("\n") and len(piece) >= size for piece in pieces[:-1])


@given(texts, st.integers(1, 20))
def test_normalised_blocks_join_to_the_normalised_text(text: str, size: int) -> None:
    assert "".join(map(normalize_lines, blocks(text, size))) == normalize_lines(text)


@pytest.mark.parametrize("text", ["", "\n", " \r\n\t\n"])
def test_lines_without_a_name_are_normalised_to_the_empty_text(text: str) -> None:
    assert normalize_lines(text) == ""
