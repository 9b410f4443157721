import math

import numpy as np
import pytest

from models.chain.conditioning import condition
from models.chain.markov_chain import MarkovChain, compile_chain
from models.constraints.constraints import ConstraintError, Constraints
from models.counts.context_counts import count
from models.counts.transitions import transitions
from models.linear.feature_map import FeatureMap
from models.linear.model import LinearModel
from models.queries.next_character import next_character_distribution
from models.queries.sampling import Sampler
from models.text.vocabulary import Vocabulary

ACUTE, ZWNJ, MEEM = "\u0301", "\u200c", "\u0645"
NAMES = ["a a", "b", "ab", f"q{ACUTE}a", "\u00e1", f"{MEEM}{ZWNJ}{MEEM}", f"{MEEM}b"]


@pytest.fixture(scope="module")
def chain() -> MarkovChain:
    """Random weights over letters, a space, an accent and a joiner."""
    vocabulary = Vocabulary.of(NAMES)
    counts = count(transitions(vocabulary.encode(NAMES), order=1))
    feature_map = FeatureMap.from_counts("bigram", len(vocabulary), 23, counts)
    weights = np.random.default_rng(4).normal(size=feature_map.shape).astype(np.float32)
    return compile_chain(LinearModel(feature_map, vocabulary, weights))


def test_sampled_names_continue_a_prefix_with_characters_of_its_distribution(
    chain: MarkovChain,
) -> None:
    drawn = Sampler(condition(chain, Constraints(32))).draw(20_000, np.random.default_rng(1))
    for prefix in ("a", "b", "a ", "q", f"q{ACUTE}", MEEM, f"{MEEM}{ZWNJ}", "\u00e1"):
        following = next_character_distribution(chain, prefix)
        names = [name for name in drawn if name.startswith(prefix)]
        assert names
        assert {name[len(prefix) : len(prefix) + 1] or None for name in names} <= {
            character for character, _ in following
        }


@pytest.mark.parametrize(
    ("prefix", "impossible"),
    [
        ("", {" ", ZWNJ}),
        ("a ", {None, ZWNJ}),
        ("a", {ACUTE, ZWNJ}),
        ("q", {ZWNJ}),
        ("\u00e1", {ZWNJ}),
        (MEEM, set()),
        (f"{MEEM}{ZWNJ}", {None, *f" abq\u00e1{ACUTE}{ZWNJ}"}),
    ],
    ids=["start", "space", "letter", "q", "accented", "joining", "joiner"],
)
def test_characters_that_normalisation_would_change_are_left_out(
    chain: MarkovChain, prefix: str, impossible: set[str | None]
) -> None:
    following = next_character_distribution(chain, prefix)
    everything = {None, *chain.vocabulary.characters}
    assert {character for character, _ in following} == everything - impossible
    assert sum(math.exp(log) for _, log in following) == pytest.approx(1.0)
    assert [log for _, log in following] == sorted((log for _, log in following), reverse=True)


def test_the_other_characters_keep_their_proportions(chain: MarkovChain) -> None:
    tokens = chain.vocabulary.encode(["a "])
    *_, (position, state, _) = chain.walk(tokens)
    raw = chain.log_probabilities(position, state)
    following = dict(next_character_distribution(chain, "a "))
    logs = {c: float(raw[n]) for n, c in enumerate(chain.vocabulary.characters, start=1)}
    assert following["a"] - following["b"] == pytest.approx(logs["a"] - logs["b"])


@pytest.mark.parametrize("prefix", [" a", f"a{ACUTE}", ZWNJ, f"b{ZWNJ}"], ids=ascii)
def test_a_prefix_of_no_name_raises_an_error(chain: MarkovChain, prefix: str) -> None:
    with pytest.raises(ConstraintError, match="No name begins with this prefix") as raised:
        next_character_distribution(chain, prefix)
    assert raised.value.field == "prefix"
