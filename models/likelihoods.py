"""The log-likelihood of a name under a chain: the sum over its steps, end of the name included.

Many names go abreast, in numpy; one name at a time goes in plain Python over steps that are
computed when a name first comes to them. Both add up the same numbers in the same order.
"""

import math
from collections.abc import Sequence
from typing import TypeAlias

import numpy as np

from models.arrays import Floats
from models.chain import Chain
from models.counts import ContextCounts
from models.suffixes import START
from models.transitions import name_starts
from models.vocabulary import UNKNOWN

END = ""  # stands for the end of a name where characters stand
STEPS_KEPT = 2**16  # some 15 MB

# Where a name goes on: a character's log-probability and the step after it.
Step: TypeAlias = "dict[str, tuple[float, Step]]"


def log_likelihoods(chain: Chain, names: Sequence[str]) -> Floats:
    """Of n normalised names, (n,); nan if the chain does not know all characters of a name."""
    stream = chain.vocabulary.encode(names)
    starts = name_starts(stream)
    steps = np.diff(starts, append=len(stream))  # of each name, its end included
    longest_first = np.argsort(-steps, kind="stable")
    at, steps = starts[longest_first], steps[longest_first]
    totals, states = np.zeros(len(at)), np.full(len(at), START)
    successors = chain.suffixes.successors
    going = np.searchsorted(-steps, -np.arange(steps.max(initial=0)))  # names, at each position
    for position, alive in enumerate(going.tolist()):
        tokens, states = stream.take(at[:alive] + position), states[:alive]
        totals[:alive] += chain.step_log_likelihoods(position, states, tokens)
        states = successors.take(states * successors.shape[1] + tokens)
    likelihoods = np.empty(len(totals))
    likelihoods[longest_first] = totals
    # UNKNOWN has looked up some other token's step.
    likelihoods[np.minimum.reduceat(stream, starts) == UNKNOWN] = np.nan
    return likelihoods


def nll(chain: Chain, counts: ContextCounts) -> float:
    """Mean negative log-likelihood of the counted transitions, in nats a character."""
    return -float(np.average(chain.log_likelihoods(counts.steps), weights=counts.counts))


class NameReader:
    """Reads names one at a time: the log-likelihood of a name in less than a microsecond.

    Several threads may read with it: what two of them compute at once is the same.
    """

    def __init__(self, chain: Chain) -> None:
        self.chain = chain
        self._tokens = {c: token for token, c in enumerate((END, *chain.vocabulary.characters))}
        self._start: Step = {}
        self._steps = {(0, START): self._start}
        self._kept = 0

    def log_likelihood(self, name: str) -> float:
        """Of a normalised name; nan if the chain does not know all of its characters."""
        total, step = 0.0, self._start
        try:
            for character in name:
                likelihood, step = step[character]
                total += likelihood
            return total + step[END][0]
        except KeyError:
            return self._read(name)

    def _read(self, name: str) -> float:
        """The same for a name with a step that is not kept; keeps it if there is room."""
        total, position, state = 0.0, 0, START
        for character in (*name, END):
            token = self._tokens.get(character)
            if token is None:
                return math.nan
            likelihood = float(self.chain.log_probabilities(position, state)[token])
            total += likelihood
            step = self._steps.get((position, state))
            position = min(position + 1, self.chain.positions - 1)
            state = int(self.chain.suffixes.successors[state, token])
            if step is not None and character not in step and self._kept < STEPS_KEPT:
                step[character] = likelihood, self._steps.setdefault((position, state), {})
                self._kept += 1
        return total
