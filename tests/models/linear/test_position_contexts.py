import itertools

import numpy as np
import pytest

from models.counts.context_counts import count
from models.counts.context_trie import ContextTrie
from models.counts.transitions import transitions
from models.linear.feature_map import FeatureMap
from models.linear.position_contexts import PositionContexts
from models.text.vocabulary import Vocabulary

NAMES = ["ab", "abc", "cabba", "bacab", "aaa"]


@pytest.fixture
def position_contexts() -> PositionContexts:
    counts = count(transitions(Vocabulary("abc").encode(NAMES), order=4))
    return FeatureMap.from_counts("fivegram", 4, 3, counts).position_contexts


def test_a_context_is_located_at_its_longest_suffix_known_at_the_position(
    position_contexts: PositionContexts,
) -> None:
    known = {tuple(pair) for pair in position_contexts.pairs.tolist()}
    for position, state in itertools.product(range(3), range(len(position_contexts.trie))):
        ancestors = position_contexts.trie.ancestors[state].tolist()
        suffixes = [suffix for suffix in ancestors if (suffix, position) in known]
        located = position_contexts.locate(np.array([position]), np.array([state]))[0]
        if suffixes:
            assert position_contexts.pairs[located - 3].tolist() == [suffixes[-1], position]
        else:
            assert located == position


def test_later_positions_are_clamped_to_the_last(position_contexts: PositionContexts) -> None:
    states = np.arange(len(position_contexts.trie))
    last, later = (position_contexts.locate(np.full(len(states), p), states) for p in (2, 50))
    assert np.array_equal(last, later)


def test_known_pairs_are_found_and_unknown_pairs_are_not(
    position_contexts: PositionContexts,
) -> None:
    states, positions = position_contexts.pairs.T
    assert np.array_equal(
        position_contexts.find_pairs(positions, states), np.arange(len(position_contexts.pairs))
    )
    assert position_contexts.find_pairs(np.array([0, 2]), np.array([-1, 0])).tolist() == [-1, -1]


def test_pairs_of_a_length_have_states_of_this_length(
    position_contexts: PositionContexts,
) -> None:
    lengths = (position_contexts.trie.ancestors[position_contexts.pairs[:, 0]] >= 0).sum(axis=1)
    for length in (1, 2, 3, 4):
        assert (lengths[position_contexts.pairs_of_length(length)] == length).all()
    assert sum(
        position_contexts.pairs_of_length(length).stop
        - position_contexts.pairs_of_length(length).start
        for length in (1, 2, 3)
    ) == (len(position_contexts.pairs))


@pytest.mark.parametrize(
    ("pairs", "reason"),
    [
        ([(1, 3)], "a position context has a position that does not exist"),
        ([(4, 0)], "a position context has a state that does not exist"),
        ([(2, 0), (1, 0)], "the position contexts are out of order"),
        ([(1, 1), (1, 1)], "the position contexts are out of order"),
    ],
)
def test_invalid_pairs_are_rejected(pairs: list[tuple[int, int]], reason: str) -> None:
    trie = ContextTrie(4, 1, np.empty((0, 2), dtype=np.intp))
    with pytest.raises(ValueError, match=reason):
        PositionContexts(3, trie, np.array(pairs))
