import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.counts.context_counts import count
from models.counts.context_trie import START, ContextTrie
from models.counts.transitions import transitions
from models.text.vocabulary import BOUNDARY, Vocabulary

LETTERS = Vocabulary("abc")
lists = st.lists(st.text("abc", min_size=1), min_size=1, max_size=8)


def seen(names: list[str], minimum: int = 1, order: int = 4) -> ContextTrie:
    counts = count(transitions(LETTERS.encode(names), order))
    return ContextTrie.from_counts(4, counts.steps.contexts.history, counts.counts, minimum)


def spelled(trie: ContextTrie) -> list[tuple[int, ...]]:
    """The tokens of each state, the nearest first."""
    states: list[tuple[int, ...]] = [(token,) for token in range(trie.tokens)]
    for parent, farthest in trie.extensions.tolist():
        states.append((*states[parent], farthest))
    return states


def ends(name: str) -> list[tuple[int, ...]]:
    """The suffixes of the beginnings of a name, nearest first, with the boundary before it."""
    tokens = [BOUNDARY, *(LETTERS.characters.index(c) + 1 for c in name)]
    beginnings = [tokens[: t + 1][::-1] for t in range(len(tokens))]
    return [tuple(b[:length]) for b in beginnings for length in range(1, min(4, len(b)) + 1)]


@given(lists)
def test_the_states_are_the_characters_and_all_that_was_seen(names: list[str]) -> None:
    expected = {(token,) for token in range(4)}.union(*map(ends, names))
    states = spelled(seen(names))
    assert len(states) == len(set(states))
    assert set(states) == expected


@given(lists, st.integers(1, 4))
def test_a_history_leads_to_its_longest_known_suffix(names: list[str], minimum: int) -> None:
    trie = seen(names, minimum)
    states = spelled(trie)
    histories = np.array(list(itertools.product(range(4), repeat=4)))
    started = (histories[:, 1:] == 0) | (histories[:, :-1] != 0)  # nothing before the start
    histories = histories[started.all(axis=1)]
    for history, state in zip(histories.tolist(), trie.locate(histories), strict=True):
        # The boundary is there once, whatever fills the history before it.
        history = history[: history.index(0) + 1] if 0 in history else history
        known = [s for s in states if s == tuple(history[: len(s)])]
        assert states[state] == max(known, key=len)


@given(lists, st.integers(1, 3))
def test_a_step_leads_to_the_longest_known_suffix(names: list[str], minimum: int) -> None:
    trie = seen(names, minimum)
    states = spelled(trie)
    for state, token in itertools.product(range(len(states)), range(4)):
        after = (token, *states[state]) if token != BOUNDARY else (BOUNDARY,)
        known = [s for s in states if s == after[: len(s)]]
        assert states[trie.next_states[state, token]] == max(known, key=len)
    assert (trie.next_states[:, BOUNDARY] == START).all()


@given(lists, st.integers(2, 4))
def test_what_is_there_too_seldom_is_not_known(names: list[str], minimum: int) -> None:
    every = [end for name in names for end in ends(name)]
    often = {end for end in every if every.count(end) >= minimum or len(end) == 1}
    assert set(spelled(seen(names, minimum))) == often | {(token,) for token in range(4)}


def test_counts_of_no_list_make_states_that_can_all_be_reached() -> None:
    # As of a table from elsewhere: that `abc` goes on, but not that `ab` is followed by `c`.
    history = np.array([[3, 2, 1, 0], [0, 0, 0, 0]])
    trie = ContextTrie.from_counts(4, history, np.array([5, 5]), minimum=1)
    assert (3, 2) in spelled(trie)
    assert (3, 2, 1) not in spelled(trie)


def test_each_state_knows_its_shorter_suffixes() -> None:
    trie = seen(["abca", "cab"])
    states = spelled(trie)
    for state, ancestors in zip(states, trie.ancestors.tolist(), strict=True):
        of_this = [states[a] for a in ancestors if a >= 0]
        assert of_this == [state[:length] for length in range(1, len(state) + 1)]


@pytest.mark.parametrize(
    ("extensions", "reason"),
    [
        ([(1, 4)], "a suffix has a character that does not exist"),
        ([(1, -1)], "a suffix has a character that does not exist"),
        ([(4, 1)], "the suffixes are out of order"),
        ([(1, 2), (1, 1)], "the suffixes are out of order"),
        ([(1, 2), (1, 2)], "the suffixes are out of order"),
        ([(0, 1)], "a suffix goes on before the start of the name"),
        ([(1, 0), (4, 1)], "a suffix goes on before the start of the name"),
        ([(1, 1), (4, 1), (5, 1)], "a suffix has more than 3 characters"),
        ([(1, 1), (4, 2)], "a suffix is known without what comes before its last character"),
    ],
)
def test_pairs_that_make_no_suffixes_are_refused(
    extensions: list[tuple[int, int]], reason: str
) -> None:
    with pytest.raises(ValueError, match=reason):
        ContextTrie(4, 3, np.array(extensions))
