"""Names from a conditioned chain: each step inverts a cumulative distribution at a uniform.

Every name has its own row of uniforms, drawn in order, so the first k names of a
generator do not depend on how many are drawn or on which of the two walks below is
taken: one name at a time in plain Python, or all abreast in numpy.
"""

import math
from bisect import bisect_right
from functools import cached_property
from typing import TypeAlias

import numpy as np
from numpy.random import Generator

from models.arrays import Floats, Ints
from models.chain import START
from models.conditioning import ConditionedChain
from models.vocabulary import BOUNDARY, Vocabulary

ABREAST_FROM = 256  # names from which on walking abreast is the faster way
BLOCK = 4096  # names that walk abreast: more would not fit into a processor's cache

# A step of the walk one by one: the cumulative probabilities of the next token, and
# the step that each token leads to.
Node: TypeAlias = "tuple[list[float], list[Node]]"


class Sampler:
    """Draws names from a conditioned chain.

    probability: that an unconditioned draw fulfils the wish
    """

    def __init__(self, chain: ConditionedChain, vocabulary: Vocabulary) -> None:
        self.probability = math.exp(chain.log_probability)
        self._vocabulary = vocabulary
        self._successors = chain.successors
        # After max_length characters the end is certain and needs no draw.
        self._cumulative = _cumulative(chain.steps[:-1])

    def draw(self, count: int, generator: Generator) -> list[str]:
        """The next `count` names of the generator's stream."""
        if count < ABREAST_FROM:
            uniforms = generator.random((count, len(self._cumulative)))
            return [self._walk(row) for row in uniforms.tolist()]
        names = []
        for start in range(0, count, BLOCK):
            uniforms = generator.random((min(BLOCK, count - start), len(self._cumulative)))
            names += self._vocabulary.decode(self._walk_abreast(uniforms))
        return names

    def _walk(self, uniforms: list[float]) -> str:
        """One name: at each step the first token whose cumulative probability exceeds u."""
        characters, (cumulative, after) = self._characters, self._first
        name = ""
        for u in uniforms:
            token = bisect_right(cumulative, u)
            if not token:  # the boundary
                return name
            name += characters[token]
            cumulative, after = after[token]
        return name

    def _walk_abreast(self, uniforms: Floats) -> Ints:
        """All names a step at a time: (n, max_length) uniforms -> tokens padded with BOUNDARY."""
        names = np.full(uniforms.shape, BOUNDARY, dtype=np.intp)
        alive = np.arange(len(uniforms))
        states = np.full(len(uniforms), START)
        for length, step in enumerate(self._cumulative):
            tokens = _invert(step, states, uniforms[:, length].take(alive))
            going = tokens.nonzero()[0]  # those that have not drawn the boundary
            if not len(going):
                break
            alive, states, tokens = alive.take(going), states.take(going), tokens.take(going)
            names[alive, length] = tokens
            states = self._successors[states, tokens]
        return names

    @cached_property
    def _characters(self) -> list[str]:
        """Token -> character."""
        return ["", *self._vocabulary.characters]

    @cached_property
    def _first(self) -> Node:
        """The steps as linked nodes: in plain Python much faster to follow than arrays."""
        successors = self._successors.tolist()
        steps = self._cumulative[..., : len(self._vocabulary)].tolist()
        nodes: list[Node] = [([], [])] * len(successors)  # nothing comes after the last step
        for rows in reversed(steps):
            nodes = [
                (row, [nodes[state] for state in states])
                for row, states in zip(rows, successors, strict=True)
            ]
        return nodes[START]


def _cumulative(probabilities: Floats) -> Floats:
    """Cumulative sums over the last axis, ending in exactly 1, padded with 1 to a power of two."""
    *shape, tokens = probabilities.shape
    cumulative = np.ones((*shape, 1 << (tokens - 1).bit_length()))
    sums = probabilities.cumsum(axis=-1)
    cumulative[..., :tokens] = sums / sums[..., -1:]
    return cumulative


def _invert(cumulative: Floats, states: Ints, uniforms: Floats) -> Ints:
    """For each name the first token whose cumulative probability exceeds u, by bisection."""
    width = cumulative.shape[1]
    flat = cumulative.ravel()
    before = states * width - 1  # the entry before the name's row
    at = before.copy()
    half = width // 2
    while half:
        at += half * (flat.take(at + half) <= uniforms)
        half //= 2
    tokens: Ints = at - before
    return tokens
