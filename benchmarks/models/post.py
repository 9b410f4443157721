"""The post's model as the post describes it, the baseline of benchmarks and tests.

Dense one-hot inputs, one example for each transition, one name at a time.
"""

from collections.abc import Iterator
from itertools import pairwise

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn.functional import one_hot

Triples = NDArray[np.intp]  # (n, 3): position, previous token, next token

SEED = 2147483647
POSITIONS = 23


def triples(names: list[str], characters: str) -> Triples:
    """Return every transition of the names, (n, 3); token 0 is the boundary."""
    rows = []
    for name in names:
        tokens = [0, *(characters.index(c) + 1 for c in name), 0]
        rows += [(position, a, b) for position, (a, b) in enumerate(pairwise(tokens))]
    return np.array(rows)


def inputs(token: Tensor, position: Tensor, tokens: int, with_position: bool) -> Tensor:
    """Return the one-hot characters and, beside them, positions of n transitions, (n, columns)."""
    columns = [one_hot(token, num_classes=tokens).float()]
    if with_position:
        columns.append(one_hot(position, num_classes=POSITIONS).float())
    return torch.cat(columns, dim=1)


def losses(
    triples: Triples,
    tokens: int,
    with_position: bool,
    steps: int = 200,
    dtype: torch.dtype = torch.float32,
) -> Iterator[float]:
    """Train, and yield the loss of each step as the post prints it."""
    position, token, target = torch.from_numpy(triples).T
    examples = inputs(token, position, tokens, with_position).to(dtype)
    generator = torch.Generator().manual_seed(SEED)
    weights = torch.randn((examples.shape[1], tokens), generator=generator).to(dtype)
    weights.requires_grad = True
    for _ in range(steps):
        counts = (examples @ weights).exp()
        probabilities = counts / counts.sum(1, keepdim=True)
        likelihoods = probabilities[torch.arange(len(target)), target]
        loss = -likelihoods.log().mean() + 0.01 * (weights**2).mean()
        yield loss.item()
        (gradient,) = torch.autograd.grad(loss, weights)
        weights.data += -50 * gradient


def probabilities(weights: Tensor, tokens: int, token: int, position: int) -> Tensor:
    """Return P(next) after a token at a position, (1, tokens); the position is clamped."""
    clamped = min(position, POSITIONS - 1)
    row = inputs(torch.tensor([token]), torch.tensor([clamped]), tokens, len(weights) > tokens)
    counts = (row @ weights).exp()
    return counts / counts.sum(1, keepdim=True)


def sample(weights: Tensor, characters: str, generator: torch.Generator) -> str:
    """Return a random name."""
    name, token = "", 0
    while True:
        p = probabilities(weights, len(characters) + 1, token, len(name))
        token = int(torch.multinomial(p, 1, replacement=True, generator=generator).item())
        if token == 0:
            return name
        name += characters[token - 1]


def log_likelihood(weights: Tensor, characters: str, name: str) -> float:
    """Return the log-likelihood of a name, its end included."""
    total, token = 0.0, 0
    for position, following in enumerate([*(characters.index(c) + 1 for c in name), 0]):
        p = probabilities(weights, len(characters) + 1, token, position)
        total += p[0, following].log().item()
        token = following
    return total
