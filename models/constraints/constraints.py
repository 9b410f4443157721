"""Constraints on the names of a model, and the errors that they can raise."""

import math
from dataclasses import dataclass, replace

import numpy as np

from models.errors import MonikerError

STAR, QUESTION_MARK = "*", "?"  # wildcards of a pattern


class ConstraintError(MonikerError):
    """Invalid constraints. The message is one line and does not contain their values.

    field: the field that has the error, None if the error concerns several fields
    """

    def __init__(self, message: str, field: str | None = None) -> None:
        super().__init__(message)
        self.field = field


class TooComplexError(ConstraintError):
    """The constraints need more states than a limit, which the message contains."""


class UnsatisfiableError(ConstraintError):
    """No name satisfies the constraints."""


@dataclass(frozen=True)
class Constraints:
    """Constraints on a name, and the parameters of its distribution.

    max_length: in characters, at least 0
    min_length: in characters, at least 1; no name satisfies a minimum above the maximum
    temperature: finite and > 0, divides the logits: below 1 probable names become more probable
    top_k: only the k most probable tokens can follow, k at least 1; the end of the name is one
        of the tokens, and None allows all
    pattern: a glob of the complete name, see `models/constraints/glob.py`
    exclude: substrings that must not occur, in upper or lower case
    novel: whether the name must not be in the training set

    temperature and top_k change the logits before conditioning.
    Names never begin or end with white space.
    Raises ConstraintError with the name of the field if a number is out of range or not a number.

    >>> Constraints(max_length=8, pattern="a*").min_length
    1
    >>> Constraints(temperature=0)
    Traceback (most recent call last):
    models.constraints.constraints.ConstraintError: Input should be a finite number greater than 0
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
        """Equivalent constraints: a pattern of `*` and `?` alone becomes limits of the length.

        >>> simplified = Constraints(max_length=9, pattern="???*").simplified
        >>> simplified.pattern, simplified.min_length, simplified.max_length
        ('*', 3, 9)
        """
        if {*self.pattern} - {STAR, QUESTION_MARK}:
            return self
        characters = self.pattern.count(QUESTION_MARK)
        longest = self.max_length if STAR in self.pattern else min(self.max_length, characters)
        shortest = max(self.min_length, characters)
        return replace(self, pattern=STAR, min_length=shortest, max_length=longest)


def _check_integer(field: str, value: object, minimum: int) -> None:
    # bool is a subclass of int.
    if isinstance(value, bool) or not isinstance(value, int | np.integer) or value < minimum:
        raise ConstraintError(f"Input should be an integer of at least {minimum}", field)


def _check_positive(field: str, value: object) -> None:
    number = value if isinstance(value, int | float | np.floating) else math.nan
    if isinstance(value, bool) or not 0 < number < math.inf:  # false for NaN, too
        raise ConstraintError("Input should be a finite number greater than 0", field)
