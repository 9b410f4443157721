"""Whether counts can be those of a list: as many names must leave each context as arrive there.

A context is a position and the characters before it. A name that arrives there goes on or ends.
If this holds for all contexts, the counts are a sum of whole names
(`models/counts/flow_decomposition.py`): they are those of some list, and every context in them
can be reached.
"""

import numpy as np

from models.arrays import Counts, Ints, array_dataclass
from models.counts.context_counts import ContextCounts, add
from models.counts.transitions import Contexts, Transitions
from models.text.vocabulary import BOUNDARY


@array_dataclass
class Imbalance:
    """A context where the number of names changes.

    history: the tokens before, nearest first, (order,); BOUNDARY before the first
    arriving: the number of names that come to it from the position before
    leaving: the number of names that go on or end there
    """

    position: int
    history: Ints
    arriving: int
    leaving: int


def first_imbalance(counts: ContextCounts) -> Imbalance | None:
    """The first context, by position, where arriving and leaving differ; None if there is none.

    counts: at positions that are not clamped

    Takes O(n log n) for n rows.
    """
    balance = _balance(counts)
    bad = np.flatnonzero(balance.counts)
    if not len(bad):
        return None
    contexts = counts.transitions.contexts
    position = balance.transitions.contexts.positions[bad[0]]
    history = balance.transitions.contexts.history[bad[0]]
    here = (contexts.positions == position) & (contexts.history == history).all(axis=1)
    leaving = int(counts.counts[here].sum())
    return Imbalance(int(position), history, leaving + int(balance.counts[bad[0]]), leaving)


def _balance(counts: ContextCounts) -> ContextCounts:
    """Arrivals less departures for each context after the start; tokens are all BOUNDARY."""
    contexts, tokens = counts.transitions.contexts, counts.transitions.tokens
    on, later = tokens != BOUNDARY, contexts.positions > 0
    history = np.column_stack([tokens, contexts.history])[on, : counts.order]
    arrivals = Contexts(contexts.positions[on] + 1, history)
    departures = Contexts(contexts.positions[later], contexts.history[later])
    return add([_at(arrivals, counts.counts[on]), _at(departures, -counts.counts[later])])


def _at(contexts: Contexts, counts: Counts) -> ContextCounts:
    return ContextCounts(Transitions(contexts, np.full(len(counts), BOUNDARY)), counts)
