"""The likeliest names of a conditioned chain, exactly, by a best-first search.

A backward recursion gives the likeliest way to end well from every state, so that of each
beginning it is known how likely a name can become. The search always goes on where that
is highest: it meets the names in the order of their likelihood.
"""

from dataclasses import dataclass
from heapq import heappop, heappush
from typing import TypeAlias

import numpy as np

from models.chain.conditioning import ConditionedChain
from models.counts.context_trie import START
from models.text.vocabulary import BOUNDARY

# A step from somewhere: the log-probabilities of the likeliest name from there that takes
# it and of the step alone, and its token.
Step: TypeAlias = tuple[float, float, int]


@dataclass(frozen=True, slots=True)
class RankedName:
    """A name and its log-likelihood at the temperature and the top k of the wish."""

    name: str
    log_likelihood: float


def best_completions(conditioned: ConditionedChain) -> ConditionedChain:
    """The chain with the log-probability of the likeliest way to end well as `log_beta`."""
    return conditioned.with_reduction(lambda joint: joint.max(axis=-1))


def k_best(best: ConditionedChain, count: int) -> list[RankedName]:
    """The likeliest names of a chain with its best endings, all if there are fewer."""
    steps: dict[tuple[int, int], list[Step]] = {}
    names: list[RankedName] = []
    # What waits: minus the log-probability of the best name, the beginning that it has,
    # the rank of the step to take, the beginning's state and log-probability.
    waiting: list[tuple[float, str, int, int, float]] = []
    characters = best.chain.vocabulary.characters

    def wait(name: str, rank: int, state: int, so_far: float) -> None:
        here = len(name), state
        if here not in steps:
            steps[here] = _steps(best, *here, count)
        if rank < len(steps[here]):
            heappush(waiting, (-so_far - steps[here][rank][0], name, rank, state, so_far))

    wait("", 0, START, 0.0)
    while waiting and len(names) < count:
        _, name, rank, state, so_far = heappop(waiting)
        _, step, token = steps[len(name), state][rank]
        wait(name, rank + 1, state, so_far)
        if token == BOUNDARY:
            names.append(RankedName(name, so_far + step))
        else:
            after = best.product.next_state(state, token)
            wait(name + characters[token - 1], 0, after, so_far + step)
    return sorted(names, key=lambda found: (-found.log_likelihood, found.name))


def _steps(best: ConditionedChain, length: int, state: int, count: int) -> list[Step]:
    """The steps from a state that can end well, the best first: as many as names are sought."""
    onward = best.joint_log_probabilities(length, state)
    alone = best.chain.log_probabilities(length, best.product.chain_states_of(state))
    order = np.argsort(-onward, kind="stable")[:count]  # each leads to a name of its own
    order = order[onward[order] > -np.inf]
    return list(zip(onward[order].tolist(), alone[order].tolist(), order.tolist(), strict=True))
