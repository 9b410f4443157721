"""What names are wished for, and why a wish can be refused."""

import math
from dataclasses import dataclass, replace

import numpy as np

STAR, ANY = "*", "?"  # of a pattern


class ConstraintError(ValueError):
    """A wish that cannot be fulfilled; the message is one line that does not echo the wish.

    field: the field of the wish that is at fault, None if it is the wish as a whole
    """

    def __init__(self, message: str, field: str | None = None) -> None:
        super().__init__(message)
        self.field = field


class TooComplexError(ConstraintError):
    """The wish would take more states than the limit that the message tells."""


class UnsatisfiableError(ConstraintError):
    """No name fulfils the wish."""


@dataclass(frozen=True)
class Constraints:
    """What a name must be, and how it is drawn.

    max_length, min_length: in characters, from 0 and from 1; no name satisfies a minimum
        above the maximum
    temperature: finite and > 0, divides the logits: below 1 probable names become more probable
    top_k: each step takes one of the k most probable tokens, at least 1; the end of the name
        is one of the tokens, and None allows all. Both change the logits before conditioning.
    pattern: a glob of the whole name, see `models/constraints/glob.py`
    exclude: substrings that must not occur, in upper or lower case
    novel: not a name of the training list

    White space at either end is not part of a name: no name is drawn with it.
    Raises ConstraintError naming the field if a number is out of range or not a number.
    """

    max_length: int = 32
    temperature: float = 1.0
    min_length: int = 1
    top_k: int | None = None
    pattern: str = STAR
    exclude: frozenset[str] = frozenset()
    novel: bool = False

    def __post_init__(self) -> None:
        _check_integer("max_length", self.max_length, 0)
        _check_integer("min_length", self.min_length, 1)
        if self.top_k is not None:
            _check_integer("top_k", self.top_k, 1)
        _check_positive("temperature", self.temperature)

    @property
    def simplified(self) -> "Constraints":
        """The same wish: where a pattern has no more than stars and ?, lengths tell it too."""
        if {*self.pattern} - {STAR, ANY}:
            return self
        characters = self.pattern.count(ANY)
        longest = self.max_length if STAR in self.pattern else min(self.max_length, characters)
        shortest = max(self.min_length, characters)
        return replace(self, pattern=STAR, min_length=shortest, max_length=longest)


def _check_integer(field: str, value: object, least: int) -> None:
    # A truth value is an integer in Python, too.
    if isinstance(value, bool) or not isinstance(value, int | np.integer) or value < least:
        raise ConstraintError(f"Input should be an integer of at least {least}", field)


def _check_positive(field: str, value: object) -> None:
    number = value if isinstance(value, int | float | np.floating) else math.nan
    if isinstance(value, bool) or not 0 < number < math.inf:  # NaN is in no range
        raise ConstraintError("Input should be a finite number greater than 0", field)
