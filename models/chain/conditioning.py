"""Markov chain conditioned on constraints, exactly.

A backward recursion over the lengths gives the probability of satisfying the constraints from each
state of the product of the chain and the automata of the constraints. Multiplied into each
transition, it turns the chain into the conditional chain, so that sampling needs no rejection.
"""

from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np

from models.arrays import Floats, Ints, array_dataclass
from models.chain.backward import BackwardRecursion
from models.chain.factored_exponentials import log_sum_exp
from models.chain.markov_chain import MarkovChain, States
from models.chain.product import Product, multiply
from models.constraints.automaton import Automaton
from models.constraints.constraints import (
    STAR,
    ConstraintError,
    Constraints,
    TooComplexError,
    UnsatisfiableError,
)
from models.constraints.forbidden import exclusion_automaton
from models.constraints.glob import min_match_length, pattern_automaton
from models.constraints.spelling import spelling_automata
from models.counts.context_trie import START
from models.lazy_property import lazy
from models.text.vocabulary import Vocabulary

MAX_EXTRA_TRANSITIONS = 2**27  # of the recursion beyond those without constraints: about a second
MAX_COMPRESSED_STATES = 2**10  # of a length: with more, every other length has no log_beta
SEARCH_RATIO = 16  # binary search is faster than a table if states outnumber look-ups by this
UNSATISFIABLE = "No name satisfies these constraints"


@array_dataclass
class ConditionedChain:
    """A chain conditioned on constraints.

    chain: at the temperature and the top_k of the constraints
    product: the chain and the automata of the constraints; its states are those of the methods
    layers: the states after 0, 1, ..., max_length characters, and an empty last layer
    log_beta: the log-probability of satisfying the constraints from each state of each layer;
        empty where it is left out to save memory, never at two lengths in a row
    """

    chain: MarkovChain
    constraints: Constraints
    product: Product
    layers: Sequence[Ints]
    log_beta: Sequence[Floats]

    @property
    def log_probability(self) -> float:
        """The log-probability that an unconditioned sample satisfies the constraints."""
        return min(0.0, float(self.log_beta[0][0]))  # rounding can make it positive

    @lazy
    def num_transitions(self) -> int:
        """The number of transitions at all lengths: a measure of the time of a pass over them."""
        return sum(map(len, self.layers)) * len(self.chain.vocabulary)

    @lazy
    def size(self) -> int:
        """The size in bytes, without the arrays of the model."""
        arrays = {id(array): array.nbytes for array in [*self.layers, *self.log_beta]}
        return self.product.size + sum(arrays.values())

    @property
    def compressed(self) -> "ConditionedChain":
        """The same chain in less memory; each transition takes longer to compute."""
        log_beta = [
            np.empty(0) if length % 2 == 0 and len(layer) > MAX_COMPRESSED_STATES else values
            for length, (layer, values) in enumerate(zip(self.layers, self.log_beta, strict=True))
        ]
        return replace(self, product=self.product.compressed, log_beta=log_beta)

    @property
    def expanded(self) -> "ConditionedChain":
        """The same chain with all arrays that `compressed` leaves out, fast for many states."""
        product = self.product.expanded
        missing = [length for length in range(len(self.layers)) if not self._has(length)]
        if product is self.product and not missing:
            return self
        recursion = BackwardRecursion(self.chain, product, self.layers, self.constraints.min_length)
        log_beta = list(self.log_beta)
        for length in missing:
            log_beta[length] = recursion.log_beta(length, log_beta[length + 1])
        return replace(self, product=product, log_beta=log_beta)

    def transition_probabilities(self, length: int, states: States) -> Floats:
        """Return probabilities of the next token after `length` characters, (..., tokens).

        states: (...), from which the constraints can be satisfied
        """
        logs = self.log_transition_probabilities(length, states)
        return np.exp(logs, out=logs)

    def log_transition_probabilities(self, length: int, states: States) -> Floats:
        """Return the logarithms of `transition_probabilities`."""
        joint = self.joint_log_probabilities(length, states)
        if isinstance(states, np.ndarray) and self._has(length):
            total = self.backward_log_probabilities(length, states)
        else:
            total = log_sum_exp(joint)
        joint -= total[..., np.newaxis]
        return joint

    def joint_log_probabilities(self, length: int, states: States) -> Floats:
        """Return log-probabilities of a transition and of satisfying the constraints after it.

        The shape is (..., tokens) for states (...).
        """
        joint = self.chain.log_probabilities(length, self.product.chain_states_of(states))
        next_states = self.product.next_states_of(states)
        joint += self.backward_log_probabilities(length + 1, next_states)
        return joint

    def backward_log_probabilities(self, length: int, states: Ints) -> Floats:
        """Return log-probabilities of satisfying the constraints from states, (...) for (...).

        After the first character START stands for the end of the name; `len(product)` stands for
        a name that does not satisfy them.
        """
        if states.size * SEARCH_RATIO < len(self.product):
            return self._search_log_beta(length, states)
        log_beta = np.full(len(self.product) + 1, -np.inf)
        log_beta[self.layers[length]] = self._layer_log_beta(length)
        if length > self.constraints.min_length:
            log_beta[START] = 0.0
        return log_beta.take(states.astype(np.intp))  # take() copies smaller integers

    def _search_log_beta(self, length: int, states: Ints) -> Floats:
        """Return the same for a few states, by binary search in the layer."""
        layer = self.layers[length]
        log_beta = np.full(states.shape, -np.inf)
        if len(layer):
            indices = layer.searchsorted(states.astype(layer.dtype))
            present = layer.take(indices, mode="clip") == states
            if self._has(length):
                log_beta[present] = self.log_beta[length].take(indices[present])
            elif present.any():
                joint = self.joint_log_probabilities(length, states[present])
                log_beta[present] = log_sum_exp(joint)
        if length > self.constraints.min_length:
            log_beta[states == START] = 0.0
        return log_beta

    def _layer_log_beta(self, length: int) -> Floats:
        return self.log_beta[length] if self._has(length) else self._reduce(length, log_sum_exp)

    def _reduce(self, length: int, reduction: Callable[[Floats], Floats]) -> Floats:
        """Return a reduction of the joint log-probabilities of a layer over the tokens."""
        layer = self.layers[length]
        values = np.empty(len(layer))
        for part in self.chain.parts(stop=len(layer)):
            values[part] = reduction(self.joint_log_probabilities(length, layer[part]))
        return values

    def with_reduction(self, reduction: Callable[[Floats], Floats]) -> "ConditionedChain":
        """Return the chain with log_beta from a backward recursion with another reduction.

        reduction: of joint log-probabilities over the last axis. The sum of the probabilities
            gives log_beta again, the maximum the most probable completions (Viterbi).
        """
        log_beta = [np.empty(0)] * len(self.layers)
        reduced = replace(self, product=self.product.expanded, log_beta=log_beta)
        for length in reversed(range(self.constraints.max_length + 1)):
            log_beta[length] = reduced._reduce(length, reduction)
        return reduced

    def _has(self, length: int) -> bool:
        return len(self.log_beta[length]) == len(self.layers[length])


