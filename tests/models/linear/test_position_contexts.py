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


def test_the_place_is_the_position_with_the_longest_suffix_known_at_it(
    position_contexts: PositionContexts,
) -> None:
    known = {tuple(pair) for pair in position_contexts.pairs.tolist()}
    for position, state in itertools.product(range(3), range(len(position_contexts.trie))):
        trie = [
            s for s in position_contexts.trie.ancestors[state].tolist() if (s, position) in known
        ]
        place = position_contexts.locate(np.array([position]), np.array([state]))[0]
        if trie:
            assert position_contexts.pairs[place - 3].tolist() == [trie[-1], position]
        else:
            assert place == position


def test_positions_past_the_last_count_as_the_last(position_contexts: PositionContexts) -> None:
    states = np.arange(len(position_contexts.trie))
    last, beyond = (position_contexts.locate(np.full(len(states), at), states) for at in (2, 50))
    assert np.array_equal(last, beyond)


def test_pairs_are_found_and_what_is_no_pair_is_not(position_contexts: PositionContexts) -> None:
    states, positions = position_contexts.pairs.T
    assert np.array_equal(
        position_contexts.find_pairs(positions, states), np.arange(len(position_contexts.pairs))
    )
    assert position_contexts.find_pairs(np.array([0, 2]), np.array([-1, 0])).tolist() == [-1, -1]


def test_a_block_holds_the_pairs_with_suffixes_of_its_length(
    position_contexts: PositionContexts,
) -> None:
    lengths = (position_contexts.trie.ancestors[position_contexts.pairs[:, 0]] >= 0).sum(axis=1)
    for length in (1, 2, 3, 4):
        assert (lengths[position_contexts.block(length)] == length).all()
    assert sum(
        position_contexts.block(length).stop - position_contexts.block(length).start
        for length in (1, 2, 3)
    ) == (len(position_contexts.pairs))


@pytest.mark.parametrize(
    ("pairs", "reason"),
    [
        ([(1, 3)], "a place has a position that does not exist"),
        ([(4, 0)], "a place has a suffix that does not exist"),
        ([(2, 0), (1, 0)], "the places are out of order"),
        ([(1, 1), (1, 1)], "the places are out of order"),
    ],
)
def test_pairs_that_make_no_places_are_refused(pairs: list[tuple[int, int]], reason: str) -> None:
    characters = ContextTrie(4, 1, np.empty((0, 2), dtype=np.intp))
    with pytest.raises(ValueError, match=reason):
        PositionContexts(3, characters, np.array(pairs))
