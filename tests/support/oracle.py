"""Independent oracle: a slow and plain implementation of the layer and its distributions.

Input vectors are dense, probabilities are multiplied and summed without logarithms, and nothing
but the weights comes from `models`. The code of the blog post is in `benchmarks/models/post.py`.
"""

import itertools
import math
from collections.abc import Iterator, Sequence
from copy import copy
from typing import Any

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Weights = NDArray[np.float32] | NDArray[np.float64]
History = tuple[int, ...]  # previous tokens, the nearest first

ORDER = 4
FIVEGRAM = [
    "last 1", "last 2", "last 3", "last 4", "position", "position, last 1", "position, last 2",
    "position, last 3",
]  # fmt: skip
FEATURES = {
    "bigram": ["last 1"],
    "positional": ["last 1", "position"],
    "sinusoidal": ["last 1", "sines"],
    "fivegram": FIVEGRAM,
}


class Layer:
    """The linear layer with dense inputs. Token 0 is the boundary, characters start at 1.

    names: training names of a fivegram, which has a weight row for each context in them
    """

    def __init__(
        self,
        architecture: str,
        characters: str,
        positions: int,
        weights: Weights,
        names: Sequence[str] = (),
    ) -> None:
        self.characters, self.positions = characters, positions
        self.tokens = len(characters) + 1
        self.weights = weights.astype(np.float64)
        self.top_k: int | None = None
        self.features = FEATURES[architecture]
        seen = {
            (min(t, positions - 1), history)
            for name in names
            for t, (history, _) in enumerate(self.steps(name))
        }
        rows = [(f, key) for f in self.features for key in self._all_keys(f, seen)]
        self.row = {row: number for number, row in enumerate(rows)}

    def _all_keys(self, feature: str, seen: set[tuple[int, History]]) -> list[Any]:
        """Return the keys of a feature that have a weight row, in the order of the rows."""
        if feature == "last 1":
            return [(token,) for token in range(self.tokens)]
        if feature == "position":
            return list(range(self.positions))
        if feature == "sines":
            return list(self.active_keys("sines", 0, ()))
        return sorted({key for context in seen for key in self.active_keys(feature, *context)})

    def active_keys(self, feature: str, position: int, history: History) -> dict[Any, float]:
        """Return the keys of a feature that are active in a context, with their values."""
        position = min(position, self.positions - 1)
        if feature == "position":
            return {position: 1.0}
        if feature == "sines":
            waves = [4]
            while waves[-1] < 2 * self.positions:
                waves.append(2 * waves[-1])
            size = 2 * math.sqrt(len(waves))
            return {
                (wave_form.__name__, wave): wave_form(2 * math.pi * position / wave) / size
                for wave_form in (math.sin, math.cos)
                for wave in waves
            }
        last = history[: int(feature[-1])]
        if 0 in last[:-1]:
            return {}  # the context extends beyond the start of the name
        return {(last, position): 1.0} if feature.startswith("position") else {last: 1.0}

    def inputs(self, position: int, history: History) -> Floats:
        """Return the input vector of a context, (rows,)."""
        inputs = np.zeros(len(self.row))
        for feature in self.features:
            for key, value in self.active_keys(feature, position, history).items():
                if (feature, key) in self.row:
                    inputs[self.row[feature, key]] = value
        return inputs

    def probabilities(self, position: int, history: History) -> Floats:
        """Return P(next) in a context, (tokens,)."""
        logits = self.inputs(position, history) @ self.weights
        powers = np.exp(logits - logits.max())
        if self.top_k is not None:
            powers[np.argsort(-logits)[self.top_k :]] = 0.0
        return np.asarray(powers / powers.sum(), dtype=np.float64)

    def matrix(self, position: int) -> Floats:
        """Return P(next | last) at a position, (tokens, tokens), if it sees one character."""
        return np.array([self.probabilities(position, (last,)) for last in range(self.tokens)])

    def steps(self, name: str) -> Iterator[tuple[History, int]]:
        """Yield the history before each token of a name, its end included, and the token."""
        tokens = [self.characters.index(character) + 1 for character in name]
        for t, token in enumerate([*tokens, 0]):
            yield tuple(([0] * ORDER + tokens[:t])[::-1][:ORDER]), token

    def at(self, temperature: float, top_k: int | None = None) -> "Layer":
        """Return the layer at a temperature and limited to the top k."""
        copied = copy(self)
        copied.weights = self.weights / temperature
        copied.top_k = top_k
        return copied

    def probability(self, name: str) -> float:
        """Return P(name), its end included, as a product of dense probabilities."""
        steps = enumerate(self.steps(name))
        return float(np.prod([self.probabilities(t, h)[token] for t, (h, token) in steps]))


