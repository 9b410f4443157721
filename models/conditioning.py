"""A chain given that the name fulfils a wish, exactly.

A backward recursion over lengths gives the probability of still ending well from every
state of the chain and of the automata that know the wish. Multiplied into each step it
turns the chain into the chain given the wish, so that nothing is ever cut off or drawn
again.
"""

from collections.abc import Callable, Sequence
from dataclasses import field, replace
from functools import lru_cache

import numpy as np

from models.arrays import Floats, Ints, array_dataclass
from models.automaton import Automaton, trimming
from models.backward import Backward
from models.chain import Chain, States
from models.composition import composed, joining
from models.exclusion import excluding
from models.pattern import compile_pattern, shortest
from models.product import Product, multiply
from models.suffixes import START
from models.vocabulary import Vocabulary
from models.wish import STAR, ImpossibleError, TooComplexError, Wish, WishError

MAX_CELLS = 2**27  # of the recursion beyond those of a plain wish: about a second's work
CELLS_KEPT = 2**22  # of what states are worth, 32 MB: more are not kept but made again
IMPOSSIBLE = "No name fulfils this wish."


@array_dataclass
class ConditionedChain:
    """A chain given that the name fulfils a wish.

    chain: at the temperature and the top k of the wish
    product: its states together with those of the automata that know the wish; these are
        the states of the methods
    layers: the states after 0, 1, ..., max_length characters, and none after one more
    ending: the log-probability of ending well from each of these
    """

    chain: Chain
    wish: Wish
    product: Product
    layers: Sequence[Ints]
    ending: Sequence[Floats]
    _worth: dict[int, Floats] = field(default_factory=dict, init=False, repr=False)

    @property
    def log_probability(self) -> float:
        """Of an unconditioned draw fulfilling the wish."""
        return min(0.0, float(self.ending[0][0]))  # rounding may take it above certainty

    @property
    def size(self) -> int:
        """In bytes, with all that may be kept in time."""
        arrays = [
            *self.layers,
            *self.ending,
        ]
        worth = 8 * self._worth_cells if self._worth_cells <= CELLS_KEPT else 0
        return self.product.size + sum({id(one): one.nbytes for one in arrays}.values()) + worth

    def steps(self, length: int, states: States) -> Floats:
        """Probabilities of the next token after so many characters, (..., tokens).

        Of states that can end well: the others have none.
        """
        steps = self.log_steps(length, states)
        return np.exp(steps, out=steps)

    def log_steps(self, length: int, states: States) -> Floats:
        """The logarithms of these probabilities."""
        joint = self.joint(length, states)
        joint -= self.worth(length)[states, np.newaxis]
        return joint

    def joint(self, length: int, states: States) -> Floats:
        """Log-probabilities of a step with ending well after it, (..., tokens) for states (...)."""
        joint = self.chain.log_probabilities(length, self.product.chain_states[states])
        joint += self.worth(length + 1).take(self.product.successors[states])
        return joint

    def worth(self, length: int) -> Floats:
        """Log-probability of ending well after so many characters, (states + 1,).

        After some characters START stands for the end of the name, and one beyond the last
        state for going nowhere.
        """
        if length in self._worth:
            return self._worth[length]
        worth = np.full(len(self.product) + 1, -np.inf)
        worth[self.layers[length]] = self.ending[length]
        if length > self.wish.min_length:
            worth[START] = 0.0
        if self._worth_cells <= CELLS_KEPT:
            self._worth[length] = worth
        return worth

    def backward(self, reduction: Callable[[Floats], Floats]) -> "ConditionedChain":
        """The chain with `ending` as a reduction of the steps from there, over the last axis."""
        ending = [np.empty(0)] * len(self.layers)
        reduced = replace(self, ending=ending)
        for length in reversed(range(self.wish.max_length + 1)):
            layer = self.layers[length]
            ending[length] = np.empty(len(layer))
            for part in self.chain.parts(stop=len(layer)):
                ending[length][part] = reduction(reduced.joint(length, layer[part]))
        return reduced

    @property
    def _worth_cells(self) -> int:
        return (len(self.product) + 1) * len(self.layers)


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
    automata = _automata(chain.vocabulary, wish, blocked, unlisted)
    if max(wish.min_length, shortest(wish.pattern, chain.vocabulary)) > wish.max_length:
        raise ImpossibleError(IMPOSSIBLE)
    product = multiply(chain, automata, wish.max_length)
    layers = product.layers(wish.max_length)
    cells = sum(map(len, layers)) * chain.of_states.shape[1]
    plain = chain.of_states.size * (wish.max_length + 1)
    if cells > plain + MAX_CELLS:
        raise TooComplexError(
            f"The wish takes {cells:,} cells of this model, the limit is {plain + MAX_CELLS:,}: "
            "a shorter pattern, fewer stars or a smaller max_length take less."
        )
    layers.append(np.empty(0, dtype=np.intp))
    at = chain.at(wish.temperature, wish.top_k)
    endings = Backward(at, product, layers, wish.min_length).endings()
    conditioned = ConditionedChain(at, wish, product, layers, endings)
    if conditioned.log_probability == -np.inf:
        raise ImpossibleError(IMPOSSIBLE)
    return conditioned


@lru_cache(maxsize=16)
def spelling(vocabulary: Vocabulary) -> list[Automaton]:
    """What every name is allowed by: it is spelled as `Vocabulary.normalize` leaves it."""
    trimmed = trimming(vocabulary) if any(vocabulary.spaces) else None
    possible = [trimmed, composed(vocabulary), joining(vocabulary)]
    return [automaton for automaton in possible if automaton is not None]


def _automata(
    vocabulary: Vocabulary, wish: Wish, blocked: Automaton | None, unlisted: Automaton | None
) -> list[Automaton]:
    """All that a name must be allowed by."""
    if wish.novel and unlisted is None:
        raise WishError("The names that this model was trained on are not known", "novel")
    possible = [
        compile_pattern(wish.pattern, vocabulary) if wish.pattern != STAR else None,
        excluding(wish.exclude, vocabulary),
        blocked,
        unlisted if wish.novel else None,
    ]
    return [automaton for automaton in possible if automaton is not None] + spelling(vocabulary)
