"""Automaton of the names that are not in the training set.

Its states are the nodes of a trie, which are the prefixes of the training names, and one more
state for all names that are no prefix of a training name.
"""

import numpy as np

from models.arrays import Ints
from models.constraints.automaton import Automaton
from models.constraints.constraints import TooComplexError
from models.text.vocabulary import BOUNDARY

MAX_TRIE_CELLS = 2**24  # states times tokens of the table of next states, 64 MB


def novelty_automaton(stream: Ints, tokens: int) -> Automaton:
    """Return an automaton of all names but those of a stream, which has a BOUNDARY after each.

    tokens: the number of tokens of the vocabulary, BOUNDARY included

    Raises TooComplexError if the table of next states has more than MAX_TRIE_CELLS.

    >>> automaton = novelty_automaton(np.array([1, 0, 1, 2, 0]), 3)  # a, ab
    >>> automaton.next_states.tolist()  # of the empty prefix, a, ab and any other name
    [[3, 1, 3], [3, 3, 2], [3, 3, 3], [3, 3, 3]]
    >>> automaton.accepting.tolist()
    [True, False, False, True]
    """
    edges, complete = _trie(stream, tokens)
    other = len(edges) + 1  # the state of the names that are no prefix
    next_states: Ints = np.full((other + 1, tokens), other, dtype=np.int32)
    next_states.ravel()[edges] = np.arange(1, other)
    accepting = np.ones(len(next_states), dtype=bool)
    accepting[complete] = False
    return Automaton(np.arange(tokens), next_states, accepting)


def _trie(stream: Ints, tokens: int) -> tuple[Ints, Ints]:
    """Return the edges of the trie of a stream of names, and the nodes of complete names.

    The edge to node i + 1 is edge i: the index of its parent and token in the flat table, which
    is parent * tokens + token. Node 0 is the empty prefix.
    """
    # The trie is built level by level: all names are read at once, one token at a time.
    ends = np.flatnonzero(stream == BOUNDARY)
    offsets = np.concatenate([[0], ends + 1])[:-1]  # of the next token of each name
    nodes = np.zeros(len(offsets), dtype=np.intp)  # of the prefix before it
    size, edges, complete = 1, [ends[:0]], [ends[:0]]
    while len(offsets):
        letters = stream[offsets]
        complete.append(nodes[letters == BOUNDARY])
        unfinished = letters != BOUNDARY
        offsets = offsets[unfinished] + 1
        cells = nodes[unfinished] * tokens + letters[unfinished]
        level, children = np.unique(cells, return_inverse=True)
        edges.append(level)
        nodes = size + children
        size += len(level)
        if (size + 1) * tokens > MAX_TRIE_CELLS:
            raise TooComplexError(
                f"The training names have more than {MAX_TRIE_CELLS // tokens:,} distinct prefixes,"
                f" the limit for {tokens - 1:,} different characters; leave out novel",
                "novel",
            )
    return np.concatenate(edges), np.concatenate(complete)
