import itertools
import math
from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import models.scoring.likelihoods
from models.chain.markov_chain import MarkovChain, compile_chain
from models.counts.context_counts import count
from models.counts.transitions import transitions
from models.linear.model import LinearModel
from models.scoring.likelihoods import NameScorer, log_likelihoods, nll
from models.text.vocabulary import Vocabulary
from tests.support.oracle import Layer, all_names

NAMES = ["emma", "olivia", "a", "", "zzz", "xqzwv", "maximiliano", "abcdefghij" * 6]


def test_log_likelihoods_equal_those_of_the_dense_softmax(
    post_layer: Layer, post_chain: MarkovChain
) -> None:
    expected = [math.log(post_layer.probability(name)) for name in NAMES]
    assert log_likelihoods(post_chain, NAMES) == pytest.approx(expected, abs=1e-9)


def test_log_likelihoods_of_a_fivegram_equal_those_of_the_dense_softmax(
    fivegram: LinearModel, fivegram_layer: Layer
) -> None:
    expected = [math.log(fivegram_layer.probability(name)) for name in NAMES]
    assert log_likelihoods(compile_chain(fivegram), NAMES) == pytest.approx(expected, abs=1e-9)


def test_the_probability_of_a_name_is_the_product_of_its_transitions(
    small_model: LinearModel, small_layer: Layer
) -> None:
    names = all_names("abc", longest=5)
    chain = compile_chain(small_model)
    expected = [math.log(small_layer.probability(name)) for name in names]
    assert log_likelihoods(chain, names) == pytest.approx(expected, abs=1e-12)


@given(names=st.lists(st.text("abcdX\n", max_size=9), max_size=30))
def test_single_names_and_batches_agree_to_the_last_digit(
    small_model: LinearModel, names: list[str]
) -> None:
    chain = compile_chain(small_model)
    scorer = NameScorer(chain)
    single = [scorer.log_likelihood(name) for name in names]
    assert np.array_equal(log_likelihoods(chain, names), single, equal_nan=True)
    for name, likelihood in zip(names, single, strict=True):
        assert math.isnan(likelihood) == bool(set(name) - set("abc"))


def test_single_names_and_batches_agree_for_a_chain_too_large_for_a_table(
    fivegram: LinearModel, us_names: list[str]
) -> None:
    chain = compile_chain(fivegram)
    assert chain.cached_log_probabilities is None
    scorer = NameScorer(chain)
    single = [scorer.log_likelihood(name) for name in us_names[:300]]
    assert np.array_equal(log_likelihoods(chain, us_names[:300]), single)


def test_log_likelihoods_depend_on_the_temperature_and_top_k(
    small_model: LinearModel, small_layer: Layer
) -> None:
    chain = compile_chain(small_model).at(0.5, 4)
    expected = [math.log(small_layer.at(0.5, 4).probability(name)) for name in ["ab", "cabb"]]
    assert log_likelihoods(chain, ["ab", "cabb"]) == pytest.approx(expected, abs=1e-12)
    assert NameScorer(chain).log_likelihood("ab") == pytest.approx(expected[0], abs=1e-12)


def test_log_likelihoods_of_a_large_chain_depend_on_the_temperature(
    fivegram: LinearModel, fivegram_layer: Layer
) -> None:
    chain, heated = compile_chain(fivegram).at(2.0, None), fivegram_layer.at(2.0)
    expected = [math.log(heated.probability(name)) for name in NAMES[:4]]
    assert log_likelihoods(chain, NAMES[:4]) == pytest.approx(expected, abs=1e-9)


@pytest.fixture
def computed(monkeypatch: pytest.MonkeyPatch) -> list[tuple[int, int, int]]:
    """The transitions that have been computed one by one: position, state and token."""
    computed_transitions: list[tuple[int, int, int]] = []
    compute: Callable[[MarkovChain, int, int, int], float] = MarkovChain.log_probability

    def count_and_compute(chain: MarkovChain, position: int, state: int, token: int) -> float:
        computed_transitions.append((position, state, token))
        return compute(chain, position, state, token)

    monkeypatch.setattr(MarkovChain, "log_probability", count_and_compute)
    return computed_transitions


def test_positions_past_the_last_one_share_cached_transitions(
    post_chain: MarkovChain, computed: list[tuple[int, int, int]]
) -> None:
    scorer = NameScorer(post_chain)
    scorer.log_likelihood("ab" * 20)
    computed.clear()
    scorer.log_likelihood("ab" * 40)
    assert computed == []


def test_a_transition_is_computed_once(
    post_chain: MarkovChain, computed: list[tuple[int, int, int]]
) -> None:
    scorer = NameScorer(post_chain)
    assert scorer.log_likelihood("emma") == scorer.log_likelihood("emma")
    assert len(computed) == len("emma") + 1


@pytest.mark.parametrize("limit", [1, 3, 20])
def test_a_small_cache_keeps_its_bound_and_changes_no_result(
    small_model: LinearModel, monkeypatch: pytest.MonkeyPatch, limit: int
) -> None:
    monkeypatch.setattr(models.scoring.likelihoods, "CACHED_TRANSITIONS", limit)
    chain = compile_chain(small_model)
    names = ["abc", "cab", "", "aaaaaaa", "bca", "abx", "abc"] * 2
    scorer = NameScorer(chain)
    for name in names:
        expected = log_likelihoods(chain, [name])
        assert np.array_equal([scorer.log_likelihood(name)], expected, equal_nan=True)
        for generation in (scorer._young, scorer._old):
            assert sum(map(len, generation.nodes.values())) <= limit


def test_frequent_names_stay_cached_among_many_other_names(
    post_chain: MarkovChain, monkeypatch: pytest.MonkeyPatch, computed: list[tuple[int, int, int]]
) -> None:
    monkeypatch.setattr(models.scoring.likelihoods, "CACHED_TRANSITIONS", 40)
    scorer = NameScorer(post_chain)
    names = ["emma", "olivia", "ava"]
    strings = ["".join(letters) for letters in itertools.product("qxzj", repeat=4)]
    for string in [*strings, *names]:  # far more transitions than the cache holds
        scorer.log_likelihood(string)
    for string in strings:
        scorer.log_likelihood(string)
        computed.clear()
        for name in names:
            scorer.log_likelihood(name)
        assert computed == []


def test_nll_is_the_mean_over_the_transitions_of_a_list(post_chain: MarkovChain) -> None:
    counts = count(transitions(post_chain.vocabulary.encode(NAMES), order=1, positions=23))
    total = log_likelihoods(post_chain, NAMES).sum()
    assert nll(post_chain, counts) == pytest.approx(-total / counts.total, abs=1e-12)


def test_an_empty_list_has_no_log_likelihoods(post_chain: MarkovChain) -> None:
    assert log_likelihoods(post_chain, []).shape == (0,)


def test_characters_outside_the_basic_plane_have_log_likelihoods(small_model: LinearModel) -> None:
    emoji = Vocabulary("ab\N{GRINNING FACE}")
    model = LinearModel(small_model.feature_map, emoji, small_model.weights)
    chain, same = compile_chain(model), compile_chain(small_model)
    names = ["a\N{GRINNING FACE}", "\N{GRINNING FACE}"]
    assert np.array_equal(log_likelihoods(chain, names), log_likelihoods(same, ["ac", "c"]))
