"""A deterministic automaton over the characters of a name, which tells what names are allowed.

It reads a name from left to right. Where no further character can be right it leads
nowhere; a name is allowed if it leads to a state where a name may end.
"""

import numpy as np

from models.arrays import Flags, Ints, array_dataclass
from models.text.vocabulary import Vocabulary

NOWHERE = -1


@array_dataclass
class Automaton:
    """An automaton that begins in state 0.

    classes: (tokens,), the class of each token: those of a class are not told apart
    moves: (states, classes), the next state or NOWHERE
    accepting: (states,), whether a name may end
    """

    classes: Ints
    moves: Ints
    accepting: Flags

    def __len__(self) -> int:
        """How many states there are."""
        return len(self.moves)


def trimming(vocabulary: Vocabulary) -> Automaton:
    """Allows the names without white space at either end."""
    classes = np.array(vocabulary.spaces, dtype=np.intp)
    # After nothing, after a letter, after white space; each on a letter, on white space.
    moves = np.array([[1, NOWHERE], [1, 2], [1, 2]])
    return Automaton(classes, moves, np.array([False, True, False]))
