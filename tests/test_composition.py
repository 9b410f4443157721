import itertools
import sys
from unicodedata import category, is_normalized, normalize

import numpy as np
import pytest

from conftest import allowed
from models.chain import compile_chain
from models.composition import composed
from models.conditioning import condition
from models.counts import count
from models.layout import Layout
from models.linear import LinearModel
from models.sampling import Sampler
from models.transitions import transitions
from models.vocabulary import Vocabulary
from models.wish import Wish

GRAVE, ACUTE, BELOW = "\u0300", "\u0301", "\u0323"


@pytest.mark.parametrize("characters", ["abc", "aàé", " '-", "漢字", f"x{BELOW}"])
def test_an_alphabet_in_which_nothing_composes_needs_no_automaton(characters: str) -> None:
    assert composed(Vocabulary("".join(sorted(characters)))) is None


@pytest.mark.parametrize(
    "characters", [f"aọ{GRAVE}", f"aeq{GRAVE}{ACUTE}{BELOW}", "\u1100\u1161\u11a8a", f"à{GRAVE}a"]
)
def test_a_name_is_allowed_if_its_pairs_are_as_unicode_composes_them(characters: str) -> None:
    vocabulary = Vocabulary("".join(sorted(characters)))
    automaton = composed(vocabulary)
    assert automaton is not None
    names = [
        "".join(name)
        for length in range(1, 5)
        for name in itertools.product(vocabulary.characters, repeat=length)
    ]
    expected = [
        name
        for name in names
        if all(is_normalized("NFC", a + b) for a, b in itertools.pairwise(name))
    ]
    assert allowed(automaton, vocabulary, names) == expected
    assert len(expected) < len(names)


def test_all_marks_there_are_take_little_memory() -> None:
    marks = [c for c in map(chr, range(sys.maxunicode)) if category(c)[0] == "M"]
    letters = [c for c in map(chr, range(0xA0, 0x1000)) if normalize("NFC", c.lower()) == c]
    vocabulary = Vocabulary("".join(sorted({*marks, *letters})))
    automaton = composed(vocabulary)
    assert automaton is not None
    assert len(vocabulary) > 4_000
    assert automaton.moves.nbytes < 5e6


def test_what_is_excluded_or_listed_is_not_drawn_in_pieces() -> None:
    names = [
        normalize("NFC", name) for name in ("ọ̀ṣun", "anna", "nàna", "ọ̀la", "adà", "ọ̀pà", "ọ̀na")
    ]
    vocabulary = Vocabulary.of(names)
    assert GRAVE in vocabulary.characters
    counts = count(transitions(vocabulary.encode(names), order=4))
    layout = Layout.seen("fivegram", len(vocabulary), 23, counts)
    weights = np.random.default_rng(7).normal(size=layout.shape).astype(np.float32)
    chain = compile_chain(LinearModel(layout, vocabulary, weights))
    wish = Wish(8, exclude=frozenset({"à"}))
    drawn = Sampler(condition(chain, wish)).draw(5_000, np.random.default_rng(1))
    assert any(GRAVE in name for name in drawn)
    assert not any("à" in normalize("NFC", name) for name in drawn)
    assert all(is_normalized("NFC", name) for name in drawn)