def all_names(characters: str, longest: int) -> list[str]:
    """Return every string of 1 to `longest` characters."""
    return [
        "".join(letters)
        for length in range(1, longest + 1)
        for letters in itertools.product(characters, repeat=length)
    ]


def name_distribution(layer: Layer, longest: int) -> dict[str, float]:
    """Return the probability of every name of 1 to `longest` characters."""
    distribution: dict[str, float] = {}
    prefixes = {"": 1.0}
    for length in range(longest + 1):
        extensions = {}
        for prefix, probability in prefixes.items():
            *_, (history, _) = layer.steps(prefix)
            end, *letters = layer.probabilities(length, history).tolist()
            if prefix:
                distribution[prefix] = probability * end
            for character, letter in zip(layer.characters, letters, strict=True):
                extensions[prefix + character] = probability * letter
        prefixes = extensions
    return distribution


def draw(layer: Layer, number: int, longest: int, generator: np.random.Generator) -> list[str]:
    """Sample `number` names from a layer that sees one character; drop empty and too long ones."""
    tokens = np.zeros((number, longest + 2), dtype=np.intp)  # a boundary at both ends
    for length in range(longest + 1):
        cumulative = layer.matrix(length).cumsum(axis=1)
        # Rows joined end to end: each last token has its own interval of length one.
        line = (cumulative / cumulative[:, -1:] + np.arange(layer.tokens)[:, np.newaxis]).ravel()
        alive = np.flatnonzero((tokens[:, length] > 0) | (length == 0))
        last = tokens[alive, length]
        indices = np.searchsorted(line, last + generator.random(len(alive)), side="right")
        tokens[alive, length + 1] = indices - last * layer.tokens
    tokens = tokens[(tokens[:, 1] > 0) & (tokens[:, -1] == 0), 1:]
    letters = np.array(["", *layer.characters])[tokens]
    names: list[str] = np.ascontiguousarray(letters).view(f"U{longest + 1}").ravel().tolist()
    return names


def letter_distributions(layer: Layer, max_length: int) -> dict[str, Floats]:
    """Return the exact distributions of the first, second and last letter.

    Of names of 1 to max_length letters, for a layer that sees one character. Each is (tokens,)
    and sums to one; as second letter the boundary stands for names of one letter.
    """
    tokens = layer.tokens
    dense = [layer.matrix(position) for position in range(max_length + 1)]
    distributions = {letter: np.zeros(tokens) for letter in ("first", "second", "last")}
    for first, second in itertools.product(range(1, tokens), range(tokens)):
        start = dense[0][0, first]
        ways = np.zeros(tokens)  # P(first two letters, no end so far, last letter)
        transition = dense[1][first, second]
        ended = np.zeros(tokens)  # P(first two letters, end after this letter)
        if second == 0:
            ended[first] = start * transition
        elif max_length > 1:
            ways[second] = start * transition
        for length in range(2, max_length + 1):
            ended += ways * dense[length][:, 0]
            ways = ways @ dense[length]
            ways[0] = 0.0
        distributions["first"][first] += ended.sum()
        distributions["second"][second] += ended.sum()
        distributions["last"] += ended
    return {letter: values / values.sum() for letter, values in distributions.items()}
