"""A name as the steps it is made of: at a position, after some characters, comes the next one.

Everything a model learns and everything it says about a name goes through these
steps: counting them is training data, adding up their log-probabilities is a score.
"""

import numpy as np

from models.arrays import Ints, array_dataclass
from models.text.vocabulary import BOUNDARY


@array_dataclass
class Contexts:
    """Where in a name something stands.

    positions: (n,), the number of characters before it, clamped to the last position
    history: (n, order), the tokens before it, the nearest first; BOUNDARY from the
        start of the name on
    """

    positions: Ints
    history: Ints


@array_dataclass
class Transitions:
    """Steps of names: in each of n contexts comes a token, BOUNDARY for the end; tokens (n,)."""

    contexts: Contexts
    tokens: Ints


def transitions(stream: Ints, order: int, positions: int | None = None) -> Transitions:
    """Every step of the names in a stream of tokens with a BOUNDARY after each name.

    `order` is how many of the last characters a context shows; positions past the
    last of `positions` are clamped to it, none are if it is None.
    """
    starts = name_starts(stream)
    steps = np.diff(np.append(starts, len(stream)))  # of each name, its end included
    before = np.arange(len(stream)) - starts.repeat(steps)
    history = np.full((order, len(stream)), BOUNDARY, dtype=np.intp)  # its columns are worked on
    for back in range(1, order + 1):
        history[back - 1, back:] = np.where(before[back:] >= back, stream[:-back], BOUNDARY)
    clamped = before if positions is None else np.minimum(before, positions - 1)
    return Transitions(Contexts(clamped, history.T), stream)


def name_starts(stream: Ints) -> Ints:
    """Where in a stream each name begins, (names,)."""
    ends = np.flatnonzero(stream == BOUNDARY)
    return np.concatenate(([0], ends[:-1] + 1)) if len(ends) else ends
