"""Warnings about models of lists that are too short to learn from."""

from models.checkpoint import Source
from models.roster import Roster

ENOUGH = 20  # names, from which on a list is not warned of


def size_warnings(source: Source, roster: Roster) -> list[str]:
    """What to know about a model of this list: a sentence if it has too few names, else none.

    Distinct names count, or all names where those are not known, as in a table of counts.
    """
    names = len(roster) if roster.known else source.names
    if names >= ENOUGH:
        return []
    kind = "distinct name" if roster.known else "name"
    number = f"{names} {kind}{'' if names == 1 else 's'}"
    return [f"trained on {number}: with fewer than {ENOUGH} a model mostly repeats them"]
