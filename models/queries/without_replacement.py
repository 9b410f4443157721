"""Sampling without replacement: distinct names from a sampler.

Two methods have the same distribution. Rejection draws from the sampler and drops names that have
been drawn before. If a few names have nearly all the probability, it takes too long. After
MAX_REPEATS repeated names in a row, further names are drawn from the remaining probability
(incremental sampling without replacement; Shi, Bieber and Sutton, 2020). A prefix tree of the
drawn names has the log of the share of each branch that has not been drawn.
"""

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from itertools import islice
from typing import NamedTuple

import numpy as np
from numpy.random import Generator

from models.arrays import Floats
from models.chain.conditioning import ConditionedChain
from models.counts.context_trie import START
from models.queries.sampling import Sampler
from models.text.vocabulary import BOUNDARY

MAX_REPEATS = 256  # repeated names in a row before rejection gives way to the prefix tree
CHUNK_NAMES = 20  # names drawn from or put into the prefix tree at once: some milliseconds
ROW_CELLS = 2**21  # cells of the cached rows of the chain, 16 MB


def sample_without_replacement(
    sampler: Sampler, count: int, generator: Generator
) -> Iterator[list[str]]:
    """Yield the first `count` distinct names of a generator, in chunks.

    The chain must have at least `count` names. A chunk has up to `count` names while rejection
    draws them, then up to CHUNK_NAMES. It may be empty, so that the caller can interrupt a long
    computation for other work.
    """
    # The prefix tree has uniforms of its own, so that its names do not depend on how many
    # names have been drawn at once before.
    tree_generator = np.random.Generator(generator.bit_generator.jumped())  # type: ignore[attr-defined]
    names: dict[str, None] = {}  # an ordered set
    repeats = 0
    while len(names) < count and repeats < MAX_REPEATS:
        known = len(names)
        for name in sampler.draw(count - known, generator):
            repeats = repeats + 1 if name in names else 0
            if repeats == MAX_REPEATS:
                break
            names[name] = None
        yield list(islice(names, known, None))
    if len(names) < count:
        yield from _draw_rest(
            RemainingNames(sampler.conditioned), list(names), count, tree_generator
        )


def _draw_rest(
    remaining: "RemainingNames", names: list[str], count: int, generator: Generator
) -> Iterator[list[str]]:
    """Remove the names, with an empty chunk after some of them; then yield others up to `count`."""
    for start in range(0, len(names), CHUNK_NAMES):
        for name in names[start : start + CHUNK_NAMES]:
            remaining.remove(name)
        yield []
    for start in range(len(names), count, CHUNK_NAMES):
        yield [remaining.draw(generator) for _ in range(min(CHUNK_NAMES, count - start))]


class _Leaf(NamedTuple):
    """The rest of the only removed name in a branch, without nodes of its own.

    tokens: the further tokens of the name
    log_remaining: after each of them, as in `_Node`
    """

    tokens: list[int]
    log_remaining: list[float]


@dataclass(slots=True)
class _Node:
    """A prefix of removed names.

    log_remaining: token -> the log of the share of its probability that has not been removed
    children: token -> the prefix that is longer by this token
    """

    log_remaining: dict[int, float] = field(default_factory=dict)
    children: "dict[int, _Node | _Leaf]" = field(default_factory=dict)

    def child(self, token: int) -> "_Node | None":
        """Return the node after a token, None if no removed name has it; splits a leaf."""
        child = self.children.get(token)
        if isinstance(child, _Leaf):
            (first, *tokens), (remaining, *rest) = child
            leaf: dict[int, _Node | _Leaf] = {first: _Leaf(tokens, rest)} if tokens else {}
            child = self.children[token] = _Node({first: remaining}, leaf)
        return child


class RemainingNames:
    """The names of a conditioned chain that have not been removed, with their distribution."""

    def __init__(self, conditioned: ConditionedChain) -> None:
        self._conditioned = conditioned
        self._root = _Node()
        self._rows: dict[tuple[int, int], Floats] = {}  # by length and state

    def draw(self, generator: Generator) -> str:
        """Draw a name, remove it and return it. At least one name must remain."""
        uniforms = iter(generator.random(self._conditioned.constraints.max_length + 1).tolist())

        def invert(weights: Floats) -> int:
            cumulative = np.exp(weights - weights.max()).cumsum()
            return int(cumulative.searchsorted(next(uniforms) * cumulative[-1], side="right"))

        return self._remove(invert)

    def remove(self, name: str) -> None:
        """Remove a name of the chain that remains."""
        tokens = iter(self._conditioned.chain.vocabulary.encode([name]).tolist())
        self._remove(lambda _: next(tokens))

    def _remove(self, choose: Callable[[Floats], int]) -> str:
        """Remove and return the name whose tokens are chosen by the log-weights of each row."""
        tokens: list[int] = []
        nodes: list[_Node] = []  # of the prefixes that the name shares with removed names
        rows: list[tuple[float, Floats]] = []  # original log-weight of the token, all log-weights
        node: _Node | None = self._root
        state = START
        while not tokens or tokens[-1] != BOUNDARY:
            weights = self._weights(node, len(tokens), state)
            token = choose(weights)
            original = float(weights[token])
            if node:
                original -= node.log_remaining.get(token, 0.0)
                nodes.append(node)
                node = node.child(token)
            tokens.append(token)
            rows.append((original, weights))
            state = self._conditioned.product.next_state(state, token)
        self._update(tokens, nodes, rows)
        return self._conditioned.chain.vocabulary.decode(np.array([tokens]))[0]

    def _update(
        self, tokens: list[int], nodes: list[_Node], rows: list[tuple[float, Floats]]
    ) -> None:
        """Update the prefix tree after the removal of a name, from its end to its start."""
        log_remaining = [-math.inf]
        for token, (original, weights) in zip(reversed(tokens), reversed(rows), strict=True):
            weights[token] = original + log_remaining[-1]
            log_remaining.append(_log_total(weights))
        log_remaining = log_remaining[-2::-1]  # after each token
        for node, token, remaining in zip(nodes, tokens, log_remaining, strict=False):
            node.log_remaining[token] = remaining
        shared = len(nodes)
        if shared < len(tokens):
            leaf = _Leaf(tokens[shared:], log_remaining[shared:])
            nodes[-1].children[tokens[shared - 1]] = leaf

    def _weights(self, node: _Node | None, length: int, state: int) -> Floats:
        """Return the log of the remaining probability of each next token, (tokens,)."""
        row = self._rows.get((length, state))
        if row is None:
            row = self._conditioned.log_transition_probabilities(length, state)
            if (len(self._rows) + 1) * len(row) <= ROW_CELLS:
                self._rows[length, state] = row
        weights = row.copy()
        for token, remaining in node.log_remaining.items() if node else ():
            weights[token] += remaining
        return weights


def _log_total(weights: Floats) -> float:
    """Return log(sum(exp(weights))); on a single row faster than `log_sum_exp`."""
    peak = float(weights.max())
    return peak if peak == -math.inf else peak + math.log(np.exp(weights - peak).sum())
