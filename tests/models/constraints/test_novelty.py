import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from models.constraints.constraints import TooComplexError
from models.constraints.novelty import novelty_automaton
from models.text.vocabulary import Vocabulary
from tests.support.automata import allowed
from tests.support.oracle import all_names

ABC = Vocabulary("abc")
NAMES = ["", *all_names("abc", 5)]


@settings(max_examples=200)
@given(st.lists(st.text("abc", min_size=1, max_size=8), max_size=12))
@example([])
@example(["a", "a", "aa"])
@example(["abcab"])
def test_names_are_allowed_that_are_not_of_the_list(listed: list[str]) -> None:
    automaton = novelty_automaton(ABC.encode(listed), len(ABC))
    assert allowed(automaton, ABC, NAMES) == [name for name in NAMES if name not in listed]
    beginnings = {name[:length] for name in listed for length in range(len(name) + 1)}
    assert len(automaton) == len(beginnings | {""}) + 1  # and the one for having left the list


def test_the_embedded_list_is_left_out_name_by_name(us_names: list[str]) -> None:
    letters = Vocabulary.of(us_names)
    automaton = novelty_automaton(letters.encode(us_names), len(letters))
    changed = [name[:-1] + "q" for name in us_names[::10]] + [name + "x" for name in us_names[::10]]
    names = us_names[::10] + changed
    known = set(us_names)
    assert allowed(automaton, letters, names) == [name for name in names if name not in known]


def test_a_list_with_too_many_beginnings_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    stream = ABC.encode(["abc", "abd"[:2], "b"])  # 5 beginnings, the empty one among them
    monkeypatch.setattr("models.constraints.novelty.MAX_TRIE_CELLS", 6 * len(ABC))
    assert len(novelty_automaton(stream, len(ABC))) == 6
    monkeypatch.setattr("models.constraints.novelty.MAX_TRIE_CELLS", 6 * len(ABC) - 1)
    with pytest.raises(
        TooComplexError, match="more than 5 distinct prefixes, the limit for 3 diff"
    ) as caught:
        novelty_automaton(stream, len(ABC))
    assert caught.value.field == "novel"


def test_moves_are_a_table_of_small_integers() -> None:
    # The table may have millions of cells.
    assert novelty_automaton(ABC.encode(["ab"]), len(ABC)).next_states.dtype == np.int32
