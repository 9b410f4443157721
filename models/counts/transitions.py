"""Transitions of names: at a position, after the last characters, the next character.

Training counts transitions, and the log-likelihood of a name is the sum of the log-probabilities
of its transitions.
"""

import numpy as np

from models.arrays import Ints, array_dataclass
from models.text.vocabulary import BOUNDARY


@array_dataclass
class Contexts:
    """The contexts of n next characters.

    positions: (n,), the number of characters before; may be clamped to the last position
    history: (n, order), the last tokens, nearest first; BOUNDARY before the start of the name
    """

    positions: Ints
    history: Ints


@array_dataclass
class Transitions:
    """Transitions of names: in each of n contexts the next token; BOUNDARY ends a name.

    tokens: (n,)
    """

    contexts: Contexts
    tokens: Ints


def transitions(stream: Ints, order: int, positions: int | None = None) -> Transitions:
    """Return all transitions of the names in a stream of tokens, each followed by BOUNDARY.

    order: the number of last characters in the history of a context
    positions: later positions are clamped to the last of these; None to clamp none

    >>> made = transitions(np.array([1, 2, 0]), order=2)  # one name of two characters
    >>> made.contexts.positions.tolist()
    [0, 1, 2]
    >>> made.contexts.history.tolist()
    [[0, 0], [1, 0], [2, 1]]
    >>> made.tokens.tolist()
    [1, 2, 0]
    """
    starts = name_starts(stream)
    lengths = np.diff(np.append(starts, len(stream)))  # in transitions, the end included
    offsets = np.arange(len(stream)) - starts.repeat(lengths)  # from the start of the name
    history = np.full((order, len(stream)), BOUNDARY, dtype=np.intp)  # columns are contiguous
    for back in range(1, order + 1):
        history[back - 1, back:] = np.where(offsets[back:] >= back, stream[:-back], BOUNDARY)
    clamped = offsets if positions is None else np.minimum(offsets, positions - 1)
    return Transitions(Contexts(clamped, history.T), stream)


def name_starts(stream: Ints) -> Ints:
    """Return the index of the first token of each name in a stream, (names,)."""
    ends = np.flatnonzero(stream == BOUNDARY)
    return np.concatenate(([0], ends[:-1] + 1)) if len(ends) else ends
