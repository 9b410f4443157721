"""Feature map: the rows of the weights that a context switches on.

It combines an architecture with the contexts that a list has shown. Contexts that the features
cannot distinguish have the same key and switch on the same rows.
"""

from itertools import accumulate, pairwise

import numpy as np

from models.arrays import Ints, Weights, array_dataclass
from models.counts.context_counts import ContextCounts
from models.counts.context_trie import ContextTrie, frequent_keys
from models.counts.transitions import Contexts
from models.lazy_property import lazy
from models.linear.features import (
    ARCHITECTURES,
    MAX_POSITIONS,
    Architecture,
    Feature,
    Inputs,
    Position,
)
from models.linear.position_contexts import PositionContexts

MAX_CONTEXT_WEIGHTS = 2**22  # weights besides those of the last character: 16 MB of a checkpoint


@array_dataclass
class FeatureMap:
    """A named architecture over known contexts, with one block of rows for each feature.

    positions: the number of positions that the position features distinguish
    """

    architecture: str
    positions: int
    position_contexts: PositionContexts

    @classmethod
    def from_arrays(
        cls, architecture: str, tokens: int, positions: int, extensions: Ints, pairs: Ints
    ) -> "FeatureMap":
        """Return the feature map of an architecture over the known contexts.

        extensions: (n, 2), of the `ContextTrie`
        pairs: (n, 2), of the `PositionContexts`

        Raises ValueError if the number of positions is out of range, or if the arrays are not
        valid or have contexts that the architecture does not look at.
        """
        if not 1 <= positions <= MAX_POSITIONS:
            raise ValueError(f"{positions} positions, expected 1 to {MAX_POSITIONS}")
        features = ARCHITECTURES[architecture].position_features
        trie = ContextTrie(tokens, ARCHITECTURES[architecture].order, extensions)
        position_contexts = PositionContexts(positions if features else 1, trie, pairs)
        lengths = [f.last for f in features if isinstance(f, Position) and f.last]
        blocks = map(position_contexts.pairs_of_length, lengths)
        if sum(block.stop - block.start for block in blocks) != len(pairs):
            raise ValueError(f"position contexts that {architecture} does not look at")
        return cls(architecture, positions, position_contexts)

    @classmethod
    def from_counts(
        cls, architecture: str, tokens: int, positions: int, counts: ContextCounts
    ) -> "FeatureMap":
        """Return the feature map with a row for every context in the counts.

        If these rows would have more than MAX_CONTEXT_WEIGHTS weights, the rarest contexts get no
        row. Raises ValueError if the order of the counts is lower than that of the architecture.

        >>> from models.counts.context_counts import count
        >>> from models.counts.transitions import transitions
        >>> from models.text.vocabulary import Vocabulary
        >>> vocabulary = Vocabulary.of(["emma", "ava"])
        >>> counts = count(transitions(vocabulary.encode(["emma", "ava"]), order=1))
        >>> FeatureMap.from_counts("positional", len(vocabulary), 23, counts).shape
        (28, 5)
        """
        minimum = 1
        while True:
            trie = _known_suffixes(ARCHITECTURES[architecture], tokens, counts, minimum)
            # Checked before any table of (states, tokens) is made.
            if len(extensions := trie.extensions) * tokens <= MAX_CONTEXT_WEIGHTS:
                pairs = _known_pairs(ARCHITECTURES[architecture], trie, positions, counts, minimum)
                feature_map = cls.from_arrays(architecture, tokens, positions, extensions, pairs)
                nothing_to_leave_out = not len(extensions) + len(pairs)
                if feature_map.num_context_weights <= MAX_CONTEXT_WEIGHTS or nothing_to_leave_out:
                    return feature_map
            minimum *= 2

    @property
    def features(self) -> tuple[Feature, ...]:
        """The features of the architecture, in the order of their row blocks."""
        return ARCHITECTURES[self.architecture].features

    @lazy
    def row_blocks(self) -> list[slice]:
        """The rows of each feature."""
        sizes = [feature.size(self.position_contexts) for feature in self.features]
        return [slice(*ends) for ends in pairwise(accumulate(sizes, initial=0))]

    @property
    def shape(self) -> tuple[int, int]:
        """The shape of the weights, (rows, tokens)."""
        return self.row_blocks[-1].stop, self.position_contexts.trie.tokens

    @property
    def num_context_weights(self) -> int:
        """The number of weights besides those of the last character."""
        rows, tokens = self.shape
        return (rows - tokens) * tokens

    @lazy
    def state_inputs(self) -> Inputs:
        """The rows that each state switches on by its last characters, (states, width)."""
        features = ARCHITECTURES[self.architecture].character_features
        return self._inputs(len(self.position_contexts.trie), features)

    @lazy
    def position_inputs(self) -> Inputs:
        """The rows that each position context switches on, (position contexts, width)."""
        features = ARCHITECTURES[self.architecture].position_features
        return self._inputs(len(self.position_contexts), features)

    def context_keys(self, contexts: Contexts) -> Ints:
        """Return a number for each of n contexts, (n,), equal for equal inputs."""
        states = self.position_contexts.trie.locate(contexts.history)
        position_contexts = self.position_contexts.locate(contexts.positions, states)
        return states * len(self.position_contexts) + position_contexts

    def inputs(self, keys: Ints) -> Inputs:
        """Return the rows that the contexts with n keys switch on, (n, width)."""
        states, position_contexts = np.divmod(keys, len(self.position_contexts))
        by_state, by_position = self.state_inputs, self.position_inputs
        rows = np.hstack([by_state[0][states], by_position[0][position_contexts]])
        values = np.hstack([by_state[1][states], by_position[1][position_contexts]])
        return rows, values

    def merge_tokens(self, keys: Ints, representatives: Ints) -> Ints:
        """Return n keys with each one-token state replaced by that of its representative, (n,).

        representatives: (tokens,)
        """
        states, position_contexts = np.divmod(keys, len(self.position_contexts))
        single = states < len(representatives)
        states[single] = representatives[states[single]]
        return states * len(self.position_contexts) + position_contexts

    def repeat_last_position(self, weights: Weights, last_reached: int) -> Weights:
        """Return the weights with the row of the last reached position copied to later positions.

        No name reaches the later positions, so training leaves their rows at the random start.
        """
        filled = weights.copy()
        for feature, block in zip(self.features, self.row_blocks, strict=True):
            if isinstance(feature, Position) and not feature.last:
                rows = filled[block]
                rows[last_reached + 1 :] = rows[last_reached : last_reached + 1]
        return filled

    def _inputs(self, number: int, features: tuple[Feature, ...]) -> Inputs:
        """Return the rows that `features` switch on, for `number` states or position contexts.

        Either all features look at states, or all look at position contexts.
        """
        rows, values = [np.empty((number, 0), dtype=np.intp)], [np.empty((number, 0))]
        for feature, block in zip(self.features, self.row_blocks, strict=True):
            if feature in features:
                row, value = feature.inputs(self.position_contexts)
                rows.append(np.where(value != 0, block.start + row, 0))
                values.append(value)
        return np.hstack(rows), np.hstack(values)


