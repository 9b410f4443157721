"""A list of names as one text, each name followed by a line end, and worked on in blocks.

A long list is a string and never a Python object for each of its names: what is done
to it is done to whole blocks, which bounds the memory.
"""

from collections.abc import Iterator

from models.text.normalization import spell

BLOCK = 1 << 18  # characters: the arrays made of a block fit into a processor's cache


def blocks(text: str, size: int = BLOCK) -> Iterator[str]:
    """The text in pieces of at least `size` characters, cut after line ends."""
    start = 0
    while start < len(text):
        end = text.find("\n", start + size - 1) + 1 or len(text)
        yield text[start:end]
        start = end


def normalize_lines(text: str, keep_case: bool = False, turkish: bool = False) -> str:
    """The normalised names of a text of lines, each followed by a line end; no empty lines.

    Gives what `normalize` gives line by line: no rule looks beyond a line end.
    """
    lines = spell(text, keep_case, turkish).split("\n")
    names = "\n".join(filter(None, map(str.strip, lines)))
    return f"{names}\n" if names else ""
