"""A chain and automata that move in step: the reachable part of their product.

A state of the product is the state of the chain and of each automaton at once. Those that
names can reach are found by following every step from the beginning, and numbered.
"""

import math
from collections.abc import Iterator, Sequence

import numpy as np

from models.arrays import Flags, Ints, array_dataclass
from models.automaton import NOWHERE, Automaton
from models.chain import Chain, parts
from models.numbering import Numbering
from models.suffixes import START
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
            for part in parts(len(layers[-1]), self.successors.shape[1]):
                after = self.successors.take(layers[-1][part], axis=0)[:, 1:]
                present[after.astype(np.intp)] = True  # faster than smaller integers
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
    keys, numbering = steps.reachable(longest)
    table: Ints = np.empty((len(keys), successors.shape[1]), dtype=np.int32)
    for part in chain.parts(stop=len(keys)):
        after = numbering.find(steps.after(keys[part]))
        after[:, BOUNDARY] = np.where(steps.accepted(keys[part]), START, NOWHERE)
        table[part] = np.where(after == NOWHERE, len(keys), after)
    return Product(steps.chain_states(keys), table)


@array_dataclass
class _Steps:
    """The steps of a chain and automata.

    A key, an integer, stands for the state of each: the lowest bits for that of the chain.
    """

    chain: Chain
    automata: Sequence[Automaton]

    def __post_init__(self) -> None:
        states = math.prod(len(automaton) for automaton in self.automata)
        if states << self._bits > MAX_KEY:
            raise TooComplexError("The parts of the wish have too many states together.")

    @property
    def _bits(self) -> int:
        return (len(self.chain.suffixes) - 1).bit_length()

    def chain_states(self, keys: Ints) -> Ints:
        """The state of the chain in n keys, (n,)."""
        return keys & ((1 << self._bits) - 1)

    def reachable(self, longest: int) -> tuple[Ints, Numbering]:
        """The keys of all states after up to `longest` characters, in order, and their numbers."""
        numbering = Numbering(self._bits)
        new = numbering.add(np.zeros(1, dtype=np.int64))  # everything is in state 0 at first
        known, most = 1, (MAX_CELLS + self.chain.of_states.size) // self.chain.of_states.shape[1]
        for _ in range(longest):
            parts = self.chain.parts(stop=len(new))
            new = np.concatenate([numbering.add(self.after(new[part])) for part in parts])
            known += len(new)
            if not len(new):
                break
            if known > most:
                raise TooComplexError(
                    f"The wish takes more than {most:,} states in this model: "
                    "a shorter pattern or fewer stars take less."
                )
        return numbering.number(), numbering

    def after(self, keys: Ints) -> Ints:
        """The keys after each token, NOWHERE after the boundary too: (n, tokens) for n keys."""
        after = self.chain.suffixes.successors.take(self.chain_states(keys), axis=0)
        after = after.astype(np.int64)
        unit = 1 << self._bits
        for automaton, states in self._split(keys >> self._bits):
            moves = automaton.moves.take(states, axis=0).take(automaton.classes, axis=1)
            after += moves * np.int64(unit)
            after[moves == NOWHERE] = -MAX_KEY  # whatever is added, it stays below zero
            unit *= len(automaton)
        np.maximum(after, NOWHERE, out=after)
        after[:, BOUNDARY] = NOWHERE
        return after

    def accepted(self, keys: Ints) -> Flags:
        """Whether a name may end in each of n states, (n,)."""
        accepted = np.ones(len(keys), dtype=bool)
        for automaton, states in self._split(keys >> self._bits):
            accepted &= automaton.accepting[states]
        return accepted

    def _split(self, keys: Ints) -> Iterator[tuple[Automaton, Ints]]:
        """Each automaton with its states in keys that the chain's are taken out of."""
        for automaton in self.automata:
            keys, states = np.divmod(keys, len(automaton))
            yield automaton, states
