"""Names as Unicode composes them: an accent is never drawn behind a letter that it composes with.

A list is in NFC, but a chain could put together what the list has apart. Such a name would
be read as another one, and look like one that was excluded.
"""

from functools import lru_cache
from unicodedata import category, is_normalized

import numpy as np

from models.automaton import NOWHERE, Automaton
from models.vocabulary import Vocabulary

HANGUL = range(0x1160, 0x1200)  # vowels and final consonants, which compose with what is before


@lru_cache(maxsize=16)
def composed(vocabulary: Vocabulary) -> Automaton | None:
    """Allows the names whose pairs of characters are in NFC; None if all are."""
    letters = vocabulary.characters
    marks = [letter for letter in letters if category(letter)[0] == "M" or ord(letter) in HANGUL]
    # Of each letter the marks that it composes with, or that Unicode puts before it.
    barred = [
        frozenset(mark for mark in marks if not is_normalized("NFC", letter + mark))
        for letter in letters
    ]
    kinds = list(dict.fromkeys([frozenset[str](), *barred]))
    if len(kinds) == 1:
        return None
    # A state is the kind of the last letter, and a class a kind with a mark that is barred or none.
    ever = frozenset().union(*kinds)
    pairs = [
        (kinds.index(kind), letter if letter in ever else None)
        for letter, kind in zip(letters, barred, strict=True)
    ]
    classes = {pair: number for number, pair in enumerate(dict.fromkeys(pairs))}
    moves = np.tile([after for after, _ in classes], (len(kinds), 1))
    for state, kind in enumerate(kinds):
        moves[state, [mark in kind for _, mark in classes]] = NOWHERE
    return Automaton(
        np.array([0, *(classes[pair] for pair in pairs)]), moves, np.ones(len(kinds), dtype=bool)
    )
