"""Flow conservation: whether counts can be those of complete names.

A context is a position and the characters before it. Contexts are the nodes of a graph, counted
transitions are its edges, and every name is a path from the start to an end. So each context after
the start has as much inflow (names that arrive from the position before) as outflow (names that
continue or end). If this holds for all contexts, the counts are a sum of paths by flow
decomposition (`models/counts/flow_decomposition.py`): some list of names has these counts, and
every context is reachable.
"""

import numpy as np

from models.arrays import Counts, Ints, array_dataclass
from models.counts.context_counts import ContextCounts, add
from models.counts.transitions import Contexts, Transitions
from models.text.vocabulary import BOUNDARY


@array_dataclass
class Imbalance:
    """A context whose inflow and outflow differ.

    history: (order,), the tokens before, nearest first; BOUNDARY before the start of the name
    inflow: number of names that arrive from the position before
    outflow: number of names that continue or end
    """

    position: int
    history: Ints
    inflow: int
    outflow: int


def first_imbalance(counts: ContextCounts) -> Imbalance | None:
    """Return the first context, by position, whose inflow and outflow differ; None if none does.

    `counts` are at positions that are not clamped. Takes O(n log n) time for n rows.
    """
    net = _net_inflow(counts)
    unbalanced = np.flatnonzero(net.counts)
    if not len(unbalanced):
        return None
    first = unbalanced[0]
    imbalanced = net.transitions.contexts
    position, history = imbalanced.positions[first], imbalanced.history[first]
    contexts = counts.transitions.contexts
    in_context = (contexts.positions == position) & (contexts.history == history).all(axis=1)
    outflow = int(counts.counts[in_context].sum())
    return Imbalance(int(position), history, outflow + int(net.counts[first]), outflow)


def _net_inflow(counts: ContextCounts) -> ContextCounts:
    """Return inflow minus outflow of each context after the start; all tokens are BOUNDARY."""
    contexts, tokens = counts.transitions.contexts, counts.transitions.tokens
    continues, after_start = tokens != BOUNDARY, contexts.positions > 0
    next_history = np.column_stack([tokens, contexts.history])[:, : counts.order]
    arrivals = Contexts(contexts.positions[continues] + 1, next_history[continues])
    departures = Contexts(contexts.positions[after_start], contexts.history[after_start])
    return add(
        [
            _context_counts(arrivals, counts.counts[continues]),
            _context_counts(departures, -counts.counts[after_start]),
        ]
    )


def _context_counts(contexts: Contexts, counts: Counts) -> ContextCounts:
    return ContextCounts(Transitions(contexts, np.full(len(counts), BOUNDARY)), counts)
