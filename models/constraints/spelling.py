"""Automata of the names that normalisation leaves as they are.

The names of a list are normalised, but a chain can generate sequences of characters that the list
does not have. Normalisation would change such a name, possibly into one that is excluded. So
names must be trimmed, in NFC, and have joiners only between letters of a script that joins.
"""

from collections.abc import Iterable
from functools import cache, lru_cache
from typing import NamedTuple
from unicodedata import combining, decomposition, is_normalized, normalize

import numpy as np

from models.constraints.automaton import DEAD, Automaton
from models.text.normalization import JOINERS, is_joining
from models.text.vocabulary import Vocabulary

HANGUL = [*range(0x1161, 0x1176), *range(0x11A8, 0x11C3)]  # vowels and final consonants
COMPOSED = range(0xA0, 0x20000)  # contains all composed characters but the syllables of Hangul


class Kind(NamedTuple):
    """The properties of a character that matter for NFC.

    combining_class: its canonical combining class, 0 for a starter
    blocked: the characters that cannot follow it if it is a starter
    blocked_by: the sets of `blocked` that contain the character itself, as their numbers
    """

    combining_class: int
    blocked: frozenset[str]
    blocked_by: frozenset[int]


@lru_cache(maxsize=16)
def spelling_automata(vocabulary: Vocabulary) -> list[Automaton]:
    """Return the automata of the names that `Vocabulary.normalize` leaves as they are.

    A name is normalised if all of them accept it. Automata that accept all names are left out.

    >>> len(spelling_automata(Vocabulary("abc"))), len(spelling_automata(Vocabulary(" abc")))
    (0, 1)
    """
    trimmed = trimmed_automaton(vocabulary) if any(vocabulary.spaces) else None
    automata = [trimmed, nfc_automaton(vocabulary), joiner_automaton(vocabulary)]
    return [automaton for automaton in automata if automaton is not None]


def trimmed_automaton(vocabulary: Vocabulary) -> Automaton:
    """Return the automaton of the names without white space at either end."""
    classes = np.array(vocabulary.spaces, dtype=np.intp)  # 1 is white space
    # The states: at the start, after another character, after white space.
    next_states = np.array([[1, DEAD], [1, 2], [1, 2]])
    return Automaton(classes, next_states, np.array([False, True, False]))


def joiner_automaton(vocabulary: Vocabulary) -> Automaton | None:
    """Return the automaton of the names whose joiners are between letters of scripts that join.

    None if the vocabulary has no joiner.
    """
    letters = vocabulary.characters
    if not set(letters) & set(JOINERS):
        return None
    classes = [2 if letter in JOINERS else int(is_joining(letter)) for letter in letters]
    # The states: at the start or after another character, after a letter of a script that joins,
    # after a joiner.
    next_states = np.array([[0, 1, DEAD], [0, 1, 2], [DEAD, 1, DEAD]])
    return Automaton(np.array([0, *classes]), next_states, np.array([True, True, False]))


def nfc_automaton(vocabulary: Vocabulary) -> Automaton | None:
    """Return the automaton of the names in NFC, None if all names are. Characters must be in NFC.

    A state is the set of characters that cannot follow. After a starter they are the characters
    that change it: they compose with it, or with a part of its decomposition. After a mark of
    combining class k they are the marks of a lower class, which would be reordered before it, and
    the marks of a higher class that change the starter; the mark blocks characters of class k or
    0 from the starter (The Unicode Standard, definition D115).
    """
    kinds = _kinds(vocabulary.characters)
    distinct = list(dict.fromkeys(kinds))
    next_states = _next_states(distinct, _blocked(kinds, vocabulary.characters, distinct))
    if len(next_states) == 1:
        return None
    number = {kind: number for number, kind in enumerate(distinct)}
    classes = np.array([0, *(number[kind] for kind in kinds)])
    return Automaton(classes, np.array(next_states), np.ones(len(next_states), dtype=bool))


def _kinds(letters: str) -> list[Kind]:
    """Return the kind of each letter."""
    seconds = [letter for letter in letters if _may_compose(letter)]
    blocked = [
        frozenset(second for second in seconds if not is_normalized("NFC", letter + second))
        if not combining(letter)
        else frozenset[str]()
        for letter in letters
    ]
    sets = list(dict.fromkeys(blocked))
    blocked_by = {
        second: frozenset(number for number, characters in enumerate(sets) if second in characters)
        for second in seconds
    }
    return [
        Kind(combining(letter), characters, blocked_by.get(letter, frozenset()))
        for letter, characters in zip(letters, blocked, strict=True)
    ]


def _blocked(kinds: list[Kind], letters: str, distinct: list[Kind]) -> list[int]:
    """Return the kinds that cannot follow each of the distinct kinds, as bits."""
    number = {kind: number for number, kind in enumerate(distinct)}
    kind_of = dict(zip(letters, kinds, strict=True))
    return [_bit_set({number[kind_of[letter]] for letter in kind.blocked}) for kind in distinct]


def _next_states(kinds: list[Kind], blocked: list[int]) -> list[list[int]]:
    """Return the state after each kind, for all states that a name can reach: (states, kinds)."""
    orders = {kind.combining_class for kind in kinds if kind.combining_class}
    marks = [(n, kind.combining_class) for n, kind in enumerate(kinds) if kind.combining_class]
    below = {k: _bit_set(number for number, order in marks if order < k) for k in orders}
    above = {k: _bit_set(number for number, order in marks if order > k) for k in orders}
    numbers, states, next_states = {0: 0}, [0], []
    for state in states:  # grows during the loop
        row = [DEAD] * len(kinds)
        for number, (order, _, _) in enumerate(kinds):
            if state >> number & 1:
                continue
            after = below[order] | state & above[order] if order else blocked[number]
            if after not in numbers:
                numbers[after] = len(states)
                states.append(after)
            row[number] = numbers[after]
        next_states.append(row)
    return next_states


def _bit_set(numbers: Iterable[int]) -> int:
    """Return an integer in which the bits of these numbers are set."""
    return sum(1 << number for number in numbers)


def _may_compose(letter: str) -> bool:
    """Return whether its first character composes with some character before it."""
    return not letter.isascii() and normalize("NFD", letter)[0] in _seconds()


@cache
def _seconds() -> frozenset[str]:
    """Return the characters that are the second of two in a canonical decomposition."""
    decompositions = (decomposition(chr(point)) for point in COMPOSED)
    pairs = (parts.split() for parts in decompositions if parts and not parts.startswith("<"))
    composing = {chr(int(pair[1], 16)) for pair in pairs if len(pair) == 2}
    return frozenset(composing.union(map(chr, HANGUL)))
