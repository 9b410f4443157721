"""Glob patterns of names, compiled to automata.

`?` matches one character, `*` any number of characters, `[abc]` one of these characters,
`[a-f]` one of a range of code points, `[!abc]` one that is none of these. Within brackets, `]`
stands for itself as the first character, `-` as the first or last, `^` anywhere but first; all
other characters stand for themselves, so `[*]` matches a star.

A pattern is normalised like a name before it is parsed: it is composed (NFC), and in lower case
unless the vocabulary keeps case; in lower case all forms of sigma are the same letter. So `[a-Z]`
is read as `[a-z]`, an accent belongs to the letter before it, and `?` matches one character of the
composed name. An accent after `?`, `*` or brackets is a character of its own.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from models.arrays import Flags, Ints
from models.constraints.automaton import DEAD, Automaton
from models.constraints.constraints import (
    QUESTION_MARK,
    STAR,
    ConstraintError,
    TooComplexError,
)
from models.text.vocabulary import Points, Vocabulary, code_points

FINAL_SIGMA, SIGMA = "\u03c2", "\u03c3"
MAX_PATTERN_STATES = 4096  # of the automaton; a request waits for it


@dataclass(frozen=True)
class CharacterSet:
    """A set of characters: ranges of code points, or all characters outside of them."""

    ranges: tuple[tuple[str, str], ...]
    negated: bool = False

    def contains(self, points: Points) -> Flags:
        """Return whether each of n code points is in the set, (n,)."""
        inside: Flags = np.zeros(len(points), dtype=bool)
        for first, last in self.ranges:
            inside |= (points >= ord(first)) & (points <= ord(last))
        return inside ^ self.negated


ANY_CHARACTER = CharacterSet((), negated=True)


def parse(pattern: str, vocabulary: Vocabulary) -> Iterator[CharacterSet | str]:
    """Yield the elements of a pattern: character sets and stars.

    Raises ConstraintError if the pattern is malformed.

    >>> list(parse("a*", Vocabulary("ab")))
    [CharacterSet(ranges=(('a', 'a'),), negated=False), '*']
    """
    pattern = vocabulary.normalize_part(pattern)
    index = 0
    while index < len(pattern):
        character, start = pattern[index], index
        index += 1
        if character == STAR:
            yield STAR
        elif character == QUESTION_MARK:
            yield ANY_CHARACTER
        elif character == "[":
            negated = pattern.startswith("!", index)
            if pattern.startswith("^", index):
                raise _malformed(f"Negate with !, not with ^, at character {index + 1}")
            first = index + negated
            index = pattern.find("]", first + 1) + 1
            if not index:
                raise _malformed(f"The [ at character {start + 1} is not closed by a ]")
            ranges = _ranges(pattern[first : index - 1], first)
            yield CharacterSet(tuple(_with_sigmas(*ends, vocabulary) for ends in ranges), negated)
        else:
            yield CharacterSet((_with_sigmas(character, character, vocabulary),))


def min_match_length(pattern: str, vocabulary: Vocabulary) -> int:
    """Return the length of the shortest name that matches, in characters.

    Raises ConstraintError if the pattern is malformed.

    >>> min_match_length("a*[bc]?", Vocabulary("abc"))
    3
    """
    return sum(element != STAR for element in parse(pattern, vocabulary))


def _with_sigmas(first: str, last: str, vocabulary: Vocabulary) -> tuple[str, str]:
    """Return a range with both small sigmas, which are neighbours, if it ends at one of them."""
    if vocabulary.keep_case:
        return first, last
    return (FINAL_SIGMA if first == SIGMA else first), (SIGMA if last == FINAL_SIGMA else last)


def _ranges(content: str, start: int) -> Iterator[tuple[str, str]]:
    """Yield the ranges of the content of brackets; a single character is a range of one.

    start: the index of the content in the pattern
    """
    index = 0
    while index < len(content):
        is_range = content[index + 1 : index + 2] == "-" and index + 2 < len(content)
        first, last = content[index], content[index + 2 * is_range]
        if first > last:
            raise _malformed(f"The range at character {start + index + 1} runs backwards")
        yield first, last
        index += 1 + 2 * is_range


def _malformed(reason: str) -> ConstraintError:
    return ConstraintError(reason, "pattern")


def pattern_automaton(pattern: str, vocabulary: Vocabulary) -> Automaton:
    """Return the automaton of the names that match a pattern, by subset construction.

    Raises ConstraintError if the pattern is malformed, TooComplexError if the automaton has more
    than MAX_PATTERN_STATES.

    >>> automaton = pattern_automaton("a*b", Vocabulary("abc"))
    >>> automaton.classes.tolist()  # of the boundary, a, b, c
    [0, 0, 1, 2]
    >>> automaton.next_states.tolist()  # by class; the automaton rejects a name after -1
    [[1, -1, -1], [1, 2, 1], [1, 2, 1]]
    >>> automaton.accepting.tolist()
    [False, False, True]
    """
    sets, stars = [], 0  # bit i of `stars`: there is a star before set i
    for element in parse(pattern, vocabulary):
        if isinstance(element, CharacterSet):
            sets.append(element)
        else:
            stars |= 1 << len(sets)
    points = code_points(vocabulary.characters)
    matches = np.zeros((len(sets), len(points)), dtype=bool)
    for row, characters in zip(matches, sets, strict=True):
        row[:] = characters.contains(points)
    # Characters that match the same sets are of one class, which is numbered by them.
    numbers: dict[int, int] = {}
    classes = [numbers.setdefault(_packed_bits(column), len(numbers)) for column in matches.T]
    next_states, accepting = _subset_construction(list(numbers), stars, final=1 << len(sets))
    return Automaton(np.array([0, *classes]), next_states, accepting)


def _packed_bits(flags: Flags) -> int:
    """Return an integer with a bit for each flag, the lowest for the first."""
    return int.from_bytes(np.packbits(flags, bitorder="little").tobytes(), "little")


def _subset_construction(matches: list[int], stars: int, final: int) -> tuple[Ints, Flags]:
    """Return the next states, (states, classes), and the accepting states, (states,).

    A state is a set of positions of the pattern, as bits: bit i is the position before set i,
    and `final` the position at the end.

    matches: for each class of characters, the sets that match it, as bits
    stars: the sets that have a star before them, as bits
    """
    start = _without_redundant(1, stars)
    numbers, subsets, next_states = {start: 0}, [start], []
    for subset in subsets:  # grows during the loop
        row = []
        for matching in matches:
            after = _without_redundant((subset & matching) << 1 | subset & stars, stars)
            if after and after not in numbers:
                numbers[after] = len(subsets)
                subsets.append(after)
            row.append(numbers.get(after, DEAD))
        next_states.append(row)
        if len(subsets) > MAX_PATTERN_STATES:
            raise TooComplexError(
                f"The pattern needs an automaton of more than {MAX_PATTERN_STATES:,} states; "
                "use fewer `*` and `?`",
                "pattern",
            )
    return np.array(next_states), np.array([bool(subset & final) for subset in subsets])


def _without_redundant(subset: int, stars: int) -> int:
    """Drop the positions before the last star: whatever they accept, the star accepts too."""
    at_stars = subset & stars
    return subset & -(1 << at_stars.bit_length() - 1) if at_stars else subset
