"""The log-likelihood of a name under a chain: the sum over its steps, end of the name included.

Many names go abreast, in numpy; one name at a time goes in plain Python over steps that are
computed when a name first comes to them. Both add up the same numbers in the same order.
"""

import math
from collections.abc import Sequence
from typing import TypeAlias

import numpy as np

from models.arrays import Floats
from models.chain.markov_chain import MarkovChain
from models.counts.context_counts import ContextCounts
from models.counts.context_trie import START
from models.counts.transitions import name_starts
from models.text.vocabulary import UNKNOWN

END = ""  # stands for the end of a name where characters stand
STEPS_KEPT = 2**15  # of a generation, some 8 MB

# What can follow somewhere: a character's log-probability, and where it leads.
Step: TypeAlias = "dict[str, tuple[float, Step]]"
Place: TypeAlias = tuple[int, int]  # position and state
NOTHING: Step = {}


def log_likelihoods(chain: MarkovChain, names: Sequence[str]) -> Floats:
    """Of n normalised names, (n,); nan if the chain does not know all characters of a name."""
    stream = chain.vocabulary.encode(names)
    starts = name_starts(stream)
    steps = np.diff(starts, append=len(stream))  # of each name, its end included
    longest_first = np.argsort(-steps, kind="stable")
    at, steps = starts[longest_first], steps[longest_first]
    totals, states = np.zeros(len(at)), np.full(len(at), START)
    next_states = chain.trie.next_states
    going = np.searchsorted(-steps, -np.arange(steps.max(initial=0)))  # names, at each position
    for position, alive in enumerate(going.tolist()):
        tokens, states = stream.take(at[:alive] + position), states[:alive]
        totals[:alive] += chain.transition_log_probabilities(position, states, tokens)
        states = next_states[states, tokens]
    likelihoods = np.empty(len(totals))
    likelihoods[longest_first] = totals
    # UNKNOWN has looked up some other token's step.
    likelihoods[np.minimum.reduceat(stream, starts) == UNKNOWN] = np.nan
    return likelihoods


def nll(chain: MarkovChain, counts: ContextCounts) -> float:
    """Mean negative log-likelihood of the counted transitions, in nats a character."""
    return -float(np.average(chain.log_likelihoods(counts.transitions), weights=counts.counts))


class NameScorer:
    """Computes the log-likelihoods of names one at a time, in less than a microsecond for most.

    Thread-safe: threads that compute the same step at once compute the same number.
    """

    def __init__(self, chain: MarkovChain) -> None:
        self.chain = chain
        self._tokens = {c: token for token, c in enumerate((END, *chain.vocabulary.characters))}
        self._young, self._old = _Generation(), _Generation()

    def log_likelihood(self, name: str) -> float:
        """Of a normalised name; nan if the chain does not know all of its characters."""
        total, step = 0.0, self._young.start
        try:
            for character in name:
                likelihood, step = step[character]
                total += likelihood
            return total + step[END][0]
        except KeyError:
            return self._read(name)

    def _read(self, name: str) -> float:
        """The same for a name with a step that the young generation does not have."""
        chain, young, old = self.chain, self._young, self._old
        total, position, state = 0.0, 0, START
        steps = young.start
        for character in (*name, END):
            token = self._tokens.get(character)
            if token is None:
                return math.nan
            kept = steps.get(character) or old.steps.get((position, state), NOTHING).get(character)
            likelihood = kept[0] if kept else chain.log_probability(position, state, token)
            total += likelihood
            position = min(position + 1, chain.positions - 1)
            state = chain.trie.next_states.item(state, token)
            steps = young.keep(steps, character, likelihood, (position, state))
        if young.size >= STEPS_KEPT and young is self._young:
            self._old, self._young = young, _Generation()
        return total


class _Generation:
    """Steps that are kept, by the position and state where they start.

    Two generations are kept. When the young one is full, it replaces the old one. So a step
    that no name has used while a whole generation filled is forgotten.
    """

    def __init__(self) -> None:
        self.start: Step = {}
        self.steps: dict[Place, Step] = {(0, START): self.start}
        self.size = 0

    def keep(self, steps: Step, character: str, likelihood: float, after: Place) -> Step:
        """Keep a step, if it is new and there is room; returns what can follow it."""
        kept = steps.get(character)
        if kept:
            return kept[1]
        if self.size >= STEPS_KEPT:
            return self.steps.get(after, {})
        following = self.steps.get(after)
        if following is None:
            following = self.steps.setdefault(after, {})
        steps[character] = likelihood, following
        self.size += 1
        return following