def condition(
    chain: MarkovChain,
    constraints: Constraints,
    blocklist: Automaton | None = None,
    novelty: Automaton | None = None,
) -> ConditionedChain:
    """Return the chain conditioned on constraints, compressed.

    blocklist: accepts the names without blocked substrings; None to block nothing
    novelty: accepts the names outside the training set, needed for constraints with `novel`

    Raises ConstraintError if the constraints are malformed, too complex or unsatisfiable.

    >>> from models.counts.context_trie import ContextTrie
    >>> bigrams = ContextTrie(3, 1, np.empty((0, 2), dtype=np.intp))
    >>> contexts, logits = np.zeros((1, 3), dtype=np.intp), np.zeros((3, 3))
    >>> uniform = MarkovChain(bigrams, contexts, logits, np.zeros((1, 3)), Vocabulary("ab"))
    >>> conditioned = condition(uniform, Constraints(max_length=2, pattern="a*"))
    >>> f"{np.exp(conditioned.log_probability):.4f}"  # of a, aa or ab: 1/9 + 1/27 + 1/27
    '0.1852'
    >>> conditioned.transition_probabilities(length=1, states=1).round(2).tolist()  # end, a, b
    [0.6, 0.2, 0.2]
    """
    constraints = constraints.simplified
    automata = _automata(chain.vocabulary, constraints, blocklist, novelty)
    shortest = max(constraints.min_length, min_match_length(constraints.pattern, chain.vocabulary))
    if shortest > constraints.max_length:
        raise UnsatisfiableError(UNSATISFIABLE)
    product = multiply(chain, automata, constraints.max_length)
    layers = product.layers(constraints.max_length)
    _check_transitions(chain, layers)
    layers.append(np.empty(0, dtype=np.int32))
    chain = chain.at(constraints.temperature, constraints.top_k)
    log_beta = BackwardRecursion(chain, product, layers, constraints.min_length).log_betas()
    conditioned = ConditionedChain(chain, constraints, product, layers, log_beta).compressed
    if conditioned.log_probability == -np.inf:
        raise UnsatisfiableError(UNSATISFIABLE)
    return conditioned


def _check_transitions(chain: MarkovChain, layers: Sequence[Ints]) -> None:
    """Raise TooComplexError if the recursion over the layers would take too long."""
    states, tokens = chain.state_logits.shape
    transitions = sum(map(len, layers)) * tokens
    limit = states * tokens * len(layers) + MAX_EXTRA_TRANSITIONS
    if transitions > limit:
        raise TooComplexError(
            f"The constraints need {transitions:,} transitions for this model; "
            f"the limit is {limit:,}: use a shorter pattern, fewer `*` or a smaller max_length"
        )


def _automata(
    vocabulary: Vocabulary,
    constraints: Constraints,
    blocklist: Automaton | None,
    novelty: Automaton | None,
) -> list[Automaton]:
    """Return the automata that all must accept a name."""
    if constraints.novel and novelty is None:
        raise ConstraintError(
            "The training names of this model are not known; leave out novel", "novel"
        )
    automata = [
        pattern_automaton(constraints.pattern, vocabulary) if constraints.pattern != STAR else None,
        exclusion_automaton(constraints.exclude, vocabulary),
        blocklist,
        novelty if constraints.novel else None,
    ]
    return [automaton for automaton in automata if automaton is not None] + spelling_automata(
        vocabulary
    )
