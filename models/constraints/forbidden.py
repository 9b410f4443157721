"""Automaton of the names without forbidden substrings: Aho and Corasick (1975).

A state is a node of the trie of the forbidden substrings: the longest suffix of the name so far
that is a prefix of one of them.
"""

from collections import deque
from collections.abc import Iterable
from unicodedata import normalize as unicode_form

import numpy as np

from models.arrays import Ints
from models.constraints.automaton import DEAD, Automaton
from models.constraints.constraints import TooComplexError
from models.text.normalization import normalize, normalize_part
from models.text.vocabulary import Vocabulary

DOTTED = "i\N{COMBINING DOT ABOVE}"
MAX_EXCLUSION_STATES = 2**16  # about as many as the substrings have characters
MAX_EXCLUSION_CELLS = 2**24  # states times letters of the table of next states, 64 MB


def exclusion_automaton(substrings: Iterable[str], vocabulary: Vocabulary) -> Automaton | None:
    """Return an automaton of the names without these substrings, None if none of them can occur.

    Case is ignored. Substrings are normalised like parts of names; a capital I stands for i with
    and without a dot. The empty substring occurs in every name, one of invisible characters in
    none. Raises TooComplexError if the substrings together are too long.

    >>> automaton = exclusion_automaton(["AB", "x"], Vocabulary("abc"))
    >>> automaton.classes.tolist()  # of the boundary, a, b, c
    [0, 1, 2, 0]
    >>> automaton.next_states.tolist()  # after neither, a, ab; by class
    [[0, 1, 0], [0, 1, -1], [0, 1, 0]]
    """
    folded = [_caseless(character) for character in vocabulary.characters]
    possible = {
        form for substring in substrings for form in _forms(substring) if set(form) <= set(folded)
    }
    if not possible:
        return None
    letters = sorted(set("".join(possible)))
    alphabet = {letter: number for number, letter in enumerate(letters, start=1)}
    limit = min(MAX_EXCLUSION_STATES, MAX_EXCLUSION_CELLS // (len(alphabet) + 1))
    trie, forbidden = _trie([[alphabet[c] for c in form] for form in sorted(possible)], limit)
    classes = np.array([0, *(alphabet.get(letter, 0) for letter in folded)])
    next_states = _next_states(trie, forbidden, len(alphabet))
    return Automaton(classes, next_states, ~np.array(forbidden))


def _next_states(trie: list[dict[int, int]], forbidden: list[bool], letters: int) -> Ints:
    """Return the state after each letter, (states, letters + 1); letter 0 is any other character.

    Also marks the states as forbidden that have a forbidden substring as a suffix.
    """
    next_states: Ints = np.zeros((len(trie), letters + 1), dtype=np.int32)
    failure = [0] * len(trie)  # the state of the longest proper suffix
    queue = deque([0])
    while queue:
        state = queue.popleft()
        if state:
            next_states[state] = next_states[failure[state]]
        for letter, child in trie[state].items():
            failure[child] = int(next_states[state, letter])
            forbidden[child] |= forbidden[failure[child]]
            next_states[state, letter] = child
            queue.append(child)
    next_states[np.array(forbidden)[next_states]] = DEAD
    return next_states


def _forms(substring: str) -> set[str]:
    """Return a substring without case, as vocabularies with each rule of case normalise it."""
    # The lower case of U+0130 is a plain i here, but an i with an accent in other software.
    composed = unicode_form("NFC", substring)
    spellings = {substring, composed.replace(DOTTED, "i"), composed.replace("\u0130", DOTTED)}
    folded = {normalize_part(form) for form in spellings} | {
        normalize_part(form, turkish=True) for form in spellings
    }
    # Capitals too: some letters and their accents have a composed form in lower case alone.
    folded |= {normalize_part(form, keep_case=True) for form in (substring, _capitals(substring))}
    return {_caseless(form) for form in folded if form or not substring}


def _capitals(text: str) -> str:
    """Return a text in capitals, or as it is if capitals have more letters (sharp s)."""
    capitals = text.upper()
    sizes = [len(unicode_form("NFD", form)) for form in (text, capitals)]
    return capitals if sizes[0] == sizes[1] else text


def _caseless(text: str) -> str:
    """Return a text of the same length that is equal for all cases of the text."""
    return "".join(map(_caseless_character, text))


def _caseless_character(character: str) -> str:
    # casefold() alone lengthens some characters, lower case alone has two small sigmas.
    forms = (character.casefold(), normalize(character))
    return next((form for form in forms if len(form) == 1), character)


def _trie(substrings: list[list[int]], limit: int) -> tuple[list[dict[int, int]], list[bool]]:
    """Return the trie of substrings: each node's children by letter, and whether one ends there."""
    trie: list[dict[int, int]] = [{}]
    forbidden = [False]
    for substring in substrings:
        state = 0
        for letter in substring:
            if letter not in trie[state]:
                trie[state][letter] = len(trie)
                trie.append({})
                forbidden.append(False)
            state = trie[state][letter]
        forbidden[state] = True
        if len(trie) > limit:
            raise TooComplexError(
                f"The substrings need an automaton of more than {limit:,} states; "
                "exclude fewer or shorter ones",
                "exclude",
            )
    return trie, forbidden
