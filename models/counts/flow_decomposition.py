"""Counts as a flow: a list of names that has these counts, found by flow decomposition.

The contexts (position, last characters) are nodes, the counted transitions are edges, and
as much flow leaves a node as arrives there. Such a flow is a sum of paths; a path is a name,
and its size is the number of times that the name is in the list. Many lists have the same
counts. The list found here has about as many distinct names as the true one, and a name that
is often repeated stays one name: each path that arrives at a node is cut into pieces about as
large as the smallest edge there, and these are spread over the edges.
(Flow decomposition: Ford and Fulkerson, 1962; north-west corner rule: Dantzig, 1951.)
"""

from typing import TypeAlias

import numpy as np

from models.arrays import Floats, Ints, array_dataclass
from models.counts.context_counts import ContextCounts
from models.text.vocabulary import BOUNDARY

LONGEST = 256  # transitions of a path: each transition at a later position is a path of its own
PIECES = 2**20  # of the flow at a position: bounds time and memory for millions of names

# Pieces of the flow at a position: the path that each continues, its transition, its size.
Pieces: TypeAlias = tuple[Ints, Ints, Ints]


@array_dataclass
class Paths:
    """Names as paths through counted transitions, n of them.

    sizes: (n,), how often each name is in the list
    names, steps: (m,), for each transition of each name which name and which transition it is
    """

    sizes: Ints
    names: Ints
    steps: Ints

    def __len__(self) -> int:
        """The number of paths."""
        return len(self.sizes)

    def counts(self, weights: Floats, total: int) -> Floats:
        """How often each of `total` transitions occurs in names of these weights, (total,)."""
        return np.bincount(self.steps, weights[self.names], total).astype(np.float64)


def decompose(counts: ContextCounts) -> Paths:
    """Names that have these counts, which are sorted and at positions that are not clamped.

    Takes time and memory in proportion to the distinct transitions, not to the names.
    Raises ValueError if they are not the counts of whole names.
    """
    positions, tokens = counts.steps.contexts.positions, counts.steps.tokens
    arrivals, departures = _nodes(counts)
    unit = np.gcd.reduce(counts.counts)  # a list that is repeated as a whole has the same paths
    edges = counts.counts // unit
    stops = np.searchsorted(positions, np.arange(min(int(positions[-1]) + 1, LONGEST)), "right")
    levels: list[Pieces] = []
    nodes, sizes = departures[:1], edges[: stops[0]].sum(keepdims=True)
    for start, stop in zip([0, *stops[:-1].tolist()], stops.tolist(), strict=True):
        level = _spread(nodes, sizes, departures[start:stop], edges[start:stop])
        before, steps, sizes = level[0], level[1] + start, level[2]
        levels.append((before, steps, sizes * unit))
        going = tokens[steps] != BOUNDARY
        nodes, sizes = arrivals[steps[going]], sizes[going]
    return _paths(counts, levels, int(stops[-1]))


def _nodes(counts: ContextCounts) -> tuple[Ints, Ints]:
    """Numbers of the histories that transitions lead to and start from: two arrays of (n,)."""
    history, tokens = counts.steps.contexts.history, counts.steps.tokens
    base = int(max(tokens.max(), history.max())) + 1
    powers = base ** np.arange(history.shape[1])[::-1]
    departures = history @ powers
    arrivals: Ints = tokens * powers[0] + departures // base
    return arrivals, departures


def _spread(nodes: Ints, sizes: Ints, edge_nodes: Ints, edge_sizes: Ints) -> Pieces:
    """Send the flows that arrive at nodes along the edges out of them.

    nodes, sizes: (paths,), where each path is and its size
    edge_nodes, edge_sizes: (edges,), where each edge starts, in ascending order, and its count

    Raises ValueError if at some node more or less flow arrives than leaves.
    """
    known, edges_of = np.unique(edge_nodes, return_inverse=True)
    at = np.minimum(np.searchsorted(known, nodes), len(known) - 1)
    through = np.bincount(at, sizes, len(known))
    if (known[at] != nodes).any() or (through != np.bincount(edges_of, edge_sizes)).any():
        raise ValueError("the counts are not those of whole names")
    units = np.full(len(known), np.iinfo(np.intp).max)
    np.minimum.at(units, edges_of, edge_sizes)
    flows, pieces = _cut(sizes, np.maximum(units, -(-int(sizes.sum()) // PIECES))[at])
    # The first pieces of all paths at a node, in random order, come before the second ones. So the
    # pieces of one path go to different edges as far as possible, and few names are there twice.
    order = np.random.default_rng(0).permutation(len(sizes))[flows]
    order = np.lexsort((order, _occurrence(flows), at[flows]))
    flows, ends, edge_ends = flows[order], pieces[order].cumsum(), edge_sizes.cumsum()
    cuts = np.union1d(ends, edge_ends)
    taken = flows[np.searchsorted(ends, cuts)] * len(edge_sizes) + np.searchsorted(edge_ends, cuts)
    distinct, which = np.unique(taken, return_inverse=True)
    amounts = np.bincount(which, np.diff(cuts, prepend=0)).astype(np.intp)
    return (*np.divmod(distinct, len(edge_sizes)), amounts)


def _cut(sizes: Ints, units: Ints) -> tuple[Ints, Ints]:
    """Cut each flow into equal pieces of at least a unit; the flow and the size of each piece."""
    number = np.maximum(1, sizes // units)
    flows = np.arange(len(sizes)).repeat(number)
    pieces = _occurrence(flows)
    # The first ones take one more each until nothing is left over.
    return flows, (sizes // number)[flows] + (pieces < (sizes % number)[flows])


def _occurrence(sorted_: Ints) -> Ints:
    """How many equal entries come before each entry of a sorted array, (n,)."""
    first = np.flatnonzero(np.diff(sorted_, prepend=-1))
    return np.arange(len(sorted_)) - first.repeat(np.diff(first, append=len(sorted_)))


def _paths(counts: ContextCounts, levels: list[Pieces], stop: int) -> Paths:
    """Follow the pieces back from the ends of names; each transition from `stop` on is a path."""
    alone = np.arange(stop, len(counts.counts))
    sizes, names, steps = [counts.counts[alone]], [np.arange(len(alone))], [alone]
    pieces = path = np.empty(0, dtype=np.intp)  # that continue at the next position, their paths
    paths = len(alone)
    for before, step, size in reversed(levels):
        going = counts.steps.tokens[step] != BOUNDARY if len(pieces) else np.zeros(len(step), bool)
        ended = np.flatnonzero(~going)
        pieces = np.concatenate([np.flatnonzero(going)[pieces], ended])
        path = np.concatenate([path, paths + np.arange(len(ended))])
        paths += len(ended)
        sizes.append(size[ended])
        names.append(path)
        steps.append(step[pieces])
        pieces = before[pieces]
    return Paths(np.concatenate(sizes), np.concatenate(names), np.concatenate(steps))
