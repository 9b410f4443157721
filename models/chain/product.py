"""A chain and automata that move in step: the reachable part of their product.

A state of the product is the state of the chain and of each automaton at once. The states that
names can reach are found by following every step from the beginning, and numbered.
"""

import math
from collections.abc import Iterator, Sequence
from typing import TypeVar

import numpy as np

from models.arrays import Flags, Ints, array_dataclass
from models.chain.key_index import KeyIndex
from models.chain.markov_chain import MarkovChain, States, parts
from models.constraints.automaton import NOWHERE, Automaton
from models.constraints.constraints import TooComplexError
from models.counts.context_trie import START, ContextTrie, find_sorted
from models.text.vocabulary import BOUNDARY

Keys = TypeVar("Keys", int, Ints)

MAX_CELLS = 2**23  # of the table of successors beyond those of the chain, 32 MB
CELLS_KEPT = 2**16  # of a table of successors that is kept, 256 KB; larger ones are recomputed
MAX_KEY = 2**62  # integers hold it, and sums of a few


@array_dataclass
class Product:
    """The states of a chain within automata; START is the beginning.

    chain_states: (states,), where the chain is in each
    successors: (states, tokens), the state after a token; one beyond the last if no name
        goes on so. After the boundary it is START if a name may end, else one beyond.
    untabled: the same without a table of successors; None if they are those of the chain
    """

    chain_states: Ints
    next_states: Ints
    implicit: "ImplicitProduct | None" = None

    def __len__(self) -> int:
        """How many states there are."""
        return len(self.chain_states)

    @property
    def size(self) -> int:
        """In bytes, without what belongs to the chain."""
        if self.implicit is None:
            return 0
        return self.chain_states.nbytes + self.next_states.nbytes + self.implicit.size

    @property
    def compact(self) -> "Product | ImplicitProduct":
        """The same without the table of successors, if that is large."""
        if self.implicit is None or self.next_states.size <= CELLS_KEPT:
            return self
        return self.implicit

    @property
    def explicit(self) -> "Product":
        """The same with a table of successors."""
        return self

    def in_chain(self, states: States) -> Ints:
        """The state of the chain in each state, (...) for states (...)."""
        return self.chain_states[states]

    def after(self, states: States) -> Ints:
        """The successors of some states, (..., tokens) for states (...)."""
        return self.next_states[states]

    def next_state(self, state: int, token: int) -> int:
        """The state after a token."""
        return self.next_states.item(state, token)

    def layers(self, longest: int) -> list[Ints]:
        """The states after 0, 1, ..., `longest` characters."""
        layers: list[Ints] = [np.array([START], dtype=np.int32)]
        while len(layers) <= longest:
            present = np.zeros(len(self) + 1, dtype=bool)
            for part in parts(len(layers[-1]), self.next_states.shape[1]):
                after = self.next_states[layers[-1][part], 1:]
                present[after.astype(np.intp)] = True  # faster than smaller integers
            after = present[:-1].nonzero()[0].astype(np.int32)
            if np.array_equal(after, layers[-1]):  # from here on they are the same
                return layers + [after] * (longest + 1 - len(layers))
            layers.append(after)
        return layers


@array_dataclass
class ImplicitProduct:
    """A product without a table of successors: it computes them each time.

    keys: (states,), sorted
    """

    keys: Ints
    steps: "_Steps"

    def __len__(self) -> int:
        """How many states there are."""
        return len(self.keys)

    @property
    def size(self) -> int:
        """In bytes, without what belongs to the chain."""
        return self.keys.nbytes

    @property
    def compact(self) -> "ImplicitProduct":
        """The same in less memory."""
        return self

    @property
    def chain_states(self) -> Ints:
        """(states,), where the chain is in each."""
        return self.in_chain(slice(None))

    @property
    def next_states(self) -> Ints:
        """The table of successors, (states, tokens), computed."""
        return self.explicit.next_states

    @property
    def explicit(self) -> Product:
        """The same with a table of successors."""
        numbering = KeyIndex(self.steps.bits)
        numbering.add(self.keys)
        numbering.number()
        return self.table(numbering)

    def table(self, numbering: KeyIndex) -> Product:
        """The same with a table of successors, by numbers of the keys."""
        table: Ints = np.empty((len(self), self.steps.tokens), dtype=np.int32)
        for part in parts(*table.shape):
            keys = self.keys[part]
            after = numbering.find(self.steps.after(keys))
            table[part] = self._with_ends(keys, after)
        return Product(self.chain_states.astype(np.int32), table, self)

    def in_chain(self, states: States) -> Ints:
        """The state of the chain in each state, (...) for states (...)."""
        return self.steps.chain_states(self.keys[states])

    def after(self, states: States) -> Ints:
        """The successors of some states, (..., tokens) for states (...)."""
        keys = self.keys[states]
        some = keys.ravel()
        after = find_sorted(self.keys, self.steps.after(some), 0)
        return self._with_ends(some, after).reshape(*keys.shape, -1)

    def next_state(self, state: int, token: int) -> int:
        """The state after a token that is not the boundary."""
        key = self.steps.next_key(self.keys.item(state), token)
        return len(self) if key == NOWHERE else int(self.keys.searchsorted(key))

    def _with_ends(self, keys: Ints, after: Ints) -> Ints:
        after[:, BOUNDARY] = np.where(self.steps.accepted(keys), START, NOWHERE)
        return np.where(after == NOWHERE, len(self), after)


