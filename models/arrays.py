"""Array types that all modules share, and dataclasses that hold arrays."""

from dataclasses import dataclass, field
from typing import TypeAlias, TypeVar, dataclass_transform

import numpy as np
from numpy.typing import NDArray

Ints: TypeAlias = NDArray[np.intp]  # tokens, positions, rows, counts
Floats: TypeAlias = NDArray[np.float64]  # logits, probabilities
Counts: TypeAlias = Ints | Floats  # fractions if names have weights
Weights: TypeAlias = NDArray[np.float32]  # as checkpoints store them
Flags: TypeAlias = NDArray[np.bool_]

T = TypeVar("T")


@dataclass_transform(eq_default=False, frozen_default=True, field_specifiers=(field,))
def array_dataclass(cls: type[T]) -> type[T]:
    """Make the class a frozen dataclass that compares by identity.

    For classes with array fields, direct or nested. Comparison by fields would raise ValueError:
    `==` between two arrays is an array, which has no truth value.
    """
    return dataclass(frozen=True, eq=False)(cls)
