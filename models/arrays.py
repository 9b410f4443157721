"""The array types that pass between the modules."""

from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

Ints: TypeAlias = NDArray[np.intp]  # tokens, positions, rows, counts
Floats: TypeAlias = NDArray[np.float64]  # logits, probabilities
Weights: TypeAlias = NDArray[np.float32]  # as a checkpoint stores them
Flags: TypeAlias = NDArray[np.bool_]
