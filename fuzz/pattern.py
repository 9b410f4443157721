"""Fuzz target: a pattern raises ConstraintError, or matches the names that fnmatch matches."""

import re
from fnmatch import fnmatchcase
from itertools import product

from models.constraints.automaton import DEAD, Automaton
from models.constraints.constraints import ConstraintError, TooComplexError
from models.constraints.glob import min_match_length, pattern_automaton
from models.text.vocabulary import Vocabulary

MAX_PATTERN_LENGTH = 256  # characters, the limit of the service
SIGNS = Vocabulary("!-]aé", keep_case=True)  # with the characters that are special in brackets
NAMES = [
    "".join(letters) for length in range(4) for letters in product(SIGNS.characters, repeat=length)
]
# A bracket closes at the first ] that is not its first character, after a ! if there is one.
CLOSED = re.compile(r"(?:[^\[]|\[!?+.[^\]]*+\])*+", re.DOTALL)
RANGE = re.compile(r"(?=(.)-(.))", re.DOTALL)


def check(data: bytes) -> None:
    """Check a pattern, which may be invalid UTF-8."""
    pattern = data.decode(errors="surrogateescape")[:MAX_PATTERN_LENGTH]
    folded = SIGNS.normalize_part(pattern)
    try:
        automaton = pattern_automaton(pattern, SIGNS)
    except TooComplexError:
        assert "*" in pattern
        return
    except ConstraintError:
        backwards = any(first > last for first, last in RANGE.findall(folded))
        assert backwards or "[^" in folded or "[!^" in folded or not CLOSED.fullmatch(folded)
        return
    assert CLOSED.fullmatch(folded)
    allowed = [name for name in NAMES if _allows(automaton, name)]
    assert allowed == [name for name in NAMES if fnmatchcase(name, folded)], allowed
    assert all(len(name) >= min_match_length(pattern, SIGNS) for name in allowed)


def _allows(automaton: Automaton, name: str) -> bool:
    state = 0
    for character in name:
        token = SIGNS.characters.index(character) + 1
        state = int(automaton.next_states[state, automaton.classes[token]])
        if state == DEAD:
            return False
    return bool(automaton.accepting[state])
