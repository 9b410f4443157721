"""Warnings about models of lists that are too short to learn from."""

from models.checkpoint import Source
from models.text.lexicon import Lexicon

ENOUGH = 20  # names: a shorter list has a warning


def size_warnings(source: Source, lexicon: Lexicon) -> list[str]:
    """A sentence about a model of this list if it has too few names; none otherwise.

    Counts distinct names, or all names if the distinct ones are not known, as with a table of
    counts.
    """
    names = len(lexicon) if lexicon.known else source.names
    if names >= ENOUGH:
        return []
    kind = "distinct name" if lexicon.known else "name"
    number = f"{names} {kind}{'' if names == 1 else 's'}"
    return [f"trained on {number}: with fewer than {ENOUGH} a model mostly repeats them"]
