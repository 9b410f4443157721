"""The distinct names of a list, by which a new name is told from one of them."""

from bisect import bisect_left
from collections.abc import Iterable

import numpy as np

from models.arrays import Ints, array_dataclass
from models.lazy import lazy
from models.text.corpus import blocks
from models.text.vocabulary import BOUNDARY, Vocabulary

MAX_CHARACTERS = 2**22  # of distinct names, line ends included: a list with more keeps none


@array_dataclass
class Lexicon:
    """The distinct names of a list over so many tokens; none where they are not known.

    stream: (n,), the normalised names sorted by their tokens, a BOUNDARY after each

    Raises ValueError if the stream is anything else.
    """

    tokens: int
    stream: Ints

    def __post_init__(self) -> None:
        if self.stream.min(initial=0) < 0 or self.stream.max(initial=0) >= self.tokens:
            raise ValueError("a name has a character that does not exist")
        if self.stream[-1:].any():
            raise ValueError("the last name has no end")
        if (self._steps == 1).any():
            raise ValueError("a name has no character")
        if not self._increasing():
            raise ValueError("the names are not distinct and in order")

    @classmethod
    def of(cls, vocabulary: Vocabulary, names: Iterable[str]) -> "Lexicon":
        """The roster of normalised names, in any order and any number of times."""
        return cls(len(vocabulary), vocabulary.encode(sorted(set(names))))

    @classmethod
    def of_lines(cls, vocabulary: Vocabulary, text: str) -> "Lexicon":
        """The roster of normalised names in a text, each followed by a line end.

        It is empty if the distinct names have more than MAX_CHARACTERS.
        """
        return cls.of(vocabulary, _distinct(text))

    def __len__(self) -> int:
        """How many names there are."""
        return len(self._steps)

    def __contains__(self, name: Ints) -> bool:
        """Whether a name, its tokens and the BOUNDARY after them, is one of these."""
        wanted = name.tolist()
        at = bisect_left(range(len(self)), wanted, key=self._name)
        return at < len(self) and self._name(at) == wanted

    @property
    def known(self) -> bool:
        """Whether there are any names."""
        return len(self) > 0

    @lazy
    def _steps(self) -> Ints:
        """The length of each name, its end included, (names,)."""
        return np.diff(np.flatnonzero(self.stream == BOUNDARY), prepend=-1)

    @lazy
    def _ends(self) -> Ints:
        """Where in the stream the next name begins, (names,)."""
        return self._steps.cumsum()

    def _name(self, at: int) -> list[int]:
        tokens: list[int] = self.stream[self._ends[at] - self._steps[at] : self._ends[at]].tolist()
        return tokens

    def _increasing(self) -> bool:
        """Whether each name comes before the next, at the first token that they differ in."""
        steps = self._steps[:-1]
        ends = steps.cumsum()
        size = len(self.stream) - self._steps[-1:].sum()  # of all names but the last
        # The same place in the next name. Past its end it does no harm: they differ before.
        beside = np.minimum(np.arange(size) + steps.repeat(steps), len(self.stream) - 1)
        differ = np.flatnonzero(self.stream[:size] != self.stream[beside])
        first = np.append(differ, size)[np.searchsorted(differ, ends - steps)]
        if (first >= ends).any():  # two names are the same
            return False
        return bool((self.stream[first] < self.stream[beside[first]]).all())


def _distinct(text: str) -> set[str]:
    """The distinct names in such a text, none if they have too many characters."""
    names: set[str] = set()
    characters = 0
    for block in blocks(text):
        new = set(block.split("\n")[:-1]) - names
        characters += sum(map(len, new)) + len(new)
        if characters > MAX_CHARACTERS:
            return set()
        names |= new
    return names
