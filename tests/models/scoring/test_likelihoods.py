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
from tests.support.oracle import Layer

NAMES = ["emma", "olivia", "a", "", "zzz", "xqzwv", "maximiliano", "abcdefghij" * 6]


def test_a_log_likelihood_is_that_of_the_dense_softmax_of_the_weights(
    post_layer: Layer, post_chain: MarkovChain
) -> None:
    expected = [math.log(post_layer.probability(name)) for name in NAMES]
    assert log_likelihoods(post_chain, NAMES) == pytest.approx(expected, abs=1e-9)


def test_a_fivegram_looks_at_all_its_features(fivegram: LinearModel, fivegram_layer: Layer) -> None:
    expected = [math.log(fivegram_layer.probability(name)) for name in NAMES]
    assert log_likelihoods(compile_chain(fivegram), NAMES) == pytest.approx(expected, abs=1e-9)


@given(names=st.lists(st.text("abcdX\n", max_size=9), max_size=30))
def test_one_by_one_and_abreast_are_the_same_to_the_last_digit(
    small_model: LinearModel, names: list[str]
) -> None:
    chain = compile_chain(small_model)
    reader = NameScorer(chain)
    one_by_one = [reader.log_likelihood(name) for name in names]
    assert np.array_equal(log_likelihoods(chain, names), one_by_one, equal_nan=True)
    for name, likelihood in zip(names, one_by_one, strict=True):
        assert math.isnan(likelihood) == bool(set(name) - set("abc"))


def test_a_large_chain_is_read_the_same_without_its_table(
    fivegram: LinearModel, us_names: list[str]
) -> None:
    chain = compile_chain(fivegram)
    assert chain.cached_log_probabilities is None
    reader = NameScorer(chain)
    one_by_one = [reader.log_likelihood(name) for name in us_names[:300]]
    assert np.array_equal(log_likelihoods(chain, us_names[:300]), one_by_one)


def test_a_temperature_and_a_top_k_are_in_the_log_likelihood(
    small_model: LinearModel, small_layer: Layer
) -> None:
    chain = compile_chain(small_model).at(0.5, 4)
    expected = [math.log(small_layer.at(0.5, 4).probability(name)) for name in ["ab", "cabb"]]
    assert log_likelihoods(chain, ["ab", "cabb"]) == pytest.approx(expected, abs=1e-12)
    assert NameScorer(chain).log_likelihood("ab") == pytest.approx(expected[0], abs=1e-12)


def test_a_temperature_is_in_the_log_likelihood_of_a_large_chain(
    fivegram: LinearModel, fivegram_layer: Layer
) -> None:
    chain, heated = compile_chain(fivegram).at(2.0, None), fivegram_layer.at(2.0)
    expected = [math.log(heated.probability(name)) for name in NAMES[:4]]
    assert log_likelihoods(chain, NAMES[:4]) == pytest.approx(expected, abs=1e-9)


@pytest.fixture
def computed(monkeypatch: pytest.MonkeyPatch) -> list[tuple[int, int, int]]:
    """The steps that have been computed one by one: position, state and token."""
    steps: list[tuple[int, int, int]] = []
    compute: Callable[[MarkovChain, int, int, int], float] = MarkovChain.log_probability

    def count_and_compute(chain: MarkovChain, position: int, state: int, token: int) -> float:
        steps.append((position, state, token))
        return compute(chain, position, state, token)

    monkeypatch.setattr(MarkovChain, "log_probability", count_and_compute)
    return steps


def test_positions_past_the_last_one_share_their_steps(
    post_chain: MarkovChain, computed: list[tuple[int, int, int]]
) -> None:
    reader = NameScorer(post_chain)
    reader.log_likelihood("ab" * 20)
    computed.clear()
    reader.log_likelihood("ab" * 40)
    assert computed == []


def test_a_step_is_computed_once(
    post_chain: MarkovChain, computed: list[tuple[int, int, int]]
) -> None:
    reader = NameScorer(post_chain)
    assert reader.log_likelihood("emma") == reader.log_likelihood("emma")
    assert len(computed) == len("emma") + 1


@pytest.mark.parametrize("kept", [1, 3, 20])
def test_a_reader_of_little_memory_reads_the_same_and_keeps_no_more(
    small_model: LinearModel, monkeypatch: pytest.MonkeyPatch, kept: int
) -> None:
    monkeypatch.setattr(models.scoring.likelihoods, "STEPS_KEPT", kept)
    chain = compile_chain(small_model)
    names = ["abc", "cab", "", "aaaaaaa", "bca", "abx", "abc"] * 2
    reader = NameScorer(chain)
    for name in names:
        expected = log_likelihoods(chain, [name])
        assert np.array_equal([reader.log_likelihood(name)], expected, equal_nan=True)
        for generation in (reader._young, reader._old):
            assert sum(map(len, generation.steps.values())) <= kept


def test_names_in_use_stay_in_the_cache_whatever_else_comes(
    post_chain: MarkovChain, monkeypatch: pytest.MonkeyPatch, computed: list[tuple[int, int, int]]
) -> None:
    monkeypatch.setattr(models.scoring.likelihoods, "STEPS_KEPT", 40)
    reader = NameScorer(post_chain)
    names = ["emma", "olivia", "ava"]
    strings = ["".join(letters) for letters in itertools.product("qxzj", repeat=4)]
    for string in [*strings, *names]:  # far more steps than are kept
        reader.log_likelihood(string)
    for string in strings:
        reader.log_likelihood(string)
        computed.clear()
        for name in names:
            reader.log_likelihood(name)
        assert computed == []


def test_the_nll_of_a_list_is_the_mean_over_its_transitions(post_chain: MarkovChain) -> None:
    counts = count(transitions(post_chain.vocabulary.encode(NAMES), order=1, positions=23))
    total = log_likelihoods(post_chain, NAMES).sum()
    assert nll(post_chain, counts) == pytest.approx(-total / counts.total, abs=1e-12)


def test_there_may_be_no_names(post_chain: MarkovChain) -> None:
    assert log_likelihoods(post_chain, []).shape == (0,)


def test_any_alphabet_is_read(small_model: LinearModel) -> None:
    emoji = Vocabulary("ab\N{GRINNING FACE}")
    model = LinearModel(small_model.feature_map, emoji, small_model.weights)
    chain, same = compile_chain(model), compile_chain(small_model)
    names = ["a\N{GRINNING FACE}", "\N{GRINNING FACE}"]
    assert np.array_equal(log_likelihoods(chain, names), log_likelihoods(same, ["ac", "c"]))
