import pytest

from models.constraints.automaton import trimming
from models.text.vocabulary import Vocabulary
from tests.support.automata import allowed
from tests.support.oracle import all_names


@pytest.mark.parametrize("characters", [" ab", " '\u3000", "\t\xa0x", "abc", " "])
def test_names_are_allowed_that_trimming_leaves_alone(characters: str) -> None:
    characters = "".join(sorted(characters))
    vocabulary, names = Vocabulary(characters), ["", *all_names(characters, 5)]
    trimmed = [name for name in names if name and name == name.strip()]
    assert allowed(trimming(vocabulary), vocabulary, names) == trimmed
