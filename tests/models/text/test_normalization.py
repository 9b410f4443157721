"""Normalisation: each rule, and that sampled names satisfy all of them."""

import sys
from unicodedata import category, is_normalized
from unicodedata import normalize as unicode_form

import numpy as np
import pytest
from hypothesis import assume, example, given
from hypothesis import strategies as st

from models.chain.conditioning import condition
from models.chain.markov_chain import compile_chain
from models.constraints.constraints import Constraints
from models.counts.context_counts import count
from models.counts.transitions import transitions
from models.linear.feature_map import FeatureMap
from models.linear.model import LinearModel
from models.queries.sampling import Sampler
from models.text.normalization import JOINERS, is_joining, normalize, normalize_part
from models.text.vocabulary import Vocabulary

ZWNJ, ZWJ = "\u200c", "\u200d"
MEEM, KAF, VIRAMA, SSA = "\u0645", "\u0915", "\u094d", "\u0937"
HAMZA_BELOW, ACUTE, CEDILLA, DOT = "\u0655", "\u0301", "\u0327", "\u0307"
BIDI = "\u200e\u200f\u061c\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069"
REMOVED = f"\ufeff\u200b\u00ad{BIDI}"
# Characters of all rules, so that the rules interact.
TRICKY = (
    f"aeiIqZ '{DOT}{ACUTE}{CEDILLA}\u0323\u0345\u0130\u0131\u03a3\u03c3\u03c2\u00df\u1e9e\u01f0J"
    f"\u030c\u212b\u212a\u1100\u1161\u11a8\uac00\u09c7\u09be\u00a0\u202f\u3000\u2007"
    f"{ZWNJ}{ZWJ}{MEEM}{KAF}{VIRAMA}{SSA}{HAMZA_BELOW}\u0958{REMOVED}"
)
tricky = st.text(TRICKY) | st.text(st.characters(exclude_categories=["Cs"]))
cases: st.SearchStrategy[dict[str, bool]] = st.sampled_from(
    [{}, {"keep_case": True}, {"turkish": True}]
)


@given(tricky, cases)
@example(f"{KAF}{ZWNJ}{HAMZA_BELOW}{ZWNJ}{CEDILLA}", {})  # NFC moves the cedilla before the hamza
@example(f" {ZWJ} a", {})
def test_a_normalised_name_is_normalised_to_itself(text: str, case: dict[str, bool]) -> None:
    name = normalize(text, **case)
    assert normalize(name, **case) == name
    assert normalize_part(name, **case) == name
    assert is_normalized("NFC", name)
    assert name == name.strip()


@given(tricky, cases)
@example(f"I{DOT}{CEDILLA}", {})
@example("I\u0302", {"turkish": True})
def test_composed_and_decomposed_names_are_the_same(text: str, case: dict[str, bool]) -> None:
    for form in ("NFC", "NFD"):
        assert normalize(unicode_form(form, text), **case) == normalize(text, **case)


def test_normalising_any_single_character_is_idempotent() -> None:
    for character in map(chr, range(sys.maxunicode + 1)):
        once = normalize_part(character)
        assert normalize_part(once) == once
        assert normalize_part(unicode_form("NFD", character)) == once


@pytest.mark.parametrize("character", REMOVED)
def test_invisible_format_characters_are_removed(character: str) -> None:
    assert category(character) == "Cf"
    assert normalize(f"{character}da{character}{character}vid {character}") == "david"
    assert normalize(f"E{character}{ACUTE}", keep_case=True) == "\u00c9"
    assert normalize_part(character) == ""


@pytest.mark.parametrize("character", "\u00a0\u202f\u2007")
def test_no_break_spaces_become_spaces(character: str) -> None:
    assert normalize(f"{character}Ana{character}Mar\u00eda{character}") == "ana mar\u00eda"


def test_a_capital_i_with_a_dot_becomes_a_plain_i() -> None:
    assert normalize("\u0130zmir") == normalize(f"I{DOT}zmir") == normalize("Izmir") == "izmir"
    assert normalize("\u0130zmir", keep_case=True) == "\u0130zmir"


def test_turkish_lower_case_keeps_the_dot_of_an_i() -> None:
    for name in ("I\u015eIL \u0130PEK", f"ISIL I{DOT}PEK".replace("S", "S\u0327")):
        assert normalize(name, turkish=True) == "\u0131\u015f\u0131l ipek"
    assert normalize("AB\u00c2D\u00ce", turkish=True) == "ab\u00e2d\u00ee"


def test_a_capital_sigma_becomes_a_final_one_at_the_end_of_a_whole_name() -> None:
    assert normalize("\u039d\u0399\u039a\u039f\u03a3") == "\u03bd\u03b9\u03ba\u03bf\u03c2"
    assert normalize("\u039f\u03a3\u0391") == "\u03bf\u03c3\u03b1"
    assert normalize_part("\u0391\u03a3") == "\u03b1\u03c3"


