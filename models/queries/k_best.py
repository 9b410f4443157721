"""The k most probable names of a conditioned chain, exact, by A* search.

A backward pass with the maximum in place of the sum (Viterbi) gives the log-probability of the
best completion of every state. It is the exact heuristic of the A* search, which therefore finds
names in descending order of probability (tree-trellis search, Soong and Huang, 1991).
"""

from dataclasses import dataclass
from heapq import heappop, heappush
from typing import NamedTuple, TypeAlias

import numpy as np

from models.chain.conditioning import ConditionedChain
from models.counts.context_trie import START
from models.text.vocabulary import BOUNDARY


class Edge(NamedTuple):
    """A transition out of a state.

    best: the log-probability of the best completion that begins with the transition
    log_probability: of the transition alone, unconditioned
    """

    best: float
    log_probability: float
    token: int


# An entry of the search queue: minus the log-probability of the best name, its prefix, the rank
# of the edge that it takes next, the state after the prefix and the prefix's log-probability.
Candidate: TypeAlias = tuple[float, str, int, int, float]


@dataclass(frozen=True, slots=True)
class RankedName:
    """A name and its unconditioned log-likelihood, at the constraints' temperature and top_k."""

    name: str
    log_likelihood: float


def best_completions(conditioned: ConditionedChain) -> ConditionedChain:
    """Return the chain with the log-probability of the best completion as `log_beta`."""
    return conditioned.with_reduction(lambda joint: joint.max(axis=-1))


def k_best(best: ConditionedChain, count: int) -> list[RankedName]:
    """Return the `count` most probable names, or all names if there are fewer.

    best: a chain from `best_completions`

    The names are in descending order of log-likelihood, then in alphabetical order.

    >>> from models.chain.conditioning import condition
    >>> from models.chain.markov_chain import bigram_chain
    >>> from models.constraints.constraints import Constraints
    >>> from models.text.vocabulary import Vocabulary
    >>> logits = np.log([[2, 5, 3], [5, 1, 4], [5, 4, 1]])  # rows: start, after a, after b
    >>> chain = bigram_chain(Vocabulary("ab"), logits)
    >>> best = best_completions(condition(chain, Constraints()))
    >>> [(ranked.name, round(ranked.log_likelihood, 3)) for ranked in k_best(best, 3)]
    [('a', -1.386), ('b', -1.897), ('ab', -2.303)]
    """
    edges: dict[tuple[int, int], list[Edge]] = {}  # by length and state
    names: list[RankedName] = []
    queue: list[Candidate] = []
    characters = best.chain.vocabulary.characters

    def push(prefix: str, rank: int, state: int, log_probability: float) -> None:
        node = len(prefix), state
        if node not in edges:
            edges[node] = _edges(best, *node, count)
        if rank < len(edges[node]):
            priority = -log_probability - edges[node][rank].best
            heappush(queue, (priority, prefix, rank, state, log_probability))

    push("", 0, START, 0.0)
    while queue and len(names) < count:
        _, prefix, rank, state, log_probability = heappop(queue)
        edge = edges[len(prefix), state][rank]
        push(prefix, rank + 1, state, log_probability)
        log_probability += edge.log_probability
        if edge.token == BOUNDARY:
            names.append(RankedName(prefix, log_probability))
        else:
            next_state = best.product.next_state(state, edge.token)
            push(prefix + characters[edge.token - 1], 0, next_state, log_probability)
    return sorted(names, key=lambda ranked: (-ranked.log_likelihood, ranked.name))


def _edges(best: ConditionedChain, length: int, state: int, count: int) -> list[Edge]:
    """Return the `count` best edges out of a state that can satisfy the constraints, in order."""
    completions = best.joint_log_probabilities(length, state)
    log_probabilities = best.chain.log_probabilities(length, best.product.chain_states_of(state))
    tokens = np.argsort(-completions, kind="stable")[:count]  # each leads to a distinct name
    tokens = tokens[completions[tokens] > -np.inf]
    columns = completions[tokens], log_probabilities[tokens], tokens
    return [Edge(*row) for row in zip(*(column.tolist() for column in columns), strict=True)]
