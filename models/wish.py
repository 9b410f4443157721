"""What names are wished for, and why a wish can be refused."""

from dataclasses import dataclass, replace

STAR, ANY = "*", "?"  # of a pattern


class WishError(ValueError):
    """A wish that cannot be fulfilled; the message is one line that does not echo the wish.

    field: the field of the wish that is at fault, None if it is the wish as a whole
    """

    def __init__(self, message: str, field: str | None = None) -> None:
        super().__init__(message)
        self.field = field


class TooComplexError(WishError):
    """The wish would take more states than the limit that the message tells."""


class ImpossibleError(WishError):
    """No name fulfils the wish."""


@dataclass(frozen=True)
class Wish:
    """What a name must be, and how it is drawn.

    max_length, min_length: in characters, 1 <= min_length <= max_length
    temperature: > 0, divides the logits: below 1 likely names get likelier still
    top_k: each step takes one of the so many likeliest tokens, the end of the name among
        them; None for any. Both are applied to the logits before anything else is asked.
    pattern: a glob of the whole name, see `models/pattern.py`
    exclude: substrings that must not occur, in upper or lower case
    novel: not a name of the training list

    White space at either end is not part of a name: no name is drawn with it.
    """

    max_length: int = 32
    temperature: float = 1.0
    min_length: int = 1
    top_k: int | None = None
    pattern: str = STAR
    exclude: frozenset[str] = frozenset()
    novel: bool = False

    @property
    def simplified(self) -> "Wish":
        """The same wish: where a pattern has no more than stars and ?, lengths tell it too."""
        if {*self.pattern} - {STAR, ANY}:
            return self
        characters = self.pattern.count(ANY)
        longest = self.max_length if STAR in self.pattern else min(self.max_length, characters)
        shortest = max(self.min_length, characters)
        return replace(self, pattern=STAR, min_length=shortest, max_length=longest)
