"""What the tests hold moniker against: the laws of names, computed the slow and plain way.

Probabilities are multiplied and added up, without logarithms and without anything
from `models` but the weights. The post's own code is in `benchmarks/post.py`.
"""

import itertools

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Weights = NDArray[np.float32] | NDArray[np.float64]


def dense_probabilities(weights: Weights, tokens: int, position: int) -> Floats:
    """P(next | previous) at a position, (tokens, tokens), from weights of either architecture."""
    logits = weights[:tokens].astype(np.float64)
    if len(weights) > tokens:
        logits = logits + weights[tokens + min(position, len(weights) - tokens - 1)]
    powers = np.exp(logits - logits.max(axis=1, keepdims=True))
    return np.asarray(powers / powers.sum(axis=1, keepdims=True), dtype=np.float64)


def name_probability(weights: Weights, characters: str, name: str) -> float:
    """P(name), its end included, as a product of dense probabilities."""
    tokens = len(characters) + 1
    walk = [0, *(characters.index(c) + 1 for c in name), 0]
    steps = enumerate(itertools.pairwise(walk))
    return float(np.prod([dense_probabilities(weights, tokens, t)[a, b] for t, (a, b) in steps]))


def all_names(characters: str, longest: int) -> list[str]:
    """Every string of 1 to `longest` characters."""
    return [
        "".join(letters)
        for length in range(1, longest + 1)
        for letters in itertools.product(characters, repeat=length)
    ]


def letter_laws(weights: Weights, tokens: int, max_length: int) -> dict[str, Floats]:
    """Exact laws of the first, second and last letter of names of 1 to max_length letters.

    Each is (tokens,) and adds up to one; as second letter the boundary stands for
    names of one letter.
    """
    laws = {law: np.zeros(tokens) for law in ("first", "second", "last")}
    for first, second in itertools.product(range(1, tokens), range(tokens)):
        start = dense_probabilities(weights, tokens, 0)[0, first]
        ways = np.zeros(tokens)  # P(these first two, still going, last letter so far)
        step = dense_probabilities(weights, tokens, 1)[first, second]
        ended = np.zeros(tokens)  # P(these first two, then ended after this letter)
        if second == 0:
            ended[first] = start * step
        elif max_length > 1:
            ways[second] = start * step
        for length in range(2, max_length + 1):
            dense = dense_probabilities(weights, tokens, length)
            ended += ways * dense[:, 0]
            ways = ways @ dense
            ways[0] = 0.0
        laws["first"][first] += ended.sum()
        laws["second"][second] += ended.sum()
        laws["last"] += ended
    return {law: values / values.sum() for law, values in laws.items()}
