"""Distinct keys, found and numbered with a hash table that has one slot for each hash.

Most keys are in their slot. The few whose slot another key has taken are kept apart, sorted.
"""

import numpy as np

from models.arrays import Ints

SLOTS = 2**20  # a power of two, of 12 bytes each
GOLDEN = 0.6180339887498949  # of the slots between blocks of keys: spreads the first ones best
FREE = -1  # stands in a slot without a key


class KeyIndex:
    """A growing set of keys: integers of at least 0, and -1 for no key.

    low_bits: keys that differ only in this many lowest bits have different slots, side by side
    """

    def __init__(self, low_bits: int) -> None:
        self._low_bits = low_bits
        self._keys: Ints = np.full(SLOTS, FREE, dtype=np.int64)
        self._numbers: Ints = np.zeros(SLOTS, dtype=np.int32)
        self._others: Ints = np.empty(0, dtype=np.int64)  # whose slots are taken
        self._sorted: Ints = self._others

    def add(self, keys: Ints) -> Ints:
        """Add keys, which may be repeated, known or -1; returns the new ones, each once."""
        keys, slots = keys.ravel(), self._slots(keys.ravel())
        unknown = (self._keys.take(slots) != keys).nonzero()[0]
        keys, slots = keys.take(unknown), slots.take(unknown)
        order = np.arange(len(keys), dtype=np.int32)
        self._numbers[slots] = order  # the last key of a slot gets it
        last = self._numbers.take(slots) == order
        placed = keys[last & (self._keys.take(slots) == FREE) & (keys != FREE)]
        self._keys[self._slots(placed)] = placed
        others = np.unique(keys[self._keys.take(slots) != keys])
        others = np.setdiff1d(others, self._others, assume_unique=True)
        others = others[others != FREE]
        self._others = np.union1d(self._others, others)
        return np.concatenate([placed, others])

    def number(self) -> Ints:
        """Number all keys in ascending order, from 0; returns them in this order."""
        taken = (self._keys != FREE).nonzero()[0]
        self._sorted = np.sort(np.concatenate([self._keys.take(taken), self._others]))
        self._numbers[taken] = np.searchsorted(self._sorted, self._keys.take(taken))
        return self._sorted

    def find(self, keys: Ints) -> Ints:
        """The numbers of keys that have been added, (...) for keys (...); -1 for -1."""
        slots = self._slots(keys)
        numbers: Ints = self._numbers.take(slots)
        elsewhere = (self._keys.take(slots) != keys).nonzero()
        numbers[elsewhere] = np.searchsorted(self._sorted, keys[elsewhere])
        numbers[keys == FREE] = -1
        return numbers

    def _slots(self, keys: Ints) -> Ints:
        slots: Ints = keys >> self._low_bits
        slots *= int(GOLDEN * SLOTS) - (1 << self._low_bits)
        slots += keys
        slots &= SLOTS - 1
        return slots
