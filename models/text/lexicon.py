"""Lexicon: the set of distinct names in a list, as one sorted array of tokens."""

from bisect import bisect_left
from collections.abc import Iterable

import numpy as np

from models.arrays import Ints, array_dataclass
from models.lazy_property import lazy
from models.text.corpus import blocks
from models.text.vocabulary import BOUNDARY, Vocabulary

MAX_LEXICON_CHARACTERS = 2**22  # of distinct names, line ends included


@array_dataclass
class Lexicon:
    """The distinct names of a list. It is empty if they are not known.

    tokens: the number of tokens of the vocabulary
    stream: (n,), the tokens of the normalised names, sorted by tokens, a BOUNDARY after each

    Raises ValueError if the stream does not have this form.
    """

    tokens: int
    stream: Ints

    def __post_init__(self) -> None:
        if self.stream.min(initial=0) < 0 or self.stream.max(initial=0) >= self.tokens:
            raise ValueError("a name has a token outside the vocabulary")
        if self.stream[-1:].any():
            raise ValueError("the last name has no boundary after it")
        if (self._transitions == 1).any():
            raise ValueError("a name is empty")
        if not self._is_increasing():
            raise ValueError("the names are not distinct and sorted")

    @classmethod
    def of(cls, vocabulary: Vocabulary, names: Iterable[str]) -> "Lexicon":
        """Return the lexicon of normalised names, in any order; repeated names count once.

        >>> vocabulary = Vocabulary.of(["ava", "emma"])
        >>> lexicon = Lexicon.of(vocabulary, ["emma", "ava", "emma"])
        >>> len(lexicon), vocabulary.encode(["ava"]) in lexicon
        (2, True)
        """
        return cls(len(vocabulary), vocabulary.encode(sorted(set(names))))

    @classmethod
    def of_lines(cls, vocabulary: Vocabulary, text: str) -> "Lexicon":
        """Return the lexicon of a text of normalised names, each followed by a line end.

        It is empty if the distinct names have more than MAX_LEXICON_CHARACTERS characters.
        """
        return cls.of(vocabulary, _distinct(text))

    def __len__(self) -> int:
        """Return the number of names."""
        return len(self._transitions)

    def __contains__(self, name: Ints) -> bool:
        """Return whether the name is in the lexicon: its tokens, then BOUNDARY. O(log n)."""
        tokens = name.tolist()
        index = bisect_left(range(len(self)), tokens, key=self._name)
        return index < len(self) and self._name(index) == tokens

    @property
    def known(self) -> bool:
        """Whether the names of the list are known."""
        return len(self) > 0

    @lazy
    def _transitions(self) -> Ints:
        """The number of transitions of each name, its end included, (names,)."""
        return np.diff(np.flatnonzero(self.stream == BOUNDARY), prepend=-1)

    @lazy
    def _ends(self) -> Ints:
        """The index in the stream after the boundary of each name, (names,)."""
        return self._transitions.cumsum()

    def _name(self, index: int) -> list[int]:
        end = self._ends[index]
        tokens: list[int] = self.stream[end - self._transitions[index] : end].tolist()
        return tokens

    def _is_increasing(self) -> bool:
        """Return whether each name sorts before the next, by the first token that differs."""
        lengths = self._transitions[:-1]
        ends = lengths.cumsum()
        size = len(self.stream) - self._transitions[-1:].sum()  # of all names but the last
        # The same character of the next name. Beyond its end it does no harm: the names differ
        # at an earlier character.
        aligned = np.minimum(np.arange(size) + lengths.repeat(lengths), len(self.stream) - 1)
        different = np.flatnonzero(self.stream[:size] != self.stream[aligned])
        first = np.append(different, size)[np.searchsorted(different, ends - lengths)]
        if (first >= ends).any():  # two names are the same
            return False
        return bool((self.stream[first] < self.stream[aligned[first]]).all())


def _distinct(text: str) -> set[str]:
    """Return the distinct names in a text of lines, or none if they have too many characters."""
    names: set[str] = set()
    characters = 0
    for block in blocks(text):
        new = set(block.split("\n")[:-1]) - names
        characters += sum(map(len, new)) + len(new)
        if characters > MAX_LEXICON_CHARACTERS:
            return set()
        names |= new
    return names
