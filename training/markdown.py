"""Markdown, as far as a report needs it."""

import re
import textwrap
from collections.abc import Iterable, Sequence

WIDTH = 88
SPECIAL = re.compile(r"([\\`*_\[\]<>#|~&$])")
INVISIBLE = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029]")


def plain(text: str) -> str:
    """Text that shows as it is, in one line, whatever characters it has."""
    return SPECIAL.sub(r"\\\1", INVISIBLE.sub("\N{REPLACEMENT CHARACTER}", text))


def paragraph(text: str) -> str:
    """Text in lines of even width, however it was broken before."""
    return textwrap.fill(text, WIDTH, break_long_words=False, break_on_hyphens=False)


def table(header: Sequence[str], rows: Iterable[Sequence[str]], left: int = 1) -> str:
    """A table, so many of its columns to the left and the others to the right."""
    marks = ["---"] * left + ["---:"] * (len(header) - left)
    return "\n".join(f"| {' | '.join(cells)} |" for cells in (header, marks, *rows))
