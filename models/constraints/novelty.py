"""Names that are not of a list: an automaton that follows the list as long as it can.

Its states are the beginnings of the listed names, a trie, and one for having left it.
"""

import numpy as np

from models.arrays import Ints
from models.constraints.automaton import Automaton
from models.constraints.constraints import TooComplexError
from models.text.vocabulary import BOUNDARY

MAX_CELLS = 2**24  # of the table of moves, 64 MB


def novel_names(stream: Ints, tokens: int) -> Automaton:
    """Allows the names that are not in a stream of names, a BOUNDARY after each.

    Raises TooComplexError if the list is too long.
    """
    ends = np.flatnonzero(stream == BOUNDARY)
    at = np.concatenate([[0], ends + 1])[:-1]  # where each name is read
    states = np.zeros(len(at), dtype=np.intp)  # the beginning of it that has been read
    known, steps, listed = 1, [], []
    while len(at):
        letters = stream[at]
        listed.append(states[letters == BOUNDARY])
        going = letters != BOUNDARY
        at = at[going] + 1
        # From one beginning to another that is longer by a letter: an entry of the table.
        extensions, groups = np.unique(states[going] * tokens + letters[going], return_inverse=True)
        steps.append(extensions)
        states = known + groups
        known += len(extensions)
        if (known + 1) * tokens > MAX_CELLS:
            most = MAX_CELLS // tokens
            message = (
                f"The training list is too long: its names have over {most:,} beginnings, "
                f"the most with {tokens - 1:,} different characters; leave out novel"
            )
            raise TooComplexError(message, "novel")
    moves: Ints = np.full(
        (known + 1, tokens), known, dtype=np.int32
    )  # most leave the list for good
    moves.ravel()[np.concatenate([*steps, []]).astype(np.intp)] = np.arange(1, known)
    accepting = np.ones(len(moves), dtype=bool)
    accepting[np.concatenate([*listed, []]).astype(np.intp)] = False
    return Automaton(np.arange(tokens), moves, accepting)
