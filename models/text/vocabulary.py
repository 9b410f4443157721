"""Characters as tokens: 0 is the boundary of a name, the characters follow in sorted order.

The boundary stands before the first and after the last character. It is not a
character itself, so a list may use any letter, `.` included.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from models.arrays import Ints
from models.lazy import lazy
from models.text.normalization import fold, normalize

BOUNDARY = 0
UNKNOWN = -1  # stands for a character outside the vocabulary
LINE_END = ord("\n")
CODE_POINTS = 0x110000  # of Unicode
BLOCK = 1 << 20  # characters looked at at once: bounds the memory

Points: TypeAlias = NDArray[np.uint8] | NDArray[np.uint32]  # code points, bytes if all are ASCII


def code_points(text: str) -> Points:
    """The code point of each character, (n,)."""
    if text.isascii():
        return np.frombuffer(text.encode(), dtype=np.uint8)
    # Lone surrogates are no characters of any name, but a caller may send them.
    return np.frombuffer(text.encode("utf-32-le", "surrogatepass"), dtype="<u4").astype(np.uint32)


@dataclass(frozen=True)
class Vocabulary:
    """The distinct characters of a list of names, sorted: token i is `characters[i - 1]`.

    keep_case: upper and lower case are different characters
    turkish: I is the capital of the dotless i (U+0131), and U+0130 that of i

    Raises ValueError if the characters are none, repeated or out of order, or if case is
    kept and Turkish.
    """

    characters: str
    keep_case: bool = False
    turkish: bool = False

    def __post_init__(self) -> None:
        if not self.characters or list(self.characters) != sorted(set(self.characters)):
            raise ValueError("a vocabulary needs distinct characters in sorted order")
        if self.keep_case and self.turkish:
            raise ValueError("a vocabulary that keeps case has no Turkish lower case")

    @classmethod
    def of(
        cls, names: Iterable[str], keep_case: bool = False, turkish: bool = False
    ) -> "Vocabulary":
        """The vocabulary of normalised names."""
        return cls("".join(sorted(set().union(*names))), keep_case, turkish)

    @classmethod
    def of_lines(cls, text: str, keep_case: bool = False, turkish: bool = False) -> "Vocabulary":
        """The vocabulary of normalised names in a text, each followed by a line end."""
        seen = np.zeros(CODE_POINTS, dtype=bool)
        for start in range(0, len(text), BLOCK):
            seen[code_points(text[start : start + BLOCK])] = True
        seen[LINE_END] = False
        return cls("".join(map(chr, np.flatnonzero(seen))), keep_case, turkish)

    def __len__(self) -> int:
        """How many tokens there are, the boundary included."""
        return len(self.characters) + 1

    @property
    def spaces(self) -> list[bool]:
        """Of each token whether it is white space, which no name begins or ends with."""
        return [False, *(character.isspace() for character in self.characters)]

    def normalize(self, name: str) -> str:
        """The name as this vocabulary reads it."""
        return normalize(name, self.keep_case, self.turkish)

    def fold(self, text: str) -> str:
        """Part of a name, or a pattern, as this vocabulary reads it: not trimmed."""
        return fold(text, self.keep_case, self.turkish)

    def encode(self, names: Sequence[str]) -> Ints:
        """Normalised names as one stream of tokens, a BOUNDARY after each name.

        A character outside the vocabulary becomes UNKNOWN.
        Shape: (number of characters + number of names,).
        """
        # After the last name comes a line end too, if there is a name.
        tokens = self._tokens(code_points("\n".join([*names, ""])))
        lengths = np.fromiter(map(len, names), np.intp, len(names))
        tokens[(lengths + 1).cumsum() - 1] = BOUNDARY  # by place: a name may have a line end
        return tokens

    def encode_lines(self, text: str) -> Ints:
        """Normalised names in a text, each followed by a line end, as `encode` encodes them.

        Shape: (number of characters, line ends included,).
        """
        points = code_points(text)
        tokens = self._tokens(points)
        tokens[points == LINE_END] = BOUNDARY
        return tokens

    def decode(self, tokens: Ints) -> list[str]:
        """The names in an (n, width) matrix of tokens, each row padded with BOUNDARY."""
        points = self._point_of_token[tokens]  # the padding is NUL, which str views drop
        names: list[str] = points.view(f"=U{tokens.shape[1]}").ravel().tolist()
        return names

    def _tokens(self, points: Points) -> Ints:
        return self._token_of_point.take(points, mode="clip")

    @lazy
    def _point_of_token(self) -> NDArray[np.uint32]:
        return np.concatenate(([np.uint32(0)], code_points(self.characters)))

    @lazy
    def _token_of_point(self) -> Ints:
        """Code point -> token. The last entry is UNKNOWN and stands for all beyond."""
        points = self._point_of_token[1:]
        tokens = np.full(int(points[-1]) + 2, UNKNOWN, dtype=np.intp)
        tokens[points] = np.arange(1, len(self))
        return tokens
