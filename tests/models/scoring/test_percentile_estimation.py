"""The laws of log-likelihoods against brute force, and against the sampler."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from scipy.stats import kstest

import models.scoring.percentile_estimation
from models.arrays import Floats
from models.chain.conditioning import condition
from models.chain.markov_chain import MarkovChain, compile_chain
from models.chain.product import multiply
from models.checkpoint import load
from models.constraints.constraints import Constraints
from models.counts.context_trie import START
from models.linear.feature_map import FeatureMap
from models.linear.features import ARCHITECTURES
from models.linear.model import LinearModel
from models.queries.sampling import Sampler
from models.scoring.likelihoods import log_likelihoods
from models.scoring.percentile_estimation import (
    WeightedPrefixes,
    estimate_percentiles,
    grow,
    resample,
)
from models.scoring.percentile_table import KNOTS
from models.text.vocabulary import Vocabulary
from tests.support.oracle import Layer, all_names
from tests.support.post import ALPHABET

DRAWN = 20_000


def beginnings_of(chain: MarkovChain, length: int) -> WeightedPrefixes:
    """All beginnings of a length."""
    beginnings = WeightedPrefixes(np.array([START]), np.zeros(1), np.zeros(1))
    product = multiply(chain, [], length)
    for position in range(length):
        beginnings = grow(chain, product, position, beginnings)
    return beginnings


def mid_ranks(probabilities: Floats) -> list[float]:
    """The share of less probable names, and half of those as probable, for each; one by one."""
    # Equal but for rounding: letters in another order.
    less = [probabilities[probabilities < p * (1 - 1e-9)].sum() for p in probabilities]
    more = [probabilities[probabilities > p * (1 + 1e-9)].sum() for p in probabilities]
    return [float(x + 1 - y) / 2 for x, y in zip(less, more, strict=True)]


def test_the_shares_of_few_names_are_exact(small_model: LinearModel, small_layer: Layer) -> None:
    table = estimate_percentiles(compile_chain(small_model))
    for length in (1, 2, 3, 4):  # to 81 names, fewer than there are knots
        names = [name for name in all_names("abc", length) if len(name) == length]
        probabilities = np.array([small_layer.probability(name) for name in names])
        found = table.of(np.log(probabilities), np.full(len(names), length))
        assert found == pytest.approx(mid_ranks(probabilities / probabilities.sum()), abs=1e-5)


def test_progress_is_reported_once_for_each_length(small_model: LinearModel) -> None:
    lengths: list[None] = []
    table = estimate_percentiles(compile_chain(small_model), lambda: lengths.append(None))
    assert len(lengths) == table.longest > 1


def test_the_shares_of_more_names_than_knots_are_nearly_so(
    small_model: LinearModel, small_layer: Layer
) -> None:
    table = estimate_percentiles(compile_chain(small_model))
    names = [name for name in all_names("abc", 7) if len(name) == 7]
    probabilities = np.array([small_layer.probability(name) for name in names])
    found = table.of(np.log(probabilities), np.full(len(names), 7))
    assert found == pytest.approx(mid_ranks(probabilities / probabilities.sum()), abs=0.006)


def test_the_law_is_known_far_into_its_tail(small_model: LinearModel) -> None:
    chain = compile_chain(small_model)
    names = [name for name in all_names("abc", 9) if len(name) == 9]
    likelihoods = log_likelihoods(chain, names)
    probabilities = np.exp(np.sort(likelihoods))
    exact = np.log((probabilities.cumsum() - probabilities / 2) / probabilities.sum())
    found = np.log(estimate_percentiles(chain).of(np.sort(likelihoods), np.full(len(names), 9)))
    assert exact[50] < -12
    assert found[50:] == pytest.approx(exact[50:], abs=0.4)
    assert found[:50] == pytest.approx(exact[:50], abs=3)  # the very last are one by one


@pytest.mark.parametrize("scale", [30, 100, 3_000, 60_000])
def test_a_model_of_extremes_has_laws_too(small_model: LinearModel, scale: float) -> None:
    feature_map, letters = small_model.feature_map, small_model.vocabulary
    chain = compile_chain(
        LinearModel(feature_map, letters, small_model.weights * np.float32(scale))
    )
    table = estimate_percentiles(chain)
    for length in range(1, min(table.longest, 6) + 1):
        conditioned = condition(chain, Constraints(min_length=length, max_length=length))
        names = Sampler(conditioned).draw(1_000, np.random.default_rng(1))
        found = table.of(log_likelihoods(chain, names), np.full(1_000, length))
        # There are few that are ever drawn, each with half of its own share below it.
        shares, often = np.unique(found, return_counts=True)
        assert shares == pytest.approx((often.cumsum() - often / 2) / 1_000, abs=0.06)


def test_names_that_differ_by_rounding_alone_are_as_likely() -> None:
    # A bigram in which all letters do alike, but for what a float cannot tell apart.
    feature_map = FeatureMap.from_arrays(
        "bigram", 4, 23, np.empty((0, 2), np.intp), np.empty((0, 2), np.intp)
    )
    weights = np.random.default_rng(1).normal(0, 1e-9, size=(4, 4)).astype(np.float32)
    chain = compile_chain(LinearModel(feature_map, Vocabulary("abc"), weights))
    names = ["abca", "bbbb", "cacb"]
    found = estimate_percentiles(chain).of(log_likelihoods(chain, names), np.full(3, 4))
    assert found == pytest.approx(0.5, abs=1e-6)


def test_no_more_beginnings_are_followed_than_the_limits_allow(
    small_model: LinearModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    kept: list[int] = []

    def watched(beginnings: WeightedPrefixes, count: int) -> WeightedPrefixes:
        kept.append(len(resample(beginnings, count)))
        return resample(beginnings, count)

    monkeypatch.setattr(models.scoring.percentile_estimation, "resample", watched)
    monkeypatch.setattr(models.scoring.percentile_estimation, "KEPT", 100)
    chain = compile_chain(small_model)
    estimate_percentiles(chain)
    most = max(100, 2 * len(chain.trie))
    assert 50 < max(kept) <= most
    assert 10 < kept[-1] <= most / 8  # where few names are so long
    monkeypatch.setattr(models.scoring.percentile_estimation, "CELLS", 4 * 30)
    kept.clear()
    estimate_percentiles(chain)
    assert 15 < max(kept) <= 30


def test_thinned_beginnings_give_nearly_the_same_laws(
    small_model: LinearModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    chain = compile_chain(small_model)
    exact = estimate_percentiles(chain)
    monkeypatch.setattr(models.scoring.percentile_estimation, "KEPT", 200)
    thinned = estimate_percentiles(chain)
    for length in range(1, 9):
        likelihoods, logs = exact.knots[length - 1].T
        found = thinned.of(likelihoods, np.full(KNOTS, length))
        assert found == pytest.approx(np.exp(logs), abs=0.03)
        assert np.log(found) == pytest.approx(logs, rel=0.2, abs=0.1)  # far into the tail


def test_thinning_keeps_the_probability_of_all_and_of_the_states(fivegram: LinearModel) -> None:
    everything = beginnings_of(compile_chain(fivegram), 3)
    thinned = resample(everything, 5_000)
    assert 2_000 < len(thinned) <= 5_000  # some stand for several marks of the line
    shares = [
        np.bincount(some.states % 26, np.exp(some.log_weights), 26)
        for some in (everything, thinned)
    ]
    assert shares[0].sum() == pytest.approx(1, abs=0.01)
    assert shares[1] == pytest.approx(shares[0], abs=0.002)


def test_sampled_growth_keeps_the_probability_of_all_and_of_the_states(
    fivegram: LinearModel,
) -> None:
    chain = compile_chain(fivegram)
    product, everything = multiply(chain, [], 3), beginnings_of(chain, 3)
    two = beginnings_of(chain, 2)
    sampled = grow(chain, product, 2, two, most=4_000)
    assert 2_000 < len(sampled) <= 4_000 + len(two) < len(everything)
    shares = [
        np.bincount(some.states % 26, np.exp(some.log_weights), 26)
        for some in (everything, sampled)
    ]
    assert shares[0].sum() == pytest.approx(1, abs=0.01)
    assert shares[1] == pytest.approx(shares[0], abs=0.003)
    # Each is one of all, with its own log-likelihood.
    pairs = set(zip(everything.states, everything.log_likelihoods.round(9), strict=True))
    assert pairs >= set(zip(sampled.states, sampled.log_likelihoods.round(9), strict=True))


def test_all_beginnings_are_grown(small_model: LinearModel, small_layer: Layer) -> None:
    grown = beginnings_of(compile_chain(small_model), 3)
    assert len(grown) == 27
    assert np.array_equal(grown.log_likelihoods, grown.log_weights)
    ended = [small_layer.probability(name) for name in all_names("abc", 2)]
    empty = small_layer.probability("")
    assert np.exp(grown.log_weights).sum() == pytest.approx(1 - empty - sum(ended))


@pytest.mark.parametrize("name", list(ARCHITECTURES))
def test_the_percentiles_of_a_models_own_names_are_uniform(name: str, checkpoints: Path) -> None:
    checkpoint = load((checkpoints / f"{name}.safetensors").read_bytes())
    chain = compile_chain(checkpoint.model)
    for length in range(3, 11):
        sampler = Sampler(condition(chain, Constraints(min_length=length, max_length=length)))
        names = sampler.draw(DRAWN, np.random.default_rng(length))
        found = checkpoint.percentiles.of(log_likelihoods(chain, names), np.full(DRAWN, length))
        test = kstest(found, "uniform")
        assert test.pvalue > 1e-3, (length, test)


def test_names_longer_than_the_table_are_judged_roughly_as_they_should(checkpoints: Path) -> None:
    checkpoint = load((checkpoints / "fivegram.safetensors").read_bytes())
    chain, extensions = compile_chain(checkpoint.model), checkpoint.percentiles.longest + 5
    assert checkpoint.percentiles.longest > 15
    sampler = Sampler(condition(chain, Constraints(min_length=extensions, max_length=extensions)))
    names = sampler.draw(2_000, np.random.default_rng(1))
    found = checkpoint.percentiles.of(log_likelihoods(chain, names), np.full(2_000, extensions))
    assert kstest(found, "uniform").statistic < 0.1


def test_another_process_finds_the_same_to_the_last_digit(
    checkpoints: Path, tmp_path: Path
) -> None:
    path = checkpoints / "sinusoidal.safetensors"
    program = (
        "import sys; from pathlib import Path; from models.checkpoint import load;"
        "from models.chain.markov_chain import compile_chain;"
        "from models.scoring.percentile_estimation import estimate_percentiles;"
        "model = load(Path(sys.argv[1]).read_bytes()).model;"
        "sys.stdout.buffer.write(estimate_percentiles(compile_chain(model)).knots.tobytes())"
    )
    ran = subprocess.run([sys.executable, "-c", program, path], capture_output=True, check=True)
    here = estimate_percentiles(compile_chain(load(path.read_bytes()).model)).knots
    assert ran.stdout == here.tobytes()


def test_what_no_name_is_spelled_like_is_not_compared_with(small_model: LinearModel) -> None:
    # A space at an end, or an e and its accent apart, is in no name, however likely.
    letters = Vocabulary(" e\N{COMBINING ACUTE ACCENT}")
    chain = compile_chain(LinearModel(small_model.feature_map, letters, small_model.weights))
    table = estimate_percentiles(chain)
    for length in (1, 2, 3, 4):
        sampler = Sampler(condition(chain, Constraints(min_length=length, max_length=length)))
        names = sampler.draw(5_000, np.random.default_rng(1))
        found = table.of(log_likelihoods(chain, names), np.full(len(names), length))
        assert found.mean() == pytest.approx(0.5, abs=0.02)
        assert found.min() == pytest.approx(np.mean(found == found.min()) / 2, abs=0.02)


def test_an_alphabet_of_one_letter_has_one_name_of_each_length() -> None:
    letters = Vocabulary("a")
    feature_map = FeatureMap.from_arrays(
        "bigram", 2, 23, np.empty((0, 2), dtype=np.intp), np.empty((0, 2), np.intp)
    )
    chain = compile_chain(LinearModel(feature_map, letters, np.zeros((2, 2), dtype=np.float32)))
    table = estimate_percentiles(chain)
    names = ["a" * length for length in range(1, 6)]
    found = table.of(log_likelihoods(chain, names), np.arange(1, 6))
    assert found == pytest.approx(0.5, abs=1e-6)


def test_names_that_are_all_alike_are_all_in_the_middle() -> None:
    feature_map = FeatureMap.from_arrays(
        "bigram", 27, 23, np.empty((0, 2), np.intp), np.empty((0, 2), np.intp)
    )
    chain = compile_chain(LinearModel(feature_map, ALPHABET, np.zeros((27, 27), dtype=np.float32)))
    names = ["emma", "qqqq", "abcdefgh"]
    found = estimate_percentiles(chain).of(log_likelihoods(chain, names), np.array([4, 4, 8]))
    assert found == pytest.approx(0.5, abs=0.01)
