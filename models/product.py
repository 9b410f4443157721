"""A chain and automata that move in step: the reachable part of their product.

A state of the product is the state of the chain and of each automaton at once. Those that
names can reach are found by following every step from the beginning, and numbered.
"""

import math
from collections.abc import Iterator, Sequence

import numpy as np

from models.arrays import Flags, Ints, array_dataclass
from models.automaton import NOWHERE, Automaton
from models.chain import Chain
from models.suffixes import START, look_up
from models.vocabulary import BOUNDARY
from models.wish import TooComplexError

MAX_CELLS = 2**23  # of the table of successors beyond those of the chain, 32 MB
MAX_KEY = 2**62  # integers hold it, and sums of a few


@array_dataclass
class Product:
    """The states of a chain within automata; START is the beginning.

    chain_states: (states,), where the chain is in each
    successors: (states, tokens), the state after a token; one beyond the last if no name
        goes on so. After the boundary it is START if a name may end, else one beyond.
    """

    chain_states: Ints
    successors: Ints

    def __len__(self) -> int:
        """How many states there are."""
        return len(self.chain_states)

    @property
    def size(self) -> int:
        """In bytes."""
        return self.chain_states.nbytes + self.successors.nbytes

    def layers(self, longest: int) -> list[Ints]:
        """The states after 0, 1, ..., `longest` characters."""
        layers = [np.array([START])]
        while len(layers) <= longest:
            present = np.zeros(len(self) + 1, dtype=bool)
            present[self.successors[layers[-1], 1:]] = True
            after = present[:-1].nonzero()[0]
            if np.array_equal(after, layers[-1]):  # from here on they are the same
                return layers + [after] * (longest + 1 - len(layers))
            layers.append(after)
        return layers


def multiply(chain: Chain, automata: Sequence[Automaton], longest: int) -> Product:
    """The states that names of up to `longest` characters go through.

    Raises TooComplexError if they are too many.
    """
    successors = chain.suffixes.successors
    if not automata:
        return Product(np.arange(len(successors)), successors)
    steps = _Steps(chain, automata)
    keys = steps.reachable(longest)
    table: Ints = np.empty((len(keys), successors.shape[1]), dtype=np.int32)
    for part in chain.parts(stop=len(keys)):
        after = look_up(keys, steps.after(keys[part]), 0)
        after[:, BOUNDARY] = np.where(steps.accepted(keys[part]), START, NOWHERE)
        table[part] = np.where(after == NOWHERE, len(keys), after)
    return Product(keys % len(successors), table)


@array_dataclass
class _Steps:
    """The steps of a chain and automata. A key, an integer, stands for the state of each."""

    chain: Chain
    automata: Sequence[Automaton]

    def __post_init__(self) -> None:
        states = math.prod(len(automaton) for automaton in self.automata)
        if states * len(self.chain.suffixes) > MAX_KEY:
            raise TooComplexError("The parts of the wish have too many states together.")

    def reachable(self, longest: int) -> Ints:
        """The keys of all states after up to `longest` characters, sorted."""
        keys = new = np.zeros(1, dtype=np.int64)  # everything is in state 0 at the beginning
        limit = MAX_CELLS + self.chain.of_states.size
        for _ in range(longest):
            parts = self.chain.parts(stop=len(new))
            after = np.unique(np.concatenate([np.unique(self.after(new[part])) for part in parts]))
            new = after[(look_up(keys, after, 0) < 0) & (after != NOWHERE)]
            if not len(new):
                break
            keys = np.sort(np.concatenate([keys, new]))
            if len(keys) * self.chain.of_states.shape[1] > limit:
                most = limit // self.chain.of_states.shape[1]
                raise TooComplexError(
                    f"The wish takes more than {most:,} states in this model: "
                    "a shorter pattern or fewer stars take less."
                )
        return keys

    def after(self, keys: Ints) -> Ints:
        """The keys after each token, NOWHERE after the boundary too: (n, tokens) for n keys."""
        rest, states = np.divmod(keys, len(self.chain.suffixes))
        after = self.chain.suffixes.successors[states].astype(np.int64)
        possible = np.ones(after.shape, dtype=bool)
        possible[:, BOUNDARY] = False
        unit = len(self.chain.suffixes)
        for automaton, states in self._split(rest):
            moves = automaton.moves[states].take(automaton.classes, axis=1)
            possible &= moves != NOWHERE
            after += moves * np.int64(unit)
            unit *= len(automaton)
        after[~possible] = NOWHERE
        return after

    def accepted(self, keys: Ints) -> Flags:
        """Whether a name may end in each of n states, (n,)."""
        accepted = np.ones(len(keys), dtype=bool)
        for automaton, states in self._split(keys // len(self.chain.suffixes)):
            accepted &= automaton.accepting[states]
        return accepted

    def _split(self, keys: Ints) -> Iterator[tuple[Automaton, Ints]]:
        """Each automaton with its states in keys that the chain's are taken out of."""
        for automaton in self.automata:
            keys, states = np.divmod(keys, len(automaton))
            yield automaton, states
