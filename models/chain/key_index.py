"""Index of distinct integer keys: a hash table in numpy with one slot for each hash.

Most keys are in their slot. Keys that collide with the key in their slot are in a sorted array.
"""

import numpy as np

from models.arrays import Ints

HASH_SLOTS = 2**20  # a power of two; a slot takes 12 bytes
GOLDEN_RATIO = 0.6180339887498949  # Fibonacci hashing: spreads consecutive hashes evenly
EMPTY_SLOT = -1  # the key of an empty slot


class KeyIndex:
    """A growing set of keys: integers of at least 0, and -1 for no key.

    low_bits: keys that differ only in their `low_bits` lowest bits get neighbouring slots
    """

    def __init__(self, low_bits: int) -> None:
        self._low_bits = low_bits
        self._keys: Ints = np.full(HASH_SLOTS, EMPTY_SLOT, dtype=np.int64)
        self._numbers: Ints = np.zeros(HASH_SLOTS, dtype=np.int32)
        self._collided: Ints = np.empty(0, dtype=np.int64)  # keys whose slot has another key
        self._sorted: Ints = self._collided

    def add(self, keys: Ints) -> Ints:
        """Add keys, which may be repeated, known or -1; return the new ones, each once."""
        keys, slots = keys.ravel(), self._slots(keys.ravel())
        unknown = (self._keys.take(slots) != keys).nonzero()[0]
        keys, slots = keys.take(unknown), slots.take(unknown)
        order = np.arange(len(keys), dtype=np.int32)
        self._numbers[slots] = order  # the last of several keys of a slot gets it
        last = self._numbers.take(slots) == order
        placed = keys[last & (self._keys.take(slots) == EMPTY_SLOT) & (keys != EMPTY_SLOT)]
        self._keys[self._slots(placed)] = placed
        collided = np.unique(keys[self._keys.take(slots) != keys])
        collided = np.setdiff1d(collided, self._collided, assume_unique=True)
        collided = collided[collided != EMPTY_SLOT]
        self._collided = np.union1d(self._collided, collided)
        return np.concatenate([placed, collided])

    def assign_numbers(self) -> Ints:
        """Number all keys in ascending order, from 0; return them in this order."""
        used = (self._keys != EMPTY_SLOT).nonzero()[0]
        self._sorted = np.sort(np.concatenate([self._keys.take(used), self._collided]))
        self._numbers[used] = np.searchsorted(self._sorted, self._keys.take(used))
        return self._sorted

    def find(self, keys: Ints) -> Ints:
        """Return the numbers of keys in the set, (...) for keys (...); -1 for -1."""
        slots = self._slots(keys)
        numbers: Ints = self._numbers.take(slots)
        collided = (self._keys.take(slots) != keys).nonzero()
        numbers[collided] = np.searchsorted(self._sorted, keys[collided])
        numbers[keys == EMPTY_SLOT] = -1
        return numbers

    def _slots(self, keys: Ints) -> Ints:
        slots: Ints = keys >> self._low_bits
        slots *= int(GOLDEN_RATIO * HASH_SLOTS) - (1 << self._low_bits)
        slots += keys
        slots &= HASH_SLOTS - 1
        return slots
