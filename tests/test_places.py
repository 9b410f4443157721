import itertools

import numpy as np
import pytest

from models.counts import count
from models.layout import Layout
from models.places import Places
from models.suffixes import Suffixes
from models.transitions import transitions
from models.vocabulary import Vocabulary

NAMES = ["ab", "abc", "cabba", "bacab", "aaa"]


@pytest.fixture
def places() -> Places:
    counts = count(transitions(Vocabulary("abc").encode(NAMES), order=4))
    return Layout.seen("fivegram", 4, 3, counts).places


def test_the_place_is_the_position_with_the_longest_suffix_known_at_it(places: Places) -> None:
    known = {tuple(pair) for pair in places.pairs.tolist()}
    for position, state in itertools.product(range(3), range(len(places.suffixes))):
        suffixes = [s for s in places.suffixes.ancestors[state].tolist() if (s, position) in known]
        place = places.locate(np.array([position]), np.array([state]))[0]
        if suffixes:
            assert places.pairs[place - 3].tolist() == [suffixes[-1], position]
        else:
            assert place == position


def test_positions_past_the_last_count_as_the_last(places: Places) -> None:
    states = np.arange(len(places.suffixes))
    last, beyond = (places.locate(np.full(len(states), at), states) for at in (2, 50))
    assert np.array_equal(last, beyond)


def test_pairs_are_found_and_what_is_no_pair_is_not(places: Places) -> None:
    states, positions = places.pairs.T
    assert np.array_equal(places.find_pairs(positions, states), np.arange(len(places.pairs)))
    assert places.find_pairs(np.array([0, 2]), np.array([-1, 0])).tolist() == [-1, -1]


def test_a_block_holds_the_pairs_with_suffixes_of_its_length(places: Places) -> None:
    lengths = (places.suffixes.ancestors[places.pairs[:, 0]] >= 0).sum(axis=1)
    for length in (1, 2, 3, 4):
        assert (lengths[places.block(length)] == length).all()
    assert sum(places.block(length).stop - places.block(length).start for length in (1, 2, 3)) == (
        len(places.pairs)
    )


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
    characters = Suffixes(4, 1, np.empty((0, 2), dtype=np.intp))
    with pytest.raises(ValueError, match=reason):
        Places(3, characters, np.array(pairs))
