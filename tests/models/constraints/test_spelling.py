import itertools
import sys
from unicodedata import category, decomposition, is_normalized, normalize

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.chain.conditioning import condition
from models.chain.markov_chain import compile_chain
from models.constraints.constraints import Constraints
from models.constraints.spelling import (
    _may_compose,
    joiner_automaton,
    nfc_automaton,
    trimmed_automaton,
)
from models.counts.context_counts import count
from models.counts.transitions import transitions
from models.linear.feature_map import FeatureMap
from models.linear.model import LinearModel
from models.queries.sampling import Sampler
from models.text.normalization import normalize_untrimmed
from models.text.vocabulary import Vocabulary
from tests.support.automata import allowed
from tests.support.oracle import all_names

GRAVE, ACUTE, BELOW, CEDILLA = "\u0300", "\u0301", "\u0323", "\u0327"
COMPOSITES = [
    c
    for c in map(chr, range(0xA0, 0x20000))
    if is_normalized("NFC", c) and not is_normalized("NFD", c)
]


@pytest.mark.parametrize("characters", [" ab", " '\u3000", "\t\xa0x", "abc", " "])
def test_the_trimmed_automaton_accepts_the_names_that_strip_leaves_alone(characters: str) -> None:
    characters = "".join(sorted(characters))
    vocabulary, names = Vocabulary(characters), ["", *all_names(characters, 5)]
    trimmed = [name for name in names if name and name == name.strip()]
    assert allowed(trimmed_automaton(vocabulary), vocabulary, names) == trimmed


@pytest.mark.parametrize(
    "characters", ["abc", "aàé", " '-", "漢字", f"x{BELOW}", f"x{GRAVE}\u030a"]
)
def test_a_vocabulary_in_which_nothing_composes_needs_no_nfc_automaton(characters: str) -> None:
    assert nfc_automaton(Vocabulary("".join(sorted(characters)))) is None


@pytest.mark.parametrize(
    "characters",
    [
        f"aọ{GRAVE}",
        f"aeq{GRAVE}{ACUTE}{BELOW}",
        f"à{GRAVE}a",
        f"aá{CEDILLA}{ACUTE}",  # the cedilla stands before the accent, and does not block it
        f"qx{CEDILLA}{BELOW}{ACUTE}",  # nothing composes, but marks have an order
        f"aạậ\u0302{BELOW}{CEDILLA}",
        f"\u03b1ά\u1fb3{ACUTE}\u0345",
        "\u1100\u1161\u11a8a",
        "\u1100\u1161\u11a8\uac00\uac01",
        "\u0928\u0929\u093c\u094d\u0951",
        "\u09c7\u09be\u09cb\u09d7",  # starters that compose with a starter
        "\u0b47\u0b56\u0b3e\u0b3c\u0b21",
    ],
    ids=ascii,
)
def test_the_nfc_automaton_accepts_the_names_in_nfc(characters: str) -> None:
    vocabulary = Vocabulary("".join(sorted(characters)))
    automaton = nfc_automaton(vocabulary)
    assert automaton is not None
    names = [
        "".join(name)
        for length in range(1, 5)
        for name in itertools.product(vocabulary.characters, repeat=length)
    ]
    expected = [name for name in names if is_normalized("NFC", name)]
    assert allowed(automaton, vocabulary, names) == expected
    assert len(expected) < len(names)


@given(st.data())
def test_the_nfc_automaton_accepts_the_names_in_nfc_of_any_composites(
    data: st.DataObject,
) -> None:
    composites = data.draw(st.lists(st.sampled_from(COMPOSITES), min_size=1, max_size=3))
    pieces = sorted(
        {c for composite in composites for c in (composite, *normalize("NFD", composite))}
        | {CEDILLA}
    )
    characters = [c for c in pieces if is_normalized("NFC", c)]
    vocabulary = Vocabulary("".join(characters))
    names = data.draw(st.lists(st.text(characters, max_size=7), max_size=50))
    automaton = nfc_automaton(vocabulary)
    expected = [name for name in names if is_normalized("NFC", name)]
    assert (names if automaton is None else allowed(automaton, vocabulary, names)) == expected


def test_may_compose_is_true_for_all_characters_that_compose() -> None:
    composites = [c for c in map(chr, range(sys.maxunicode + 1)) if is_normalized("NFC", c)]
    split = (decomposition(c).split() for c in composites)
    seconds = {chr(int(parts[1], 16)) for parts in split if parts and parts[0][0] != "<"}
    syllables = map(chr, range(0xAC00, 0xD7A4))
    seconds |= {c for syllable in syllables for c in normalize("NFD", syllable)[1:]}
    assert all(map(_may_compose, seconds))


@pytest.mark.parametrize("joiner", "\u200c\u200d")
def test_the_joiner_automaton_accepts_joiners_between_letters_that_join(joiner: str) -> None:
    vocabulary = Vocabulary(f" a\u0645{joiner}")
    automaton = joiner_automaton(vocabulary)
    assert automaton is not None
    names = ["".join(name) for name in itertools.product(vocabulary.characters, repeat=4)]
    assert allowed(automaton, vocabulary, names) == [
        n for n in names if normalize_untrimmed(n) == n
    ]
    assert joiner_automaton(Vocabulary("a\u0645")) is None


def test_an_nfc_automaton_of_all_marks_takes_little_memory() -> None:
    marks = [c for c in map(chr, range(sys.maxunicode)) if category(c)[0] == "M"]
    letters = [c for c in map(chr, range(0xA0, 0x1000)) if normalize("NFC", c.lower()) == c]
    vocabulary = Vocabulary("".join(sorted({*marks, *letters})))
    automaton = nfc_automaton(vocabulary)
    assert automaton is not None
    assert len(vocabulary) > 4_000
    assert automaton.next_states.nbytes < 5e6


def test_an_excluded_character_is_not_sampled_in_decomposed_form() -> None:
    names = [
        normalize("NFC", name) for name in ("ọ̀ṣun", "anna", "nàna", "ọ̀la", "adà", "ọ̀pà", "ọ̀na")
    ]
    vocabulary = Vocabulary.of(names)
    assert GRAVE in vocabulary.characters
    counts = count(transitions(vocabulary.encode(names), order=4))
    feature_map = FeatureMap.from_counts("fivegram", len(vocabulary), 23, counts)
    weights = np.random.default_rng(7).normal(size=feature_map.shape).astype(np.float32)
    chain = compile_chain(LinearModel(feature_map, vocabulary, weights))
    constraints = Constraints(8, exclude=frozenset({"à"}))
    drawn = Sampler(condition(chain, constraints)).draw(5_000, np.random.default_rng(1))
    assert any(GRAVE in name for name in drawn)
    assert not any("à" in normalize("NFC", name) for name in drawn)
    assert all(is_normalized("NFC", name) for name in drawn)