def multiply(chain: MarkovChain, automata: Sequence[Automaton], longest: int) -> Product:
    """The states that names of up to `longest` characters go through.

    Raises TooComplexError if they are too many.
    """
    if not automata:
        return Product(chain.trie.states, chain.trie.next_states)
    steps = _Steps(chain.trie, automata)
    keys, numbering = steps.reachable(longest)
    return ImplicitProduct(keys, steps).table(numbering)


@array_dataclass
class _Steps:
    """The steps of a chain and automata.

    A key is an integer that encodes the state of each; the lowest bits are that of the chain.
    """

    trie: ContextTrie
    automata: Sequence[Automaton]

    def __post_init__(self) -> None:
        states = math.prod(len(automaton) for automaton in self.automata)
        if states << self.bits > MAX_KEY:
            raise TooComplexError("The parts of the wish have too many states together.")

    @property
    def bits(self) -> int:
        """How many bits of a key hold the state of the chain."""
        return (len(self.trie) - 1).bit_length()

    @property
    def tokens(self) -> int:
        """How many tokens there are."""
        return self.trie.tokens

    def chain_states(self, keys: Keys) -> Keys:
        """The state of the chain in a key or in each of some."""
        return keys & ((1 << self.bits) - 1)

    def reachable(self, longest: int) -> tuple[Ints, KeyIndex]:
        """The keys of all states after up to `longest` characters, in order, and their numbers."""
        numbering = KeyIndex(self.bits)
        new = numbering.add(np.zeros(1, dtype=np.int64))  # everything is in state 0 at first
        known, most = 1, MAX_CELLS // self.tokens + len(self.trie)
        for _ in range(longest):
            after = (self.after(new[part]) for part in parts(len(new), self.tokens))
            new = np.concatenate([numbering.add(keys) for keys in after])
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
        after = self.trie.next_states[self.chain_states(keys)]
        after = after.astype(np.int64)
        unit = 1 << self.bits
        for automaton, states in self._split(keys >> self.bits):
            moves = automaton.moves.take(states, axis=0).take(automaton.classes, axis=1)
            after += moves * np.int64(unit)
            after[moves == NOWHERE] = -MAX_KEY  # stays below zero, whatever is added
            unit *= len(automaton)
        np.maximum(after, NOWHERE, out=after)
        after[:, BOUNDARY] = NOWHERE
        return after

    def next_key(self, key: int, token: int) -> int:
        """The key after a token that is not the boundary; NOWHERE if no name goes on so."""
        after = self.trie.next_states.item(self.chain_states(key), token)
        rest, unit = key >> self.bits, 1 << self.bits
        for automaton in self.automata:
            rest, state = divmod(rest, len(automaton))
            move = automaton.moves.item(state, automaton.classes.item(token))
            if move == NOWHERE:
                return NOWHERE
            after += move * unit
            unit *= len(automaton)
        return after

    def accepted(self, keys: Ints) -> Flags:
        """Whether a name may end in each of n states, (n,)."""
        accepted = np.ones(len(keys), dtype=bool)
        for automaton, states in self._split(keys >> self.bits):
            accepted &= automaton.accepting[states]
        return accepted

    def _split(self, keys: Ints) -> Iterator[tuple[Automaton, Ints]]:
        """Each automaton and its states in keys without the bits of the chain."""
        for automaton in self.automata:
            keys, states = np.divmod(keys, len(automaton))
            yield automaton, states
