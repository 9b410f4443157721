"""Characters as tokens: 0 is the boundary of a name, the characters follow in sorted order.

The boundary stands before the first and after the last character. It is not a
character itself, so a list may use any letter, `.` included.
"""

import unicodedata
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from models.arrays import Ints

BOUNDARY = 0
UNKNOWN = -1  # stands for a character outside the vocabulary


def normalize(text: str, keep_case: bool = False) -> str:
    """The form in which a name is counted and scored: trimmed, lower case, NFC."""
    text = text.strip()
    # NFC comes last: lower-casing can leave a letter and its accent uncomposed.
    return unicodedata.normalize("NFC", text if keep_case else text.lower())


@dataclass(frozen=True)
class Vocabulary:
    """The distinct characters of a list of names, sorted: token i is `characters[i - 1]`.

    Raises ValueError if the characters are none, repeated or out of order.
    """

    characters: str
    keep_case: bool = False

    def __post_init__(self) -> None:
        if not self.characters or list(self.characters) != sorted(set(self.characters)):
            raise ValueError("a vocabulary needs distinct characters in sorted order")

    @classmethod
    def of(cls, names: Iterable[str], keep_case: bool = False) -> "Vocabulary":
        """The vocabulary of normalised names."""
        return cls("".join(sorted(set().union(*names))), keep_case)

    def __len__(self) -> int:
        """How many tokens there are, the boundary included."""
        return len(self.characters) + 1

    def normalize(self, name: str) -> str:
        """The name as this vocabulary reads it."""
        return normalize(name, self.keep_case)

    def encode(self, names: Sequence[str]) -> Ints:
        """Normalised names as one stream of tokens, a BOUNDARY after each name.

        A character outside the vocabulary becomes UNKNOWN.
        Shape: (number of characters + number of names,).
        """
        points = _code_points("".join(names))
        tokens = self._token_of_point[np.minimum(points, len(self._token_of_point) - 1)]
        ends = np.cumsum([len(name) for name in names], dtype=np.intp)
        return np.insert(tokens, ends, BOUNDARY)

    def decode(self, tokens: Ints) -> list[str]:
        """The names in an (n, width) matrix of tokens, each row padded with BOUNDARY."""
        points = self._point_of_token[tokens]  # the padding is NUL, which str views drop
        names: list[str] = points.view(f"=U{tokens.shape[1]}").ravel().tolist()
        return names

    @cached_property
    def _point_of_token(self) -> np.ndarray[tuple[int], np.dtype[np.uint32]]:
        return np.concatenate(([np.uint32(0)], _code_points(self.characters)))

    @cached_property
    def _token_of_point(self) -> Ints:
        """Code point -> token. The last entry is UNKNOWN and stands for all beyond."""
        points = self._point_of_token[1:]
        tokens = np.full(int(points[-1]) + 2, UNKNOWN, dtype=np.intp)
        tokens[points] = np.arange(1, len(self))
        return tokens


def _code_points(text: str) -> np.ndarray[tuple[int], np.dtype[np.uint32]]:
    # Lone surrogates are no characters of any name, but a caller may send them.
    return np.frombuffer(text.encode("utf-32-le", "surrogatepass"), dtype="<u4").astype(np.uint32)
