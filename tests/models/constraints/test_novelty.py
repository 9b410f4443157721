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
def test_the_automaton_accepts_the_names_outside_the_training_set(
    training_names: list[str],
) -> None:
    automaton = novelty_automaton(ABC.encode(training_names), len(ABC))
    assert allowed(automaton, ABC, NAMES) == [name for name in NAMES if name not in training_names]
    prefixes = {name[:length] for name in training_names for length in range(len(name) + 1)}
    assert len(automaton) == len(prefixes | {""}) + 1  # and the state of all other names


def test_the_automaton_rejects_every_name_of_the_embedded_list(us_names: list[str]) -> None:
    letters = Vocabulary.of(us_names)
    automaton = novelty_automaton(letters.encode(us_names), len(letters))
    changed = [name[:-1] + "q" for name in us_names[::10]] + [name + "x" for name in us_names[::10]]
    names = us_names[::10] + changed
    known = set(us_names)
    assert allowed(automaton, letters, names) == [name for name in names if name not in known]


def test_training_names_with_too_many_prefixes_raise_an_error(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    stream = ABC.encode(["abc", "abd"[:2], "b"])  # 5 prefixes, the empty one included
    monkeypatch.setattr("models.constraints.novelty.MAX_TRIE_CELLS", 6 * len(ABC))
    assert len(novelty_automaton(stream, len(ABC))) == 6
    monkeypatch.setattr("models.constraints.novelty.MAX_TRIE_CELLS", 6 * len(ABC) - 1)
    with pytest.raises(
        TooComplexError, match="more than 5 distinct prefixes, the limit for 3 diff"
    ) as caught:
        novelty_automaton(stream, len(ABC))
    assert caught.value.field == "novel"


def test_the_table_of_next_states_has_32_bit_integers() -> None:
    # The table can have millions of cells.
    assert novelty_automaton(ABC.encode(["ab"]), len(ABC)).next_states.dtype == np.int32
