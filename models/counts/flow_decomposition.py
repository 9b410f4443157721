"""Flow decomposition: a list of names that has given counts.

The contexts (position, last characters) are nodes and the counted transitions are edges; the
flow into each node equals the flow out of it. Such a flow is a sum of paths (Ford and Fulkerson,
1962). A path is a name, and its size is how often the list has the name.

Many lists have the same counts. The list found here has about as many distinct names as the
true one, and a name that is repeated often stays one name: each path into a node is cut into
pieces about as large as the smallest edge there, and the pieces are assigned to the edges in
turn (north-west corner rule: Dantzig, 1951).
"""

from typing import TypeAlias

import numpy as np

from models.arrays import Floats, Ints, array_dataclass
from models.counts.context_counts import ContextCounts
from models.text.vocabulary import BOUNDARY

MAX_PATH_LENGTH = 256  # transitions; each transition at a later position is a path of its own
MAX_PIECES = 2**20  # of the flow at a position: bounds time and memory for millions of names

# Pieces of the flow at a position: the path that each continues, its transition, its size.
Pieces: TypeAlias = tuple[Ints, Ints, Ints]


@array_dataclass
class Paths:
    """Names as paths through the counted transitions, n of them.

    sizes: (n,), how often the list has each name
    names, transitions: (m,), the name and the counted transition of each transition of each name
    """

    sizes: Ints
    names: Ints
    transitions: Ints

    def __len__(self) -> int:
        """Return the number of paths."""
        return len(self.sizes)

    def counts(self, weights: Floats, total: int) -> Floats:
        """Return the counts of the transitions if the names have these weights, (total,).

        weights: (n,)
        total: the number of distinct transitions
        """
        return np.bincount(self.transitions, weights[self.names], total).astype(np.float64)


def decompose(counts: ContextCounts) -> Paths:
    """Return names that have these counts, which must be sorted and have no clamped positions.

    Time and memory grow with the number of distinct transitions, not with the number of names.
    Raises ValueError if no list of names has these counts.
    """
    contexts, tokens = counts.transitions.contexts, counts.transitions.tokens
    arrivals, departures = _nodes(counts)
    unit = np.gcd.reduce(counts.counts)  # a list repeated as a whole has the same paths
    edges = counts.counts // unit
    positions = np.arange(min(int(contexts.positions[-1]) + 1, MAX_PATH_LENGTH))
    stops = np.searchsorted(contexts.positions, positions, "right")
    levels: list[Pieces] = []
    nodes, sizes = departures[:1], edges[: stops[0]].sum(keepdims=True)
    for start, stop in zip([0, *stops[:-1].tolist()], stops.tolist(), strict=True):
        level = _spread(nodes, sizes, departures[start:stop], edges[start:stop])
        previous, transitions, sizes = level[0], level[1] + start, level[2]
        levels.append((previous, transitions, sizes * unit))
        continues = tokens[transitions] != BOUNDARY
        nodes, sizes = arrivals[transitions[continues]], sizes[continues]
    return _paths(counts, levels, int(stops[-1]))


def _nodes(counts: ContextCounts) -> tuple[Ints, Ints]:
    """Return the nodes that n transitions lead to and start from: two integer arrays, (n,)."""
    history, tokens = counts.transitions.contexts.history, counts.transitions.tokens
    base = int(max(tokens.max(), history.max())) + 1
    powers = base ** np.arange(history.shape[1])[::-1]
    departures = history @ powers
    arrivals: Ints = tokens * powers[0] + departures // base
    return arrivals, departures


def _spread(nodes: Ints, sizes: Ints, edge_nodes: Ints, edge_sizes: Ints) -> Pieces:
    """Assign the flows into the nodes of a position to the edges out of them.

    nodes, sizes: (paths,), the node that each path has reached, and its size
    edge_nodes, edge_sizes: (edges,), the node that each edge starts from, ascending, and its count

    Raises ValueError if the flow into a node differs from the flow out of it.
    """
    known, edge_indices = np.unique(edge_nodes, return_inverse=True)
    indices = np.minimum(np.searchsorted(known, nodes), len(known) - 1)
    inflow = np.bincount(indices, sizes, len(known))
    outflow = np.bincount(edge_indices, edge_sizes)
    if (known[indices] != nodes).any() or (inflow != outflow).any():
        raise ValueError("no list of whole names has these counts")
    units = np.full(len(known), np.iinfo(np.intp).max)  # the smallest edge of each node
    np.minimum.at(units, edge_indices, edge_sizes)
    flows, pieces = _cut(sizes, np.maximum(units, -(-int(sizes.sum()) // MAX_PIECES))[indices])
    # At each node, the first pieces of all paths come before the second pieces, in random order.
    # So the pieces of a path go to different edges if possible, and few names occur twice.
    order = np.random.default_rng(0).permutation(len(sizes))[flows]
    order = np.lexsort((order, _occurrence(flows), indices[flows]))
    flows, ends, edge_ends = flows[order], pieces[order].cumsum(), edge_sizes.cumsum()
    cuts = np.union1d(ends, edge_ends)
    keys = flows[np.searchsorted(ends, cuts)] * len(edge_sizes) + np.searchsorted(edge_ends, cuts)
    distinct, groups = np.unique(keys, return_inverse=True)
    amounts = np.bincount(groups, np.diff(cuts, prepend=0)).astype(np.intp)
    return (*np.divmod(distinct, len(edge_sizes)), amounts)


def _cut(sizes: Ints, units: Ints) -> tuple[Ints, Ints]:
    """Cut each flow into near-equal pieces of at least a unit.

    Returns the flow and the size of each piece, (pieces,).
    """
    number = np.maximum(1, sizes // units)
    flows = np.arange(len(sizes)).repeat(number)
    pieces = _occurrence(flows)
    # The first pieces of a flow share the remainder.
    return flows, (sizes // number)[flows] + (pieces < (sizes % number)[flows])


def _occurrence(values: Ints) -> Ints:
    """Return the number of equal values before each of n sorted values, (n,)."""
    first = np.flatnonzero(np.diff(values, prepend=-1))
    return np.arange(len(values)) - first.repeat(np.diff(first, append=len(values)))


def _paths(counts: ContextCounts, levels: list[Pieces], stop: int) -> Paths:
    """Follow the pieces back from the ends of names.

    Each transition from index `stop` on becomes a path of its own.
    """
    single = np.arange(stop, len(counts.counts))
    sizes, names, transitions = [counts.counts[single]], [np.arange(len(single))], [single]
    # Pieces that continue at the next position, and their paths.
    pieces = paths = np.empty(0, dtype=np.intp)
    num_paths = len(single)
    for previous, transition, size in reversed(levels):
        continues = np.zeros(len(transition), dtype=bool)
        if len(pieces):
            continues = counts.transitions.tokens[transition] != BOUNDARY
        ended = np.flatnonzero(~continues)
        pieces = np.concatenate([np.flatnonzero(continues)[pieces], ended])
        paths = np.concatenate([paths, num_paths + np.arange(len(ended))])
        num_paths += len(ended)
        sizes.append(size[ended])
        names.append(paths)
        transitions.append(transition[pieces])
        pieces = previous[pieces]
    return Paths(np.concatenate(sizes), np.concatenate(names), np.concatenate(transitions))
