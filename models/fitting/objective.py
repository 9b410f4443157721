"""Mean negative log-likelihood of counted transitions and its gradient by the weights (torch).

The cost depends on the number of distinct contexts in the list, not on the length of the list.
"""

import warnings

import numpy as np
import torch
from torch import Tensor

from models.arrays import Counts, Floats, Weights, array_dataclass
from models.counts.context_counts import ContextCounts
from models.fitting.character_classes import CharacterClasses
from models.fitting.tied_rows import TiedRows
from models.linear.feature_map import FeatureMap
from models.linear.features import Inputs

BLOCK_LOGITS = 2**22  # computed at once: bounds the memory of large alphabets


class Objective:
    """The mean negative log-likelihood of counted transitions, as a function of the weights.

    classes: if not None, the weights have a column for each class instead of each token
    penalties: (rows,), the L2 weight of each row; if not None, the weights have a row for each
        group of `tied_rows` instead of each row

    shape: of the weights, (rows, classes)
    total: the number of transitions
    squares: (rows, 1), the sum of the squared input values of each row over the transitions
    observed: (rows, classes), the sum of the input values of each row before each class
    shares: (classes,), the share of each class in the transitions
    """

    def __init__(
        self,
        counts: ContextCounts,
        feature_map: FeatureMap,
        dtype: torch.dtype = torch.float32,
        classes: CharacterClasses | None = None,
        penalties: Floats | None = None,
    ) -> None:
        tokens, times = counts.transitions.tokens, counts.counts
        keys = feature_map.context_keys(counts.transitions.contexts)
        self.shape = feature_map.shape
        if classes:
            tokens, keys = (
                classes.of_tokens[tokens],
                feature_map.merge_tokens(keys, classes.representatives),
            )
            self.shape = feature_map.shape[0], len(classes)
        keys, groups = np.unique(keys, return_inverse=True)
        rows, values = feature_map.inputs(keys)
        if classes:
            rows[:, 0] = classes.representatives[rows[:, 0]]  # the row of the last character
        if penalties is not None:
            self.tied_rows = TiedRows.of((rows, values), penalties)
            rows, values = self.tied_rows.tie((rows, values))
            self.shape = len(self.tied_rows.penalties), self.shape[1]
        sizes = np.bincount(groups, times)  # the number of transitions of each distinct input
        observed, squares = np.zeros(self.shape), np.zeros((self.shape[0], 1))
        for row, value in zip(rows.T, values.T, strict=True):
            np.add.at(observed, (row[groups], tokens), value[groups] * times)
            np.add.at(squares[:, 0], row, value**2 * sizes)
        self.total = float(times.sum())
        self.observed = torch.from_numpy(observed).to(dtype)
        self.squares = torch.from_numpy(squares).to(dtype)
        shares = np.bincount(tokens, times, self.shape[1]) / self.total
        self.shares = torch.from_numpy(shares).to(dtype)
        self._blocks = _blocks((rows, values), sizes, self.shape, dtype)

    def nll(self, weights: Weights) -> float:
        """Return the value at the weights."""
        return self(torch.from_numpy(weights).to(self.observed.dtype))[0]

    def __call__(self, weights: Tensor) -> tuple[float, Tensor]:
        """Return the value at the weights and its gradient.

        The gradient of a weight is its expected count under the model minus its observed count, as
        in any log-linear model, divided by the number of transitions.
        """
        nll = -(self.observed * weights).sum(dtype=torch.float64)
        gradient = -self.observed
        for block in self._blocks:
            logits = block.inputs @ weights
            peaks = logits.amax(dim=1, keepdim=True)
            powers = logits.sub_(peaks).exp_()
            sums = powers.sum(dim=1, keepdim=True)
            nll += (block.sizes * (sums.log() + peaks)).sum(dtype=torch.float64)
            gradient += block.transposed @ powers.mul_(block.sizes / sums)
        return float(nll) / self.total, gradient / self.total


@array_dataclass
class _Block:
    """A part of the distinct inputs, n of them.

    inputs, transposed: (n, rows) and (rows, n), sparse
    sizes: (n, 1), the number of transitions of each input
    """

    inputs: Tensor
    transposed: Tensor
    sizes: Tensor

    @classmethod
    def of(cls, inputs_: Inputs, sizes: Counts, width: int, dtype: torch.dtype) -> "_Block":
        rows, values = inputs_
        nonzero = values != 0
        ends = np.concatenate([[0], nonzero.sum(axis=1).cumsum()])
        with warnings.catch_warnings():
            # Of torch's sparse formats only CSR is fast here; it warns that it is in beta.
            warnings.filterwarnings("ignore", "Sparse CSR tensor support is in beta")
            inputs = torch.sparse_csr_tensor(
                torch.from_numpy(ends),
                torch.from_numpy(rows[nonzero]),
                torch.from_numpy(values[nonzero]).to(dtype),
                size=(len(rows), width),
                check_invariants=True,
            )
            transposed = inputs.t().to_sparse_csr()
        return cls(inputs, transposed, torch.from_numpy(sizes[:, np.newaxis]).to(dtype))


def _blocks(
    inputs: Inputs, sizes: Counts, shape: tuple[int, int], dtype: torch.dtype
) -> list[_Block]:
    """Return the distinct inputs in blocks of at most BLOCK_LOGITS."""
    rows, values = inputs
    height = max(1, BLOCK_LOGITS // shape[1])
    parts = [slice(start, start + height) for start in range(0, len(rows), height)]
    return [_Block.of((rows[part], values[part]), sizes[part], shape[0], dtype) for part in parts]
