"""Product of a chain and automata, restricted to the states that names can reach.

A state of the product is a state of the chain and of each automaton at once. The reachable states
are found breadth first from START, and numbered in the order of their keys.
"""

from collections.abc import Sequence
from dataclasses import replace
from typing import NamedTuple

import numpy as np

from models.arrays import Ints, array_dataclass
from models.chain.key_index import KeyIndex
from models.chain.markov_chain import MarkovChain, States, row_parts
from models.chain.product_keys import ProductKeys
from models.constraints.automaton import DEAD, Automaton
from models.counts.context_trie import START, find_sorted
from models.text.vocabulary import BOUNDARY

MAX_COMPRESSED_CELLS = 2**16  # of a table of next states that `compressed` keeps, 256 KB


class StateTables(NamedTuple):
    """The states of the chain, (states,), and the next states, (states, tokens)."""

    chain_states: Ints
    next_states: Ints


@array_dataclass
class Product:
    """The reachable states of a chain and automata; START is the initial state.

    A next state of `len(product)` is dead: no name continues with this token. After the boundary
    the next state is START if a name may end, else dead.

    keys: the encoding of the states
    states: (states,), the key of each state, sorted
    tables: None to compute their rows from the keys for each call
    """

    keys: ProductKeys
    states: Ints
    tables: StateTables | None

    def __len__(self) -> int:
        """Return the number of states."""
        return len(self.states)

    @property
    def size(self) -> int:
        """The size in bytes, without the arrays of the chain."""
        if not self.keys.automata:
            return 0
        return self.states.nbytes + sum(table.nbytes for table in self.tables or ())

    @property
    def compressed(self) -> "Product":
        """The same product without its tables if they are large."""
        large = self.tables and self.tables.next_states.size > MAX_COMPRESSED_CELLS
        return replace(self, tables=None) if large and self.keys.automata else self

    @property
    def expanded(self) -> "Product":
        """The same product with its tables."""
        return self if self.tables else replace(self, tables=self._tables())

    @property
    def chain_states(self) -> Ints:
        """The chain state of each product state, (states,)."""
        return self.chain_states_of(slice(None))

    @property
    def next_states(self) -> Ints:
        """The next states, (states, tokens), computed at each access if there are no tables."""
        return (self.tables or self._tables()).next_states

    def chain_states_of(self, states: States) -> Ints:
        """Return the states of the chain, (...) for states (...)."""
        if self.tables:
            return self.tables.chain_states[states]
        return self.keys.chain_states(self.states[states])

    def next_states_of(self, states: States) -> Ints:
        """Return the next states, (..., tokens) for states (...)."""
        if self.tables:
            return self.tables.next_states[states]
        keys = self.states[states]
        flat = keys.ravel()
        numbers = find_sorted(self.states, self.keys.next_keys(flat), 0)
        return self._with_ends(flat, numbers).reshape(*keys.shape, -1)

    def next_state(self, state: int, token: int) -> int:
        """Return the state after a token other than the boundary."""
        if self.tables:
            return self.tables.next_states.item(state, token)
        key = self.keys.next_key(self.states.item(state), token)
        return len(self) if key == DEAD else int(self.states.searchsorted(key))

    def layers(self, max_length: int) -> list[Ints]:
        """Return the states after 0, 1, ..., `max_length` characters, (max_length + 1,)."""
        next_states = self.next_states
        layers: list[Ints] = [np.array([START], dtype=np.int32)]
        while len(layers) <= max_length:
            present = np.zeros(len(self) + 1, dtype=bool)
            for part in row_parts(len(layers[-1]), next_states.shape[1]):
                after = next_states[layers[-1][part], 1:]
                present[after.astype(np.intp)] = True  # faster than smaller integers
            layer: Ints = present[:-1].nonzero()[0].astype(np.int32)
            if np.array_equal(layer, layers[-1]):  # all further layers are equal
                return layers + [layer] * (max_length + 1 - len(layers))
            layers.append(layer)
        return layers

    def _tables(self, index: KeyIndex | None = None) -> StateTables:
        """Compute the tables; index: that of the keys, made if it is None."""
        if index is None:
            index = KeyIndex(self.keys.bits)
            index.add(self.states)
            index.assign_numbers()
        next_states: Ints = np.empty((len(self), self.keys.tokens), dtype=np.int32)
        for part in row_parts(*next_states.shape):
            keys = self.states[part]
            next_states[part] = self._with_ends(keys, index.find(self.keys.next_keys(keys)))
        return StateTables(self.chain_states.astype(np.int32), next_states)

    def _with_ends(self, keys: Ints, numbers: Ints) -> Ints:
        """Return next states from the numbers of keys, (n, tokens), with those of the boundary."""
        numbers[:, BOUNDARY] = np.where(self.keys.accepted(keys), START, DEAD)
        return np.where(numbers == DEAD, len(self), numbers)


def multiply(chain: MarkovChain, automata: Sequence[Automaton], max_length: int) -> Product:
    """Return the product with the states that names of at most `max_length` characters reach.

    Raises TooComplexError if there are too many.
    """
    keys = ProductKeys(chain.trie, automata)
    if not automata:
        return Product(
            keys, chain.trie.states, StateTables(chain.trie.states, chain.trie.next_states)
        )
    states, index = keys.reachable(max_length)
    product = Product(keys, states, None)
    return replace(product, tables=product._tables(index))
