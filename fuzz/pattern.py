"""Patterns: refused with a reason, or compiled to what fnmatch says of names."""

import re
from fnmatch import fnmatchcase
from itertools import product

from models.constraints.automaton import DEAD, Automaton
from models.constraints.constraints import ConstraintError, TooComplexError
from models.constraints.glob import min_match_length, pattern_automaton
from models.text.vocabulary import Vocabulary

LONGEST = 256  # characters of a pattern that the service reads
SIGNS = Vocabulary("!-]aé", keep_case=True)  # with what has a meaning in brackets
NAMES = [
    "".join(letters) for length in range(4) for letters in product(SIGNS.characters, repeat=length)
]
# A bracket closes at the first ] that is not its first character, behind a ! if there is one.
CLOSED = re.compile(r"(?:[^\[]|\[!?+.[^\]]*+\])*+", re.DOTALL)
RANGE = re.compile(r"(?=(.)-(.))", re.DOTALL)


def check(data: bytes) -> None:
    """Read a pattern, which need not be UTF-8."""
    pattern = data.decode(errors="surrogateescape")[:LONGEST]
    read = SIGNS.fold(pattern)
    try:
        automaton = pattern_automaton(pattern, SIGNS)
    except TooComplexError:
        assert "*" in pattern
        return
    except ConstraintError:
        backwards = any(first > last for first, last in RANGE.findall(read))
        assert backwards or "[^" in read or "[!^" in read or not CLOSED.fullmatch(read)
        return
    assert CLOSED.fullmatch(read)
    allowed = [name for name in NAMES if _allows(automaton, name)]
    assert allowed == [name for name in NAMES if fnmatchcase(name, read)], allowed
    assert all(len(name) >= min_match_length(pattern, SIGNS) for name in allowed)


def _allows(automaton: Automaton, name: str) -> bool:
    state = 0
    for character in name:
        token = SIGNS.characters.index(character) + 1
        state = int(automaton.next_states[state, automaton.classes[token]])
        if state == DEAD:
            return False
    return bool(automaton.accepting[state])
