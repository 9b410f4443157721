"""Corpus: a list of names as one string, each name followed by a line end.

A long list is never split into one Python string per name. Functions process it in blocks of
lines, which bounds the memory.
"""

from collections.abc import Iterator

from models.text.normalization import normalize_untrimmed

BLOCK_CHARACTERS = 1 << 18  # the arrays made from a block fit into a processor's cache


def blocks(text: str, size: int = BLOCK_CHARACTERS) -> Iterator[str]:
    r"""Yield the text in pieces of at least `size` characters that end with a line end.

    >>> list(blocks("emma\nava\nmia\n", size=6))
    ['emma\nava\n', 'mia\n']
    """
    start = 0
    while start < len(text):
        end = text.find("\n", start + size - 1) + 1 or len(text)
        yield text[start:end]
        start = end


def normalize_lines(text: str, keep_case: bool = False, turkish: bool = False) -> str:
    r"""Return the normalised lines, each followed by a line end; empty lines are left out.

    Equals `normalize` line by line: no rule looks beyond a line end.

    >>> normalize_lines(" Emma \n\nZOE\n")
    'emma\nzoe\n'
    """
    lines = normalize_untrimmed(text, keep_case, turkish).split("\n")
    names = "\n".join(filter(None, map(str.strip, lines)))
    return f"{names}\n" if names else ""
