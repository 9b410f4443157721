"""The mean negative log-likelihood of counted transitions and its gradient (torch).

Its cost depends on the number of distinct contexts in the list, not on the list's length.
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

BLOCK = 2**22  # logits computed at once: bounds the memory that large alphabets take


class Objective:
    """The mean negative log-likelihood of counted transitions, as a function of the weights.

    classes: if given, the weights have a column for each class instead of each token
    penalties: (rows,), the L2 weight of each row; if given, rows that are always switched on
        together are one row, that of their group in `ties`

    shape: of the weights, (rows, classes)
    total: the number of transitions
    mass: (rows, 1), how often each row is switched on, by the squares of its values
    observed: (rows, classes), how often each row is switched on before each class
    shares: (classes,), the share that each class has of all transitions
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
            rows[:, 0] = classes.representatives[rows[:, 0]]  # those of the last character
        if penalties is not None:
            self.ties = TiedRows.of((rows, values), penalties)
            rows, values = self.ties.tie((rows, values))
            self.shape = len(self.ties.penalties), self.shape[1]
        sizes = np.bincount(groups, times)  # how often each distinct input is
        observed, mass = np.zeros(self.shape), np.zeros((self.shape[0], 1))
        for row, value in zip(rows.T, values.T, strict=True):
            np.add.at(observed, (row[groups], tokens), value[groups] * times)
            np.add.at(mass[:, 0], row, value**2 * sizes)
        self.total = float(times.sum())
        self.observed = torch.from_numpy(observed).to(dtype)
        self.mass = torch.from_numpy(mass).to(dtype)
        shares = np.bincount(tokens, times, self.shape[1]) / self.total
        self.shares = torch.from_numpy(shares).to(dtype)
        height = max(1, BLOCK // self.shape[1])
        self._blocks = [
            _Block.of((rows[part], values[part]), sizes[part], self.shape[0], dtype)
            for part in (slice(start, start + height) for start in range(0, len(keys), height))
        ]

    def nll(self, weights: Weights) -> float:
        """The value at fitted weights."""
        return self(torch.from_numpy(weights).to(self.observed.dtype))[0]

    def __call__(self, weights: Tensor) -> tuple[float, Tensor]:
        """The value at the weights, and its gradient.

        The gradient of a weight is how often its row is expected to be switched on
        before its token, less how often it is observed.
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
    """Some of the distinct inputs: (n, rows), its transpose, and how often each is, (n, 1)."""

    inputs: Tensor
    transposed: Tensor
    sizes: Tensor

    @classmethod
    def of(cls, inputs_: Inputs, sizes: Counts, width: int, dtype: torch.dtype) -> "_Block":
        rows, values = inputs_
        on = values != 0
        ends = np.concatenate([[0], on.sum(axis=1).cumsum()])
        with warnings.catch_warnings():
            # Of torch's sparse formats only CSR is fast here; it warns that it is in beta.
            warnings.filterwarnings("ignore", "Sparse CSR tensor support is in beta")
            inputs = torch.sparse_csr_tensor(
                torch.from_numpy(ends),
                torch.from_numpy(rows[on]),
                torch.from_numpy(values[on]).to(dtype),
                size=(len(rows), width),
                check_invariants=True,
            )
            transposed = inputs.t().to_sparse_csr()
        return cls(inputs, transposed, torch.from_numpy(sizes[:, np.newaxis]).to(dtype))
