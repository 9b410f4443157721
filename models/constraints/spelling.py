"""Automata of normalised spelling: NFC, and joiners only between letters that join.

The names of a list are in NFC, but a chain can put characters side by side that the list has
apart. Normalisation would change such a name, possibly into one that was excluded.
"""

from collections.abc import Iterable
from functools import cache
from typing import NamedTuple
from unicodedata import combining, decomposition, is_normalized, normalize

import numpy as np

from models.constraints.automaton import NOWHERE, Automaton
from models.text.normalization import JOINERS, is_joining
from models.text.vocabulary import Vocabulary

HANGUL = [*range(0x1161, 0x1176), *range(0x11A8, 0x11C3)]  # vowels and final consonants
COMPOSED = range(0xA0, 0x20000)  # has all characters that are composed, syllables of Hangul aside


class Kind(NamedTuple):
    """What matters about a character for NFC; characters of one kind are interchangeable.

    order: its canonical combining class, 0 for a starter
    bars: of a starter, the characters that cannot follow it
    barred: by which sets of `bars` it is itself barred, as their numbers
    """

    order: int
    bars: frozenset[str]
    barred: frozenset[int]


def joining(vocabulary: Vocabulary) -> Automaton | None:
    """Allows the names whose joiners stand between letters that join; None without joiners."""
    letters = vocabulary.characters
    if not set(letters) & set(JOINERS):
        return None
    classes = [2 if letter in JOINERS else int(is_joining(letter)) for letter in letters]
    # After nothing or another character, after a letter that joins, after a joiner.
    moves = np.array([[0, 1, NOWHERE], [0, 1, 2], [NOWHERE, 1, NOWHERE]])
    return Automaton(np.array([0, *classes]), moves, np.array([True, True, False]))


def composed(vocabulary: Vocabulary) -> Automaton | None:
    """Allows the names in NFC, of characters that are in NFC; None if all names are.

    A state is the set of characters that cannot come next. After a starter they are those
    that change it: they compose with it, or with what it is composed of. After a mark of
    combining class k they are the marks of a lower class, which would go before it, and
    those of a higher class that change the starter; what has class k or 0 is blocked from
    the starter by the mark (The Unicode Standard, definition D115).
    """
    kinds = _kinds(vocabulary.characters)
    distinct = list(dict.fromkeys(kinds))
    moves = _moves(distinct, _barred(kinds, vocabulary.characters, distinct))
    if len(moves) == 1:
        return None
    number = {kind: number for number, kind in enumerate(distinct)}
    classes = np.array([0, *(number[kind] for kind in kinds)])
    return Automaton(classes, np.array(moves), np.ones(len(moves), dtype=bool))


def _kinds(letters: str) -> list[Kind]:
    """The kind of each letter."""
    seconds = [letter for letter in letters if _may_compose(letter)]
    bars = [
        frozenset(second for second in seconds if not is_normalized("NFC", letter + second))
        if not combining(letter)
        else frozenset[str]()
        for letter in letters
    ]
    sets = list(dict.fromkeys(bars))
    barred = {s: frozenset(n for n, one in enumerate(sets) if s in one) for s in seconds}
    return [
        Kind(combining(letter), barring, barred.get(letter, frozenset()))
        for letter, barring in zip(letters, bars, strict=True)
    ]


def _barred(kinds: list[Kind], letters: str, distinct: list[Kind]) -> list[int]:
    """The kinds that cannot follow each of the distinct kinds, as bits."""
    number = {kind: number for number, kind in enumerate(distinct)}
    kind_of = dict(zip(letters, kinds, strict=True))
    return [_bits({number[kind_of[one]] for one in kind.bars}) for kind in distinct]


def _moves(kinds: list[Kind], barred: list[int]) -> list[list[int]]:
    """The state after each kind, for all states that a name can reach: (states, kinds)."""
    orders = {kind.order for kind in kinds if kind.order}
    marks = [(number, kind.order) for number, kind in enumerate(kinds) if kind.order]
    below = {k: _bits(number for number, order in marks if order < k) for k in orders}
    above = {k: _bits(number for number, order in marks if order > k) for k in orders}
    numbers, states, moves = {0: 0}, [0], []
    for state in states:  # which grows
        row = [NOWHERE] * len(kinds)
        for one, (order, _, _) in enumerate(kinds):
            if state >> one & 1:
                continue
            after = below[order] | state & above[order] if order else barred[one]
            if after not in numbers:
                numbers[after] = len(states)
                states.append(after)
            row[one] = numbers[after]
        moves.append(row)
    return moves


def _bits(numbers: Iterable[int]) -> int:
    return sum(1 << number for number in numbers)


def _may_compose(letter: str) -> bool:
    """Whether it begins with a character that composes with some character before it."""
    return not letter.isascii() and normalize("NFD", letter)[0] in _seconds()


@cache
def _seconds() -> frozenset[str]:
    """The characters that are the second of two in some canonical decomposition."""
    found = (decomposition(chr(point)) for point in COMPOSED)
    pairs = (parts.split() for parts in found if parts and not parts.startswith("<"))
    composing = {chr(int(pair[1], 16)) for pair in pairs if len(pair) == 2}
    return frozenset(composing.union(map(chr, HANGUL)))