@pytest.mark.parametrize("joiner", JOINERS)
def test_joiners_are_kept_between_letters_that_join_and_nowhere_else(joiner: str) -> None:
    for name in (f"{MEEM}{joiner}{MEEM}", f"{KAF}{VIRAMA}{joiner}{SSA}"):
        assert normalize(name) == name
        assert normalize(f"{joiner}{name}{joiner}") == name
        assert normalize(name.replace(joiner, ZWNJ * 2)) == name.replace(joiner, ZWNJ)
    for left, right in [("a", "b"), (MEEM, "b"), ("a", MEEM), (MEEM, " "), ("1", KAF), ("", KAF)]:
        assert normalize(f"{left}{joiner}{right}x") == f"{left}{right}x"
    assert normalize(f"e{joiner}{ACUTE}") == "\u00e9"


@pytest.mark.parametrize("joiner", JOINERS)
def test_a_joiner_at_either_end_of_a_part_is_kept(joiner: str) -> None:
    for part in (f"{MEEM}{joiner}", f"{joiner}{MEEM}", f"*{joiner}{MEEM}?", joiner):
        assert normalize_part(part) == part
    for part in (f"a{joiner}", f"{joiner}a", f"{MEEM}{joiner}a*"):
        assert normalize_part(part) == part.replace(joiner, "")


def test_digits_and_signs_of_a_script_that_joins_do_not_join() -> None:
    assert all(map(is_joining, [MEEM, KAF, VIRAMA]))
    assert not any(map(is_joining, ["a", " ", "\u0661", "\u060c", "\u0964", ZWJ, *REMOVED]))


texts = st.lists(st.text(TRICKY, min_size=1, max_size=6), min_size=1, max_size=6)


@given(texts, cases, st.integers(0, 2**32))
@example([f"{KAF}{ZWNJ}{KAF}", "a b", f"q{CEDILLA}", f"q{ACUTE}", "a", "\u00e1"], {}, 0)
def test_every_sampled_name_is_normalised(
    lines: list[str], case: dict[str, bool], seed: int
) -> None:
    names = [name for name in (normalize(line, **case) for line in lines) if name]
    assume(names)
    vocabulary = Vocabulary.of(names, **case)
    sampled = sample(vocabulary, names, 300, seed)
    assert [vocabulary.normalize(name) for name in sampled] == sampled


def sample(
    vocabulary: Vocabulary,
    names: list[str],
    number: int,
    seed: int,
    exclude: frozenset[str] = frozenset(),
) -> list[str]:
    """Return names of a bigram with random weights, which combines all characters."""
    counts = count(transitions(vocabulary.encode(names), order=1))
    feature_map = FeatureMap.from_counts("bigram", len(vocabulary), 23, counts)
    generator = np.random.default_rng(seed)
    weights = generator.normal(size=feature_map.shape).astype(np.float32)
    chain = compile_chain(LinearModel(feature_map, vocabulary, weights))
    return Sampler(condition(chain, Constraints(12, exclude=exclude))).draw(number, generator)


ALPHABETS = {  # letters and marks, and some of their compositions
    "marks of five classes": f"a\u00e1o\u01a1q{CEDILLA}\u031b\u0323{ACUTE}\u0345\u03b1\u03ac",
    "Hangul": "\u1100\u1102\u1161\u1175\u11a8\u11ab\uac00\uac01\ub098",
    "Vietnamese": f"a\u0103\u00e2e\u1ebd\u1ea1\u1ec7n\u0300{ACUTE}\u0303\u0323\u031b\u0302\u0306",
    "Devanagari": f"{KAF}\u0928\u0929\u0930\u0931{SSA}\u093c{VIRAMA}\u0951\u0952\u093e{ZWJ}{ZWNJ}",
}


@pytest.mark.parametrize("alphabet", ALPHABETS.values(), ids=ALPHABETS)
def test_no_sampled_name_has_an_excluded_substring_in_any_form(alphabet: str) -> None:
    vocabulary = Vocabulary("".join(sorted(alphabet)))
    names = [letter for letter in alphabet if vocabulary.normalize(letter) == letter]
    words = [letter for letter in alphabet if unicode_form("NFD", letter) != letter]
    unconstrained = sample(vocabulary, names, 20_000, seed=3)
    assert all(any(word in name for name in unconstrained) for word in words)
    for form in ("NFC", "NFD"):
        excluded = frozenset(unicode_form(form, word.upper()) for word in words)
        sampled = sample(vocabulary, names, 20_000, seed=3, exclude=excluded)
        assert all(is_normalized("NFC", name) for name in sampled)
        assert [vocabulary.normalize(name) for name in sampled] == sampled
        assert not [name for name in sampled if any(word in name for word in words)]
