"""Integer keys of the states of a product, and which of them names can reach.

A key encodes the state of the chain in its lowest bits and the states of the automata above them,
in a mixed radix.
"""

import math
from collections.abc import Iterator, Sequence
from typing import TypeVar

import numpy as np

from models.arrays import Flags, Ints, array_dataclass
from models.chain.key_index import KeyIndex
from models.chain.markov_chain import row_parts
from models.constraints.automaton import DEAD, Automaton
from models.constraints.constraints import TooComplexError
from models.counts.context_trie import ContextTrie
from models.text.vocabulary import BOUNDARY

Keys = TypeVar("Keys", int, Ints)

MAX_NEXT_STATE_CELLS = 2**23  # of the table of a product beyond that of the chain, 32 MB
MAX_PRODUCT_KEY = 2**62  # leaves room in 64 bits for sums of keys


@array_dataclass
class ProductKeys:
    """The keys of the states of a chain and automata.

    Raises TooComplexError if keys would exceed MAX_PRODUCT_KEY.
    """

    trie: ContextTrie
    automata: Sequence[Automaton]

    def __post_init__(self) -> None:
        states = math.prod(len(automaton) for automaton in self.automata)
        if states << self.bits > MAX_PRODUCT_KEY:
            raise TooComplexError(
                "The constraints have too many states together; use a shorter pattern or exclude "
                "fewer substrings"
            )

    @property
    def bits(self) -> int:
        """The number of bits that hold the state of the chain."""
        return (len(self.trie) - 1).bit_length()

    @property
    def tokens(self) -> int:
        """The number of tokens."""
        return self.trie.tokens

    def chain_states(self, keys: Keys) -> Keys:
        """Return the states of the chain, (...) for keys (...)."""
        return keys & ((1 << self.bits) - 1)

    def reachable(self, max_length: int) -> tuple[Ints, KeyIndex]:
        """Return the keys of all states after at most `max_length` characters, and their index.

        The keys are in ascending order. Raises TooComplexError if there are too many.
        """
        index = KeyIndex(self.bits)
        new = index.add(np.zeros(1, dtype=np.int64))  # the chain and all automata start in state 0
        known, limit = 1, MAX_NEXT_STATE_CELLS // self.tokens + len(self.trie)
        for _ in range(max_length):
            next_keys = (self.next_keys(new[part]) for part in row_parts(len(new), self.tokens))
            new = np.concatenate([index.add(keys) for keys in next_keys])
            known += len(new)
            if not len(new):
                break
            if known > limit:
                raise TooComplexError(
                    f"The constraints need more than {limit:,} states for this model; "
                    "use a shorter pattern or fewer `*`"
                )
        return index.assign_numbers(), index

    def next_keys(self, keys: Ints) -> Ints:
        """Return the keys after each token, (n, tokens) for n keys; DEAD after the boundary."""
        next_keys = self.trie.next_states[self.chain_states(keys)].astype(np.int64)
        unit = 1 << self.bits
        for automaton, states in self._split(keys):
            next_states = automaton.next_states.take(states, axis=0).take(automaton.classes, axis=1)
            next_keys += next_states * np.int64(unit)
            next_keys[next_states == DEAD] = -MAX_PRODUCT_KEY  # negative, whatever is added
            unit *= len(automaton)
        np.maximum(next_keys, DEAD, out=next_keys)
        next_keys[:, BOUNDARY] = DEAD
        return next_keys

    def next_key(self, key: int, token: int) -> int:
        """Return the key after a token other than the boundary, or DEAD."""
        next_key = self.trie.next_states.item(self.chain_states(key), token)
        rest, unit = key >> self.bits, 1 << self.bits
        for automaton in self.automata:
            rest, state = divmod(rest, len(automaton))
            next_state = automaton.next_states.item(state, automaton.classes.item(token))
            if next_state == DEAD:
                return DEAD
            next_key += next_state * unit
            unit *= len(automaton)
        return next_key

    def accepted(self, keys: Ints) -> Flags:
        """Return whether all automata accept in each of n states, (n,)."""
        accepted = np.ones(len(keys), dtype=bool)
        for automaton, states in self._split(keys):
            accepted &= automaton.accepting[states]
        return accepted

    def _split(self, keys: Ints) -> Iterator[tuple[Automaton, Ints]]:
        """Yield each automaton and its states, (n,)."""
        rest = keys >> self.bits
        for automaton in self.automata:
            rest, states = np.divmod(rest, len(automaton))
            yield automaton, states
