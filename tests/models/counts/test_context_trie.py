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


def trie_of(names: list[str], minimum: int = 1, order: int = 4) -> ContextTrie:
    counts = count(transitions(LETTERS.encode(names), order))
    return ContextTrie.from_counts(4, counts.transitions.contexts.history, counts.counts, minimum)


def suffixes(trie: ContextTrie) -> list[tuple[int, ...]]:
    """Return the tokens of each state, nearest first."""
    states: list[tuple[int, ...]] = [(token,) for token in range(trie.tokens)]
    for parent, farthest in trie.extensions.tolist():
        states.append((*states[parent], farthest))
    return states


def suffixes_in(name: str) -> list[tuple[int, ...]]:
    """Return the suffixes of all prefixes of a name, nearest first, with the boundary before it."""
    tokens = [BOUNDARY, *(LETTERS.characters.index(c) + 1 for c in name)]
    prefixes = [tokens[: t + 1][::-1] for t in range(len(tokens))]
    return [tuple(b[:length]) for b in prefixes for length in range(1, min(4, len(b)) + 1)]


@given(lists)
def test_the_states_are_all_characters_and_all_suffixes_in_the_list(names: list[str]) -> None:
    expected = {(token,) for token in range(4)}.union(*map(suffixes_in, names))
    states = suffixes(trie_of(names))
    assert len(states) == len(set(states))
    assert set(states) == expected


@given(lists, st.integers(1, 4))
def test_a_history_is_located_at_its_longest_known_suffix(names: list[str], minimum: int) -> None:
    trie = trie_of(names, minimum)
    states = suffixes(trie)
    histories = np.array(list(itertools.product(range(4), repeat=4)))
    started = (histories[:, 1:] == 0) | (histories[:, :-1] != 0)  # only boundaries before the start
    histories = histories[started.all(axis=1)]
    for history, state in zip(histories.tolist(), trie.locate(histories), strict=True):
        # A state has the boundary once, however often it fills the history.
        history = history[: history.index(0) + 1] if 0 in history else history
        known = [s for s in states if s == tuple(history[: len(s)])]
        assert states[state] == max(known, key=len)


@given(lists, st.integers(1, 3))
def test_the_next_state_is_the_longest_known_suffix(names: list[str], minimum: int) -> None:
    trie = trie_of(names, minimum)
    states = suffixes(trie)
    for state, token in itertools.product(range(len(states)), range(4)):
        after = (token, *states[state]) if token != BOUNDARY else (BOUNDARY,)
        known = [s for s in states if s == after[: len(s)]]
        assert states[trie.next_states[state, token]] == max(known, key=len)
    assert (trie.next_states[:, BOUNDARY] == START).all()


@given(lists, st.integers(2, 4))
def test_suffixes_rarer_than_the_minimum_are_not_known(names: list[str], minimum: int) -> None:
    found = [suffix for name in names for suffix in suffixes_in(name)]
    frequent = {s for s in found if found.count(s) >= minimum or len(s) == 1}
    assert set(suffixes(trie_of(names, minimum))) == frequent | {(token,) for token in range(4)}


def test_counts_of_no_list_make_a_trie_whose_states_are_all_reachable() -> None:
    # As in a foreign table: `abc` is a history, but `ab` is never followed by `c`.
    history = np.array([[3, 2, 1, 0], [0, 0, 0, 0]])
    trie = ContextTrie.from_counts(4, history, np.array([5, 5]), minimum=1)
    assert (3, 2) in suffixes(trie)
    assert (3, 2, 1) not in suffixes(trie)


def test_the_ancestors_of_a_state_are_its_shorter_suffixes() -> None:
    trie = trie_of(["abca", "cab"])
    states = suffixes(trie)
    for state, ancestors in zip(states, trie.ancestors.tolist(), strict=True):
        shorter = [states[a] for a in ancestors if a >= 0]
        assert shorter == [state[:length] for length in range(1, len(state) + 1)]


@pytest.mark.parametrize(
    ("extensions", "reason"),
    [
        ([(1, 4)], "a context has a token outside the vocabulary"),
        ([(1, -1)], "a context has a token outside the vocabulary"),
        ([(4, 1)], "the contexts are out of order"),
        ([(1, 2), (1, 1)], "the contexts are out of order"),
        ([(1, 2), (1, 2)], "the contexts are out of order"),
        ([(0, 1)], "a context has a character before the start of the name"),
        ([(1, 0), (4, 1)], "a context has a character before the start of the name"),
        ([(1, 1), (4, 1), (5, 1)], "a context has more than 3 characters"),
        ([(1, 1), (4, 2)], "a context is known without its prefix"),
    ],
)
def test_extensions_that_make_no_trie_are_rejected(
    extensions: list[tuple[int, int]], reason: str
) -> None:
    with pytest.raises(ValueError, match=reason):
        ContextTrie(4, 3, np.array(extensions))
