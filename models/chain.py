"""The weights compiled into a Markov chain: the state is the known end of the name so far.

A chain answers `what comes next` by looking it up: a table of log-probabilities for
each position and state, and a table of the state that each next character leads to.
"""

from dataclasses import dataclass

import numpy as np

from models.arrays import Floats, Ints
from models.linear import LinearModel
from models.transitions import Contexts, Transitions

START = 0  # the state before the first character


@dataclass(frozen=True)
class Chain:
    """A Markov chain over the characters of a name.

    log_probabilities: (positions, states, tokens), of the next token; steps past the
        last position use the last one
    successors: (states, tokens), the state after a token; meaningless for BOUNDARY
    """

    log_probabilities: Floats
    successors: Ints

    @property
    def positions(self) -> int:
        """How many positions the chain tells apart."""
        return len(self.log_probabilities)

    @property
    def order(self) -> int:
        """How many of the last characters a state remembers."""
        return 1

    def states(self, contexts: Contexts) -> Ints:
        """The state that each of n contexts is in, (n,): with one character of memory, itself."""
        return contexts.history[:, 0]

    def log_likelihoods(self, steps: Transitions) -> Floats:
        """Log-probability of each of n steps, (n,)."""
        contexts = steps.contexts
        return self.log_probabilities[contexts.positions, self.states(contexts), steps.tokens]


def compile_chain(model: LinearModel) -> Chain:
    """The chain that moves exactly as the model predicts, from START to the end of a name."""
    tokens = len(model.vocabulary)
    states = np.arange(tokens)  # one state for each last token; START is the boundary
    position, state = np.indices((model.positions, tokens)).reshape(2, -1)
    logits = model.logits(Contexts(position, states[state, np.newaxis]))
    return Chain(
        log_probabilities=log_softmax(logits).reshape(model.positions, tokens, tokens),
        successors=np.broadcast_to(states, (tokens, tokens)),
    )


def log_sum_exp(values: Floats) -> Floats:
    """log(sum(exp(values))) over the last axis, kept as an axis of length 1."""
    peak = values.max(axis=-1, keepdims=True)
    total: Floats = np.log(np.exp(values - peak).sum(axis=-1, keepdims=True)) + peak
    return total


def log_softmax(logits: Floats) -> Floats:
    """Logarithm of the softmax over the last axis."""
    return logits - log_sum_exp(logits)
