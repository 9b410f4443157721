"""The array types that pass between the modules, and dataclasses that hold arrays."""

from dataclasses import dataclass, field
from typing import TypeAlias, TypeVar, dataclass_transform

import numpy as np
from numpy.typing import NDArray

Ints: TypeAlias = NDArray[np.intp]  # tokens, positions, rows, counts
Floats: TypeAlias = NDArray[np.float64]  # logits, probabilities
Counts: TypeAlias = Ints | Floats  # fractions if names have weights
Weights: TypeAlias = NDArray[np.float32]  # as a checkpoint stores them
Flags: TypeAlias = NDArray[np.bool_]

T = TypeVar("T")


@dataclass_transform(eq_default=False, frozen_default=True, field_specifiers=(field,))
def array_dataclass(cls: type[T]) -> type[T]:
    """Make a class a frozen dataclass that is equal to itself alone.

    For classes that hold arrays, also within other objects: `==` between two arrays is an array,
    which has no truth value, so that comparing field by field would raise ValueError.
    """
    return dataclass(frozen=True, eq=False)(cls)
