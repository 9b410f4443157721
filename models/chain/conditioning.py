"""A chain given that the name fulfils a wish, exactly.

A backward recursion over lengths gives the probability of still ending well from every
state of the chain and of the automata that know the wish. Multiplied into each step it
turns the chain into the chain given the wish, so that nothing is ever cut off or drawn
again.
"""

from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import lru_cache

import numpy as np

from models.arrays import Floats, Ints, array_dataclass
from models.chain.backward import Backward
from models.chain.markov_chain import MarkovChain, States, log_sum_exp
from models.chain.product import ImplicitProduct, Product, multiply
from models.constraints.automaton import Automaton, trimming
from models.constraints.constraints import (
    STAR,
    ConstraintError,
    Constraints,
    TooComplexError,
    UnsatisfiableError,
)
from models.constraints.forbidden import without_substrings
from models.constraints.glob import compile_pattern, shortest
from models.constraints.spelling import composed, joining
from models.counts.context_trie import START
from models.lazy import lazy
from models.text.vocabulary import Vocabulary

MAX_CELLS = 2**27  # of the recursion beyond those of a plain wish: about a second's work
STATES_KEPT = 2**10  # of a length: of more the probabilities are kept at every other length
FEW = 16  # a search is faster than a table if the states are more than this times those looked up
IMPOSSIBLE = "No name fulfils this wish."


@array_dataclass
class ConditionedChain:
    """A chain given that the name fulfils a wish.

    chain: at the temperature and the top k of the wish
    product: its states together with those of the automata that know the wish; these are
        the states of the methods
    layers: the states after 0, 1, ..., max_length characters, and none after one more
    ending: the log-probability of ending well from each of these; empty for lengths where it
        is left out to save memory, never for two lengths in a row
    """

    chain: MarkovChain
    constraints: Constraints
    product: Product | ImplicitProduct
    layers: Sequence[Ints]
    log_beta: Sequence[Floats]

    @property
    def log_probability(self) -> float:
        """Of an unconditioned draw fulfilling the wish."""
        return min(0.0, float(self.log_beta[0][0]))  # rounding may take it above certainty

    @lazy
    def cells(self) -> int:
        """The number of steps, a measure of the time that it takes to go through all of them."""
        return sum(map(len, self.layers)) * len(self.chain.vocabulary)

    @lazy
    def size(self) -> int:
        """In bytes, without the arrays of the model."""
        arrays = {id(one): one.nbytes for one in [*self.layers, *self.log_beta]}
        return self.product.size + sum(arrays.values())

    @property
    def compact(self) -> "ConditionedChain":
        """The same in less memory; each step takes longer."""
        left_out = np.empty(0)
        log_beta = [
            left_out if length % 2 == 0 and len(layer) > STATES_KEPT else values
            for length, (layer, values) in enumerate(zip(self.layers, self.log_beta, strict=True))
        ]
        return replace(self, product=self.product.compact, log_beta=log_beta)

    @property
    def whole(self) -> "ConditionedChain":
        """The same with all that `compact` leaves out; many steps at once take less time."""
        product = self.product.explicit
        missing = [length for length in range(len(self.layers)) if not self._has(length)]
        if product is self.product and not missing:
            return self
        recursion = Backward(self.chain, product, self.layers, self.constraints.min_length)
        log_beta = list(self.log_beta)
        for length in missing:
            log_beta[length] = recursion.step(length, log_beta[length + 1])
        return replace(self, product=product, log_beta=log_beta)

    def steps(self, length: int, states: States) -> Floats:
        """Probabilities of the next token after so many characters, (..., tokens).

        Of states that can end well: the others have none.
        """
        steps = self.log_steps(length, states)
        return np.exp(steps, out=steps)

    def log_steps(self, length: int, states: States) -> Floats:
        """The logarithms of these probabilities."""
        joint = self.joint(length, states)
        if isinstance(states, np.ndarray) and self._has(length):
            total = self.backward_log_probabilities(length, states)
        else:
            total = log_sum_exp(joint)
        joint -= total[..., np.newaxis]
        return joint

    def joint(self, length: int, states: States) -> Floats:
        """Log-probabilities of a step with ending well after it, (..., tokens) for states (...)."""
        joint = self.chain.log_probabilities(length, self.product.in_chain(states))
        joint += self.backward_log_probabilities(length + 1, self.product.after(states))
        return joint

    def backward_log_probabilities(self, length: int, states: Ints) -> Floats:
        """Log-probabilities of satisfying the constraints from states at a length, (...) for (...).

        After the first character START stands for the end of the name; the number after that
        of the last state stands for a name that no longer satisfies them.
        """
        if states.size * FEW < len(self.product):
            return self._search(length, states)
        backward_log_probabilities = np.full(len(self.product) + 1, -np.inf)
        backward_log_probabilities[self.layers[length]] = self._ending(length)
        if length > self.constraints.min_length:
            backward_log_probabilities[START] = 0.0
        return backward_log_probabilities.take(states.astype(np.intp))  # which take() is fast with

    def _search(self, length: int, states: Ints) -> Floats:
        """The same for few states, which are looked up one by one."""
        layer = self.layers[length]
        at = layer.searchsorted(states.astype(layer.dtype))
        backward_log_probabilities = np.full(states.shape, -np.inf)
        found = (
            layer.take(at, mode="clip") == states
            if len(layer)
            else backward_log_probabilities > -np.inf
        )
        if self._has(length):
            backward_log_probabilities[found] = self.log_beta[length].take(at[found])
        elif found.any():
            backward_log_probabilities[found] = log_sum_exp(self.joint(length, states[found]))
        if length > self.constraints.min_length:
            backward_log_probabilities[states == START] = 0.0
        return backward_log_probabilities

    def _ending(self, length: int) -> Floats:
        if self._has(length):
            return self.log_beta[length]
        layer = self.layers[length]
        parts = self.chain.parts(stop=len(layer))
        return np.concatenate([log_sum_exp(self.joint(length, layer[part])) for part in parts])

    def backward(self, reduction: Callable[[Floats], Floats]) -> "ConditionedChain":
        """The chain with `log_beta` as a reduction of the steps from there, over the last axis."""
        log_beta = [np.empty(0)] * len(self.layers)
        reduced = replace(self, product=self.product.explicit, log_beta=log_beta)
        for length in reversed(range(self.constraints.max_length + 1)):
            layer = self.layers[length]
            values = np.empty(len(layer))
            for part in self.chain.parts(stop=len(layer)):
                values[part] = reduction(reduced.joint(length, layer[part]))
            log_beta[length] = values
        return reduced

    def _has(self, length: int) -> bool:
        return len(self.log_beta[length]) == len(self.layers[length])