def _known_suffixes(
    architecture: Architecture, tokens: int, counts: ContextCounts, minimum: int
) -> ContextTrie:
    """Return the suffixes that occur at least `minimum` times in the counts.

    Raises ValueError if the order of the counts is lower than that of the architecture.
    """
    history = counts.transitions.contexts.history
    if history.shape[1] < architecture.order:
        raise ValueError(
            f"counts of order {history.shape[1]}; the architecture needs {architecture.order}"
        )
    return ContextTrie.from_counts(tokens, history[:, : architecture.order], counts.counts, minimum)


def _known_pairs(
    architecture: Architecture,
    trie: ContextTrie,
    positions: int,
    counts: ContextCounts,
    minimum: int,
) -> Ints:
    """Return the pairs of a state and a position that occur at least `minimum` times, (n, 2)."""
    contexts = counts.transitions.contexts
    clamped = np.minimum(contexts.positions, positions - 1)
    ancestors = trie.ancestors[trie.locate(contexts.history)]
    pairs = [np.empty((0, 2), dtype=np.intp)]
    for feature in architecture.position_features:
        if isinstance(feature, Position) and feature.last:
            states = ancestors[:, feature.last - 1]
            keys = np.where(states < 0, -1, states * positions + clamped)
            known = frequent_keys(keys, counts.counts, minimum)
            pairs.append(np.column_stack(np.divmod(known, positions)))
    return np.vstack(pairs)
