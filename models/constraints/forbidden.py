"""Names without forbidden substrings: the automaton of Aho and Corasick (1975).

A state is the longest end of the name so far that some forbidden word begins with.
"""

from collections import deque
from collections.abc import Iterable
from unicodedata import normalize as unicode_form

import numpy as np

from models.arrays import Ints
from models.constraints.automaton import NOWHERE, Automaton
from models.constraints.constraints import TooComplexError
from models.text.normalization import normalize, normalize_part
from models.text.vocabulary import Vocabulary

DOTTED = "i\N{COMBINING DOT ABOVE}"
MAX_STATES = 2**16  # of the automaton: about as many as the words have characters
MAX_CELLS = 2**24  # of the table of moves, 64 MB: of states times different letters


def without_substrings(words: Iterable[str], vocabulary: Vocabulary) -> Automaton | None:
    """Allows the names in which no word occurs, in whatever case; None if no word can occur.

    Words are normalised like parts of names; a capital I stands for i with and without a
    dot. An empty word occurs in every name, one of invisible characters alone in none.
    Raises TooComplexError if the words are too long in all.
    """
    folded = [_caseless(character) for character in vocabulary.characters]
    possible = {read for word in words for read in _readings(word) if set(read) <= set(folded)}
    if not possible:
        return None
    letters = sorted(set("".join(possible)))
    alphabet = {letter: number for number, letter in enumerate(letters, start=1)}
    limit = min(MAX_STATES, MAX_CELLS // (len(alphabet) + 1))
    trie, forbidden = _trie([[alphabet[c] for c in word] for word in sorted(possible)], limit)
    classes = np.array([0, *(alphabet.get(letter, 0) for letter in folded)])
    moves = _moves(trie, forbidden, len(alphabet))
    return Automaton(classes, moves, ~np.array(forbidden))


def _moves(trie: list[dict[int, int]], forbidden: list[bool], letters: int) -> Ints:
    """The state after each letter, and after any other as letter 0: (states, letters + 1).

    Also forbids the states that a shorter word is the end of.
    """
    moves: Ints = np.zeros((len(trie), letters + 1), dtype=np.int32)  # back to the beginning
    fallback = [0] * len(trie)  # the next longest such end
    waiting = deque([0])
    while waiting:
        state = waiting.popleft()
        if state:
            moves[state] = moves[fallback[state]]
        for letter, extensions in trie[state].items():
            fallback[extensions] = int(moves[state, letter])
            forbidden[extensions] |= forbidden[fallback[extensions]]
            moves[state, letter] = extensions
            waiting.append(extensions)
    moves[np.array(forbidden)[moves]] = NOWHERE
    return moves


def _readings(word: str) -> set[str]:
    """The word as vocabularies of all kinds read it, without case."""
    # U+0130 is a plain i in lower case, but an i with an accent in lists from other software.
    composed = unicode_form("NFC", word)
    forms = {word, composed.replace(DOTTED, "i"), composed.replace("\u0130", DOTTED)}
    read = {normalize_part(form) for form in forms} | {
        normalize_part(form, turkish=True) for form in forms
    }
    # Capitals too: some letters and their accents have a composed form in lower case alone.
    read |= {normalize_part(form, keep_case=True) for form in (word, _capitals(word))}
    return {_caseless(one) for one in read if one or not word}


def _capitals(word: str) -> str:
    """The word in capitals, unless that takes other letters, as it does of a sharp s."""
    capitals = word.upper()
    sizes = [len(unicode_form("NFD", form)) for form in (word, capitals)]
    return capitals if sizes[0] == sizes[1] else word


def _caseless(text: str) -> str:
    """The text as what it shares with all its cases, as long as it is."""
    return "".join(map(_caseless_character, text))


def _caseless_character(character: str) -> str:
    # Case folding alone would lengthen some, lower case alone leave two kinds of sigma.
    forms = (character.casefold(), normalize(character))
    return next((form for form in forms if len(form) == 1), character)


def _trie(words: list[list[int]], limit: int) -> tuple[list[dict[int, int]], list[bool]]:
    """The beginnings of words: where each leads with a further letter, and whether it is a word."""
    trie: list[dict[int, int]] = [{}]
    forbidden = [False]
    for word in words:
        state = 0
        for letter in word:
            if letter not in trie[state]:
                trie[state][letter] = len(trie)
                trie.append({})
                forbidden.append(False)
            state = trie[state][letter]
        forbidden[state] = True
        if len(trie) > limit:
            message = f"It takes an automaton of more than {limit:,} states"
            raise TooComplexError(message, "exclude")
    return trie, forbidden
