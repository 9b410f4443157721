"""A chain given that the name fulfils a wish, exactly.

A backward recursion over lengths gives the probability of still ending well from every
state of the chain and of the automata that know the wish. Multiplied into each step it
turns the chain into the chain given the wish, so that nothing is ever cut off or drawn
again.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np

from models.arrays import Floats, Ints
from models.automaton import Automaton, trimming
from models.chain import Chain, States, log_sum_exp
from models.exclusion import excluding
from models.pattern import compile_pattern
from models.product import Product, multiply
from models.suffixes import START, look_up
from models.vocabulary import BOUNDARY, Vocabulary
from models.wish import STAR, ImpossibleError, TooComplexError, Wish, WishError

MAX_CELLS = 2**27  # of the recursion beyond those of a plain wish: about a second's work
IMPOSSIBLE = "No name fulfils this wish."


@dataclass(frozen=True, eq=False)  # arrays have no truth value to compare by
class ConditionedChain:
    """A chain given that the name fulfils a wish.

    chain: at the temperature and the top k of the wish
    product: its states together with those of the automata that know the wish; these are
        the states of the methods
    layers: the states after 0, 1, ..., max_length characters, and none after one more
    ending: the log-probability of ending well from each of these, and -inf behind the last
    """

    chain: Chain
    wish: Wish
    product: Product
    layers: Sequence[Ints]
    ending: Sequence[Floats]

    @property
    def log_probability(self) -> float:
        """Of an unconditioned draw fulfilling the wish."""
        return min(0.0, float(self.ending[0][0]))  # rounding may take it above certainty

    @property
    def size(self) -> int:
        """In bytes."""
        distinct = {id(array): array.nbytes for array in [*self.layers, *self.ending]}
        return self.product.size + self.chain.log_normalizers.nbytes + sum(distinct.values())

    def steps(self, length: int, states: States) -> Floats:
        """Probabilities of the next token after so many characters, (..., tokens).

        Of states that can end well: the others have none.
        """
        steps = self.joint(length, states)
        steps -= steps.max(axis=-1, keepdims=True)
        np.exp(steps, out=steps)
        steps /= steps.sum(axis=-1, keepdims=True)
        return steps

    def joint(self, length: int, states: States) -> Floats:
        """Logits of taking a step and ending well after it, (..., tokens) for states (...)."""
        successors = self.product.successors[states]
        if successors.size < len(self.product):  # looking up a few is faster than spreading all
            found = look_up(self.layers[length + 1], successors, 0)
            after = self.ending[length + 1][found]
            ends = (successors[..., BOUNDARY] == START) & (length >= self.wish.min_length)
            after[..., BOUNDARY] = np.where(ends, 0.0, -np.inf)
        else:
            after = self.spread(length).take(successors)
        after += self.chain.logits(length, self.product.chain_states[states])
        return after

    def spread(self, length: int) -> Floats:
        """What successors add to the logits after so many characters, (states + 1,).

        START stands for the end of the name, the last for going nowhere.
        """
        spread = np.full(len(self.product) + 1, -np.inf)
        spread[self.layers[length + 1]] = self.ending[length + 1][:-1]
        if length >= self.wish.min_length:
            spread[START] = 0.0
        return spread

    def backward(self, reduction: Callable[[Floats], Floats]) -> "ConditionedChain":
        """With `ending` as a reduction of the steps from there, over the last axis."""
        ending = [np.array([-np.inf])] * len(self.layers)
        reduced = replace(self, ending=ending)
        for length in reversed(range(self.wish.max_length + 1)):
            position = min(length, self.chain.positions - 1)
            after, layer = reduced.spread(length), self.layers[length]
            ending[length] = np.full(len(layer) + 1, -np.inf)
            for part in self.chain.parts(stop=len(layer)):
                states = layer[part]
                chain_states = self.product.chain_states[states]
                joint = self.chain.logits(length, chain_states)
                joint += after.take(self.product.successors[states])
                normalizers = self.chain.log_normalizers[position, chain_states]
                ending[length][part] = reduction(joint) - normalizers
        return reduced


def condition(
    chain: Chain, wish: Wish, blocked: Automaton | None = None, unlisted: Automaton | None = None
) -> ConditionedChain:
    """The chain given a wish.

    blocked: allows the names that may be given at all, None for any
    unlisted: allows the names that are not of the training list, for a wish for novel names

    In logarithms throughout: at low temperatures and long lengths the probability of
    ending well from an unlikely state is far below the smallest float.
    Raises WishError, with what is wrong about the wish.
    """
    wish = wish.simplified
    if wish.min_length > wish.max_length:
        raise ImpossibleError(IMPOSSIBLE)
    automata = _automata(chain.vocabulary, wish, blocked, unlisted)
    product = multiply(chain, automata, wish.max_length)
    layers = product.layers(wish.max_length)
    cells = sum(map(len, layers)) * chain.of_states.shape[1]
    plain = chain.of_states.size * (wish.max_length + 1)
    if cells > plain + MAX_CELLS:
        raise TooComplexError(
            f"The wish takes {cells:,} cells, the limit is {plain + MAX_CELLS:,} in this model."
        )
    layers.append(np.empty(0, dtype=np.intp))
    unknown = ConditionedChain(chain.at(wish.temperature, wish.top_k), wish, product, layers, [])
    conditioned = unknown.backward(log_sum_exp)
    if conditioned.log_probability == -np.inf:
        raise ImpossibleError(IMPOSSIBLE)
    return conditioned


def _automata(
    vocabulary: Vocabulary, wish: Wish, blocked: Automaton | None, unlisted: Automaton | None
) -> list[Automaton]:
    """All that a name must be allowed by."""
    if wish.novel and unlisted is None:
        raise WishError("The names that this model was trained on are not known", "novel")
    possible = [
        compile_pattern(wish.pattern, vocabulary) if wish.pattern != STAR else None,
        excluding(wish.exclude, vocabulary),
        trimming(vocabulary) if any(vocabulary.spaces) else None,
        blocked,
        unlisted if wish.novel else None,
    ]
    return [automaton for automaton in possible if automaton is not None]