def condition(
    chain: MarkovChain,
    constraints: Constraints,
    blocked: Automaton | None = None,
    novel_names: Automaton | None = None,
) -> ConditionedChain:
    """The chain given a wish.

    blocked: allows the names that may be given at all, None for any
    unlisted: allows the names that are not of the training list, for a wish for novel names

    Raises ConstraintError, with what is wrong about the wish.
    """
    constraints = constraints.simplified
    automata = _automata(chain.vocabulary, constraints, blocked, novel_names)
    if (
        max(constraints.min_length, shortest(constraints.pattern, chain.vocabulary))
        > constraints.max_length
    ):
        raise UnsatisfiableError(IMPOSSIBLE)
    product = multiply(chain, automata, constraints.max_length)
    layers = product.layers(constraints.max_length)
    cells = sum(map(len, layers)) * chain.state_logits.shape[1]
    plain = chain.state_logits.size * (constraints.max_length + 1)
    if cells > plain + MAX_CELLS:
        raise TooComplexError(
            f"The wish takes {cells:,} cells of this model, the limit is {plain + MAX_CELLS:,}: "
            "a shorter pattern, fewer stars or a smaller max_length take less."
        )
    layers.append(np.empty(0, dtype=np.int32))
    at = chain.at(constraints.temperature, constraints.top_k)
    endings = Backward(at, product, layers, constraints.min_length).endings()
    conditioned = ConditionedChain(at, constraints, product, layers, endings).compact
    if conditioned.log_probability == -np.inf:
        raise UnsatisfiableError(IMPOSSIBLE)
    return conditioned


@lru_cache(maxsize=16)
def spelling(vocabulary: Vocabulary) -> list[Automaton]:
    """What every name is allowed by: it is spelled as `Vocabulary.normalize` leaves it."""
    trimmed = trimming(vocabulary) if any(vocabulary.spaces) else None
    possible = [trimmed, composed(vocabulary), joining(vocabulary)]
    return [automaton for automaton in possible if automaton is not None]


def _automata(
    vocabulary: Vocabulary,
    constraints: Constraints,
    blocked: Automaton | None,
    novel_names: Automaton | None,
) -> list[Automaton]:
    """All that a name must be allowed by."""
    if constraints.novel and novel_names is None:
        raise ConstraintError("The names that this model was trained on are not known", "novel")
    possible = [
        compile_pattern(constraints.pattern, vocabulary) if constraints.pattern != STAR else None,
        without_substrings(constraints.exclude, vocabulary),
        blocked,
        novel_names if constraints.novel else None,
    ]
    return [automaton for automaton in possible if automaton is not None] + spelling(vocabulary)
