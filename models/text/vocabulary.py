"""Vocabulary: the mapping between characters and tokens.

Token 0 is the boundary of a name; the tokens 1, 2, ... are the characters in sorted order. The
boundary stands before the first and after the last character of a name. It is not a character
itself, so a list may use any letter, including `.`.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from models.arrays import Ints
from models.lazy_property import lazy
from models.text.normalization import normalize, normalize_part

BOUNDARY = 0
UNKNOWN = -1  # stands for a character outside the vocabulary
LINE_END = ord("\n")
CODE_POINTS = 0x110000  # the number of code points in Unicode
SCAN_CHARACTERS = 1 << 20  # characters that `of_lines` converts at once: bounds the memory

Points: TypeAlias = NDArray[np.uint8] | NDArray[np.uint32]  # code points; bytes if all are ASCII


def code_points(text: str) -> Points:
    """Return the code point of each character, (n,)."""
    if text.isascii():
        return np.frombuffer(text.encode(), dtype=np.uint8)
    # No name has lone surrogates, but a caller may pass them.
    return np.frombuffer(text.encode("utf-32-le", "surrogatepass"), dtype="<u4").astype(np.uint32)


@dataclass(frozen=True)
class Vocabulary:
    """The distinct characters of a list of names, sorted: token i is `characters[i - 1]`.

    keep_case: upper and lower case are different characters
    turkish: lower-casing maps I to the dotless i (U+0131), and U+0130 to i

    Raises ValueError if the characters are empty, repeated or unsorted, or if `keep_case` and
    `turkish` are both set.
    """

    characters: str
    keep_case: bool = False
    turkish: bool = False

    def __post_init__(self) -> None:
        if not self.characters or list(self.characters) != sorted(set(self.characters)):
            raise ValueError("a vocabulary needs distinct characters in sorted order")
        if self.keep_case and self.turkish:
            raise ValueError("a vocabulary cannot keep case and use Turkish lower case")

    @classmethod
    def of(
        cls, names: Iterable[str], keep_case: bool = False, turkish: bool = False
    ) -> "Vocabulary":
        """Return the vocabulary of normalised names.

        >>> Vocabulary.of(["emma", "ava"]).characters
        'aemv'
        """
        return cls("".join(sorted(set().union(*names))), keep_case, turkish)

    @classmethod
    def of_lines(cls, text: str, keep_case: bool = False, turkish: bool = False) -> "Vocabulary":
        """Return the vocabulary of a text of normalised names, each followed by a line end."""
        seen = np.zeros(CODE_POINTS, dtype=bool)
        for start in range(0, len(text), SCAN_CHARACTERS):
            seen[code_points(text[start : start + SCAN_CHARACTERS])] = True
        seen[LINE_END] = False
        return cls("".join(map(chr, np.flatnonzero(seen))), keep_case, turkish)

    def __len__(self) -> int:
        """Return the number of tokens, the boundary included."""
        return len(self.characters) + 1

    @property
    def spaces(self) -> list[bool]:
        """Whether each token is white space; no name begins or ends with white space."""
        return [False, *(character.isspace() for character in self.characters)]

    def normalize(self, name: str) -> str:
        """Return the name normalised as the names of this vocabulary were."""
        return normalize(name, self.keep_case, self.turkish)

    def normalize_part(self, text: str) -> str:
        """Return part of a name, or a pattern, normalised in the same way but not trimmed."""
        return normalize_part(text, self.keep_case, self.turkish)

    def encode(self, names: Sequence[str]) -> Ints:
        """Return normalised names as one stream of tokens, with a BOUNDARY after each name.

        Characters outside the vocabulary become UNKNOWN.
        Shape: (number of characters + number of names,).

        >>> Vocabulary("aemv").encode(["ava", "em"]).tolist()
        [1, 4, 1, 0, 2, 3, 0]
        """
        # The empty string at the end adds a line end after the last name, if there is one.
        tokens = self._tokens(code_points("\n".join([*names, ""])))
        lengths = np.fromiter(map(len, names), np.intp, len(names))
        # By index, not by character: a name may contain a line end.
        tokens[(lengths + 1).cumsum() - 1] = BOUNDARY
        return tokens

    def encode_lines(self, text: str) -> Ints:
        r"""Return a text of normalised names, each followed by a line end, as `encode` does.

        Shape: (number of characters, line ends included,).

        >>> Vocabulary("aemv").encode_lines("ava\nem\n").tolist()
        [1, 4, 1, 0, 2, 3, 0]
        """
        points = code_points(text)
        tokens = self._tokens(points)
        tokens[points == LINE_END] = BOUNDARY
        return tokens

    def decode(self, tokens: Ints) -> list[str]:
        """Return the names in an (n, width) matrix of tokens, each row padded with BOUNDARY.

        >>> Vocabulary("aemv").decode(np.array([[1, 4, 1], [2, 3, 0]]))
        ['ava', 'em']
        """
        points = self._point_of_token[tokens]  # padding becomes NUL, which string views drop
        names: list[str] = points.view(f"=U{tokens.shape[1]}").ravel().tolist()
        return names

    def _tokens(self, points: Points) -> Ints:
        return self._token_of_point.take(points, mode="clip")

    @lazy
    def _point_of_token(self) -> NDArray[np.uint32]:
        return np.concatenate(([np.uint32(0)], code_points(self.characters)))

    @lazy
    def _token_of_point(self) -> Ints:
        """Code point -> token. The last entry is UNKNOWN, for all larger code points."""
        points = self._point_of_token[1:]
        tokens = np.full(int(points[-1]) + 2, UNKNOWN, dtype=np.intp)
        tokens[points] = np.arange(1, len(self))
        return tokens
