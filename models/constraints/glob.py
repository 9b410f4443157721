"""Glob patterns of names, as automata.

`?` is one character, `*` any number of them, `[abc]` one of these, `[a-f]` one of a range
of code points, `[!abc]` one that is none of these. In brackets `]` comes first to mean
itself, `-` first or last, `^` not first; other characters mean no more than themselves
there, so `[*]` is a star.

A pattern is read like a name before it is parsed: composed, and in lower case unless the
vocabulary keeps case, when all forms of sigma are the same letter. So `[a-Z]` is a range, an
accent belongs to the letter before it, and `?` is one character of the composed name. An
accent behind `?`, `*` or brackets is a character of its own.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from models.arrays import Flags, Ints
from models.constraints.automaton import NOWHERE, Automaton
from models.constraints.constraints import ANY, STAR, ConstraintError, TooComplexError
from models.text.vocabulary import Points, Vocabulary, code_points

FINAL_SIGMA, SIGMA = "\u03c2", "\u03c3"
MAX_STATES = 4096  # of the automaton of one pattern


@dataclass(frozen=True)
class Choice:
    """One character out of ranges of characters, or out of all others."""

    ranges: tuple[tuple[str, str], ...]
    negated: bool = False

    def allows(self, points: Points) -> Flags:
        """Whether each of some code points is a choice."""
        allowed: Flags = np.zeros(len(points), dtype=bool)
        for first, last in self.ranges:
            allowed |= (points >= ord(first)) & (points <= ord(last))
        return allowed ^ self.negated


ANYTHING = Choice((), negated=True)


def parse(pattern: str, vocabulary: Vocabulary) -> Iterator[Choice | str]:
    """The choices and stars of a pattern. Raises ConstraintError where it is malformed."""
    pattern = vocabulary.normalize_part(pattern)
    at = 0
    while at < len(pattern):
        character, start = pattern[at], at
        at += 1
        if character == STAR:
            yield STAR
        elif character == ANY:
            yield ANYTHING
        elif character == "[":
            negated = pattern.startswith("!", at)
            if pattern.startswith("^", at):
                raise _malformed(f"Negate with !, not with ^, at character {at + 1}")
            first = at + negated
            at = pattern.find("]", first + 1) + 1
            if not at:
                raise _malformed(f"The [ at character {start + 1} is not closed by a ]")
            ranges = _ranges(pattern[first : at - 1], first)
            yield Choice(tuple(_widened(*ends, vocabulary) for ends in ranges), negated)
        else:
            yield Choice((_widened(character, character, vocabulary),))


def shortest(pattern: str, vocabulary: Vocabulary) -> int:
    """The length of the shortest name that matches.

    Raises ConstraintError if the pattern is malformed.
    """
    return sum(part != STAR for part in parse(pattern, vocabulary))


def _widened(first: str, last: str, vocabulary: Vocabulary) -> tuple[str, str]:
    """The range with both small sigmas, which are neighbours, if it begins or ends with one."""
    if vocabulary.keep_case:
        return first, last
    return (FINAL_SIGMA if first == SIGMA else first), (SIGMA if last == FINAL_SIGMA else last)


def _ranges(inside: str, start: int) -> Iterator[tuple[str, str]]:
    """The ranges in brackets, single characters as ranges of one."""
    at = 0
    while at < len(inside):
        is_range = inside[at + 1 : at + 2] == "-" and at + 2 < len(inside)
        first, last = inside[at], inside[at + 2 * is_range]
        if first > last:
            raise _malformed(f"The range at character {start + at + 1} runs backwards")
        yield first, last
        at += 1 + 2 * is_range


def _malformed(reason: str) -> ConstraintError:
    return ConstraintError(reason, "pattern")


def compile_pattern(pattern: str, vocabulary: Vocabulary) -> Automaton:
    """The automaton of a pattern, by subset construction.

    Raises ConstraintError if it is malformed, TooComplexError if it takes too many states.
    """
    choices, stars = [], 0  # a bit of `stars` says that a star stands before that choice
    for part in parse(pattern, vocabulary):
        if isinstance(part, Choice):
            choices.append(part)
        else:
            stars |= 1 << len(choices)
    points = code_points(vocabulary.characters)
    allowed = np.zeros((len(choices), len(points)), dtype=bool)
    for row, choice in zip(allowed, choices, strict=True):
        row[:] = choice.allows(points)
    numbers: dict[int, int] = {}  # of the classes, by the choices that allow them
    classes = [numbers.setdefault(_bits(column), len(numbers)) for column in allowed.T]
    moves, accepting = _subsets(list(numbers), stars, last=1 << len(choices))
    return Automaton(np.array([0, *classes]), moves, accepting)


def _bits(flags: Flags) -> int:
    """An integer with a bit for each flag, the first one the lowest."""
    return int.from_bytes(np.packbits(flags, bitorder="little").tobytes(), "little")


def _subsets(steps: list[int], stars: int, last: int) -> tuple[Ints, Flags]:
    """The reachable subsets of places in a pattern; a bit for each, before a choice or last.

    steps: for each class of characters, the places from which it leads to the next
    """
    start = _relevant(1, stars)
    numbers, subsets, moves = {start: 0}, [start], []
    for subset in subsets:  # which grows
        row = []
        for step in steps:
            after = _relevant((subset & step) << 1 | subset & stars, stars)
            if after and after not in numbers:
                numbers[after] = len(subsets)
                subsets.append(after)
            row.append(numbers.get(after, NOWHERE))
        moves.append(row)
        if len(subsets) > MAX_STATES:
            raise TooComplexError(
                f"It takes an automaton of more than {MAX_STATES:,} states", "pattern"
            )
    return np.array(moves), np.array([bool(subset & last) for subset in subsets])


def _relevant(subset: int, stars: int) -> int:
    """A subset without the places before the last star in it: whatever they allow, it does."""
    at_stars = subset & stars
    return subset & -(1 << at_stars.bit_length() - 1) if at_stars else subset
