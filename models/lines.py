"""A list of names as one text, each name followed by a line end, and worked on in blocks.

A long list is a string and never a Python object for each of its names: what is done
to it is done to whole blocks, which bounds the memory.
"""

from collections.abc import Iterator

from models.vocabulary import fold

BLOCK = 1 << 18  # characters: the arrays made of a block fit into a processor's cache


def blocks(text: str, size: int = BLOCK) -> Iterator[str]:
    """The text in pieces of at least `size` characters, cut after line ends."""
    start = 0
    while start < len(text):
        end = text.find("\n", start + size - 1) + 1 or len(text)
        yield text[start:end]
        start = end


def normalize_lines(text: str, keep_case: bool = False) -> str:
    """The normalised names of a text of lines, each followed by a line end; no empty lines.

    Gives what `normalize` gives line by line: no letter looks beyond a line end, neither
    for its lower case nor for an accent to compose with.
    """
    names = "\n".join(filter(None, map(str.strip, text.split("\n"))))
    return fold(f"{names}\n" if names else "", keep_case)
