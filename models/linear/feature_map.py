"""What each row of the weights means: an architecture laid out over what a list has shown.

Contexts that a model cannot tell apart have the same key and switch on the same rows.
"""

from itertools import accumulate, pairwise

import numpy as np

from models.arrays import Ints, Weights, array_dataclass
from models.counts.context_counts import ContextCounts
from models.counts.context_trie import ContextTrie, often
from models.counts.transitions import Contexts
from models.lazy import lazy
from models.linear.features import (
    ARCHITECTURES,
    MAX_POSITIONS,
    Architecture,
    Feature,
    Inputs,
    Position,
)
from models.linear.position_contexts import PositionContexts

MAX_WEIGHTS = 2**22  # beyond those of the last character: 16 MB of a checkpoint


@array_dataclass
class FeatureMap:
    """An architecture and what it knows: one block of rows for each feature.

    name: of the architecture
    positions: how many positions are told apart, by the features that look at them
    """

    name: str
    positions: int
    position_contexts: PositionContexts

    @classmethod
    def of(cls, name: str, tokens: int, positions: int, trie: Ints, pairs: Ints) -> "FeatureMap":
        """An architecture over the suffixes and pairs that are known.

        Raises ValueError if there are too few or too many positions, or if the rest
        does not make suffixes and places.
        """
        if not 1 <= positions <= MAX_POSITIONS:
            raise ValueError(f"{positions} positions, expected 1 to {MAX_POSITIONS}")
        architecture = ARCHITECTURES[name]
        known = ContextTrie(tokens, architecture.order, trie)
        feature_map = cls(
            name, positions, PositionContexts(positions if architecture.place else 1, known, pairs)
        )
        with_last = [f for f in architecture.place if isinstance(f, Position) and f.last]
        if sum(feature.size(feature_map.position_contexts) for feature in with_last) != len(pairs):
            raise ValueError(f"a place that {name} does not look at")
        return feature_map

    @classmethod
    def from_counts(
        cls, name: str, tokens: int, positions: int, counts: ContextCounts
    ) -> "FeatureMap":
        """An architecture with a row for whatever the counts show.

        What they show too seldom gets none if there would be more than MAX_WEIGHTS.
        """
        minimum = 1
        while True:
            trie = _seen_suffixes(ARCHITECTURES[name], tokens, counts, minimum)
            if len(trie.extensions) * tokens > MAX_WEIGHTS:
                minimum *= 2  # before anything is made with a cell for each state and token
                continue
            pairs = _seen_pairs(ARCHITECTURES[name], trie, positions, counts, minimum)
            feature_map = cls.of(name, tokens, positions, trie.extensions, pairs)
            if feature_map.num_context_weights <= MAX_WEIGHTS or not len(trie.extensions) + len(
                pairs
            ):
                return feature_map
            minimum *= 2

    @property
    def features(self) -> tuple[Feature, ...]:
        """What it looks at, in the order of the blocks."""
        return ARCHITECTURES[self.name].features

    @lazy
    def blocks(self) -> list[slice]:
        """The rows of each feature."""
        sizes = [feature.size(self.position_contexts) for feature in self.features]
        return [slice(*ends) for ends in pairwise(accumulate(sizes, initial=0))]

    @property
    def shape(self) -> tuple[int, int]:
        """The shape of the weights, (rows, tokens)."""
        return self.blocks[-1].stop, self.position_contexts.trie.tokens

    @property
    def num_context_weights(self) -> int:
        """How many weights there are beyond those of the last character."""
        rows, tokens = self.shape
        return (rows - tokens) * tokens

    @lazy
    def state_inputs(self) -> Inputs:
        """What each state switches on by its last characters, (states, width)."""
        return self._inputs(len(self.position_contexts.trie), ARCHITECTURES[self.name].last)

    @lazy
    def position_inputs(self) -> Inputs:
        """What each place switches on, (places, width)."""
        return self._inputs(len(self.position_contexts), ARCHITECTURES[self.name].place)

    def keys(self, contexts: Contexts) -> Ints:
        """A number for each of n contexts, (n,): the same for those that look the same."""
        states = self.position_contexts.trie.locate(contexts.history)
        return states * len(self.position_contexts) + self.position_contexts.locate(
            contexts.positions, states
        )

    def inputs(self, keys: Ints) -> Inputs:
        """All that contexts with these keys switch on, (n, width)."""
        states, position_contexts = np.divmod(keys, len(self.position_contexts))
        (last, value), (place, place_value) = self.state_inputs, self.position_inputs
        return np.hstack([last[states], place[position_contexts]]), np.hstack(
            [value[states], place_value[position_contexts]]
        )

    def merge(self, keys: Ints, representatives: Ints) -> Ints:
        """The keys, (n,), with each state of one token replaced by that of its representative."""
        states, position_contexts = np.divmod(keys, len(self.position_contexts))
        single = states < len(representatives)
        states[single] = representatives[states[single]]
        return states * len(self.position_contexts) + position_contexts

    def repeat_last_position(self, weights: Weights, reached: int) -> Weights:
        """Give the positions beyond the last that names reach the row of that one.

        Training leaves them as it found them: random, or zero.
        """
        filled = weights.copy()
        for feature, block in zip(self.features, self.blocks, strict=True):
            if isinstance(feature, Position) and not feature.last:
                rows = filled[block]
                rows[reached + 1 :] = rows[reached : reached + 1]
        return filled

    def _inputs(self, keys: int, features: tuple[Feature, ...]) -> Inputs:
        """What so many states, or places, switch on by these features."""
        rows, values = [np.empty((keys, 0), dtype=np.intp)], [np.empty((keys, 0))]
        for feature, block in zip(self.features, self.blocks, strict=True):
            if feature in features:
                row, value = feature.inputs(self.position_contexts)
                rows.append(np.where(value != 0, block.start + row, 0))
                values.append(value)
        return np.hstack(rows), np.hstack(values)


def _seen_suffixes(
    architecture: Architecture, tokens: int, counts: ContextCounts, minimum: int
) -> ContextTrie:
    """The suffixes that are in the counts at least so many times."""
    history = counts.steps.contexts.history
    if history.shape[1] < architecture.order:
        raise ValueError(f"contexts of {history.shape[1]} characters are too short")
    return ContextTrie.from_counts(tokens, history[:, : architecture.order], counts.counts, minimum)


def _seen_pairs(
    architecture: Architecture,
    trie: ContextTrie,
    positions: int,
    counts: ContextCounts,
    minimum: int,
) -> Ints:
    """The suffixes at a position that are in the counts at least so many times."""
    at = np.minimum(counts.steps.contexts.positions, positions - 1)
    states = trie.ancestors[trie.locate(counts.steps.contexts.history)]
    pairs = [np.empty((0, 2), dtype=np.intp)]
    for feature in architecture.place:
        if isinstance(feature, Position) and feature.last:
            state = states[:, feature.last - 1]
            known = often(np.where(state < 0, -1, state * positions + at), counts.counts, minimum)
            pairs.append(np.column_stack(np.divmod(known, positions)))
    return np.vstack(pairs)
