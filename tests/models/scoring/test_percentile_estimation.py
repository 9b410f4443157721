"""Percentile tables, compared with brute force and with sampled names."""

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
    extend,
    resample,
)
from models.scoring.percentile_table import GRID_SIZE
from models.text.vocabulary import Vocabulary
from tests.support.oracle import Layer, all_names
from tests.support.post import ALPHABET

DRAWN = 20_000


def prefixes_of(chain: MarkovChain, length: int) -> WeightedPrefixes:
    """All prefixes of a length."""
    prefixes = WeightedPrefixes(np.array([START]), np.zeros(1), np.zeros(1))
    product = multiply(chain, [], length)
    for position in range(length):
        prefixes = extend(chain, product, position, prefixes)
    return prefixes


def mid_ranks(probabilities: Floats) -> list[float]:
    """The share of less probable names plus half of the equally probable ones, for each name."""
    # Names with the same letters in another order differ by rounding.
    less = [probabilities[probabilities < p * (1 - 1e-9)].sum() for p in probabilities]
    more = [probabilities[probabilities > p * (1 + 1e-9)].sum() for p in probabilities]
    return [float(x + 1 - y) / 2 for x, y in zip(less, more, strict=True)]


def test_the_percentiles_of_few_names_are_exact(
    small_model: LinearModel, small_layer: Layer
) -> None:
    table = estimate_percentiles(compile_chain(small_model))
    for length in (1, 2, 3, 4):  # up to 81 names, fewer than GRID_SIZE
        names = [name for name in all_names("abc", length) if len(name) == length]
        probabilities = np.array([small_layer.probability(name) for name in names])
        percentiles = table.percentiles(np.log(probabilities), np.full(len(names), length))
        assert percentiles == pytest.approx(
            mid_ranks(probabilities / probabilities.sum()), abs=1e-5
        )


def test_progress_is_reported_once_for_each_length(small_model: LinearModel) -> None:
    lengths: list[None] = []
    table = estimate_percentiles(compile_chain(small_model), lambda: lengths.append(None))
    assert len(lengths) == table.max_length > 1


def test_the_percentiles_of_many_names_are_nearly_exact(
    small_model: LinearModel, small_layer: Layer
) -> None:
    table = estimate_percentiles(compile_chain(small_model))
    names = [name for name in all_names("abc", 7) if len(name) == 7]
    probabilities = np.array([small_layer.probability(name) for name in names])
    percentiles = table.percentiles(np.log(probabilities), np.full(len(names), 7))
    assert percentiles == pytest.approx(mid_ranks(probabilities / probabilities.sum()), abs=0.006)


def test_the_distribution_is_accurate_far_into_its_tail(small_model: LinearModel) -> None:
    chain = compile_chain(small_model)
    names = [name for name in all_names("abc", 9) if len(name) == 9]
    likelihoods = log_likelihoods(chain, names)
    probabilities = np.exp(np.sort(likelihoods))
    exact = np.log((probabilities.cumsum() - probabilities / 2) / probabilities.sum())
    estimated = np.log(
        estimate_percentiles(chain).percentiles(np.sort(likelihoods), np.full(len(names), 9))
    )
    assert exact[50] < -12
    assert estimated[50:] == pytest.approx(exact[50:], abs=0.4)
    assert estimated[:50] == pytest.approx(exact[:50], abs=3)  # single names


@pytest.mark.parametrize("scale", [30, 100, 3_000, 60_000])
def test_a_model_of_extreme_weights_has_distributions_too(
    small_model: LinearModel, scale: float
) -> None:
    feature_map, letters = small_model.feature_map, small_model.vocabulary
    chain = compile_chain(
        LinearModel(feature_map, letters, small_model.weights * np.float32(scale))
    )
    table = estimate_percentiles(chain)
    for length in range(1, min(table.max_length, 6) + 1):
        conditioned = condition(chain, Constraints(min_length=length, max_length=length))
        names = Sampler(conditioned).draw(1_000, np.random.default_rng(1))
        percentiles = table.percentiles(log_likelihoods(chain, names), np.full(1_000, length))
        # Few distinct names are drawn. Half the share of each counts as below it.
        shares, times = np.unique(percentiles, return_counts=True)
        assert shares == pytest.approx((times.cumsum() - times / 2) / 1_000, abs=0.06)


def test_names_that_differ_by_rounding_have_equal_percentiles() -> None:
    # A bigram of equally probable letters, up to the rounding of float32.
    feature_map = FeatureMap.from_arrays(
        "bigram", 4, 23, np.empty((0, 2), np.intp), np.empty((0, 2), np.intp)
    )
    weights = np.random.default_rng(1).normal(0, 1e-9, size=(4, 4)).astype(np.float32)
    chain = compile_chain(LinearModel(feature_map, Vocabulary("abc"), weights))
    names = ["abca", "bbbb", "cacb"]
    percentiles = estimate_percentiles(chain).percentiles(
        log_likelihoods(chain, names), np.full(3, 4)
    )
    assert percentiles == pytest.approx(0.5, abs=1e-6)


def test_the_number_of_prefixes_is_bounded(
    small_model: LinearModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    counts: list[int] = []

    def counting_resample(prefixes: WeightedPrefixes, count: int) -> WeightedPrefixes:
        counts.append(len(resample(prefixes, count)))
        return resample(prefixes, count)

    monkeypatch.setattr(models.scoring.percentile_estimation, "resample", counting_resample)
    monkeypatch.setattr(models.scoring.percentile_estimation, "MIN_PREFIXES", 100)
    chain = compile_chain(small_model)
    estimate_percentiles(chain)
    most = max(100, 2 * len(chain.trie))
    assert 50 < max(counts) <= most
    assert 10 < counts[-1] <= most / 8  # where few names are longer
    monkeypatch.setattr(models.scoring.percentile_estimation, "MAX_PREFIX_CELLS", 4 * 30)
    counts.clear()
    estimate_percentiles(chain)
    assert 15 < max(counts) <= 30


def test_fewer_prefixes_give_nearly_the_same_distributions(
    small_model: LinearModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    chain = compile_chain(small_model)
    exact = estimate_percentiles(chain)
    monkeypatch.setattr(models.scoring.percentile_estimation, "MIN_PREFIXES", 200)
    coarse = estimate_percentiles(chain)
    for length in range(1, 9):
        likelihoods, logs = exact.grid[length - 1].T
        percentiles = coarse.percentiles(likelihoods, np.full(GRID_SIZE, length))
        assert percentiles == pytest.approx(np.exp(logs), abs=0.03)
        assert np.log(percentiles) == pytest.approx(logs, rel=0.2, abs=0.1)  # far into the tail


def test_resampling_preserves_the_probability_of_each_state(fivegram: LinearModel) -> None:
    everything = prefixes_of(compile_chain(fivegram), 3)
    sampled = resample(everything, 5_000)
    assert 2_000 < len(sampled) <= 5_000
    shares = [
        np.bincount(prefixes.states % 26, np.exp(prefixes.log_weights), 26)
        for prefixes in (everything, sampled)
    ]
    assert shares[0].sum() == pytest.approx(1, abs=0.01)
    assert shares[1] == pytest.approx(shares[0], abs=0.002)


def test_sampled_extension_preserves_the_probability_of_each_state(
    fivegram: LinearModel,
) -> None:
    chain = compile_chain(fivegram)
    product, everything = multiply(chain, [], 3), prefixes_of(chain, 3)
    two = prefixes_of(chain, 2)
    sampled = extend(chain, product, 2, two, max_children=4_000)
    assert 2_000 < len(sampled) <= 4_000 + len(two) < len(everything)
    shares = [
        np.bincount(prefixes.states % 26, np.exp(prefixes.log_weights), 26)
        for prefixes in (everything, sampled)
    ]
    assert shares[0].sum() == pytest.approx(1, abs=0.01)
    assert shares[1] == pytest.approx(shares[0], abs=0.003)
    # Each sampled prefix is one of all prefixes and has its log-likelihood.
    pairs = set(zip(everything.states, everything.log_likelihoods.round(9), strict=True))
    assert pairs >= set(zip(sampled.states, sampled.log_likelihoods.round(9), strict=True))


def test_unlimited_extension_returns_all_prefixes(
    small_model: LinearModel, small_layer: Layer
) -> None:
    prefixes = prefixes_of(compile_chain(small_model), 3)
    assert len(prefixes) == 27
    assert np.array_equal(prefixes.log_likelihoods, prefixes.log_weights)
    ended = [small_layer.probability(name) for name in all_names("abc", 2)]
    empty = small_layer.probability("")
    assert np.exp(prefixes.log_weights).sum() == pytest.approx(1 - empty - sum(ended))


@pytest.mark.parametrize("name", list(ARCHITECTURES))
def test_the_percentiles_of_a_models_own_names_are_uniform(name: str, checkpoints: Path) -> None:
    checkpoint = load((checkpoints / f"{name}.safetensors").read_bytes())
    chain = compile_chain(checkpoint.model)
    for length in range(3, 11):
        sampler = Sampler(condition(chain, Constraints(min_length=length, max_length=length)))
        names = sampler.draw(DRAWN, np.random.default_rng(length))
        percentiles = checkpoint.percentiles.percentiles(
            log_likelihoods(chain, names), np.full(DRAWN, length)
        )
        test = kstest(percentiles, "uniform")
        assert test.pvalue > 1e-3, (length, test)


def test_names_longer_than_the_table_have_nearly_uniform_percentiles(checkpoints: Path) -> None:
    checkpoint = load((checkpoints / "fivegram.safetensors").read_bytes())
    chain, length = compile_chain(checkpoint.model), checkpoint.percentiles.max_length + 5
    assert checkpoint.percentiles.max_length > 15
    sampler = Sampler(condition(chain, Constraints(min_length=length, max_length=length)))
    names = sampler.draw(2_000, np.random.default_rng(1))
    percentiles = checkpoint.percentiles.percentiles(
        log_likelihoods(chain, names), np.full(2_000, length)
    )
    assert kstest(percentiles, "uniform").statistic < 0.1


def test_another_process_computes_the_same_table(checkpoints: Path, tmp_path: Path) -> None:
    path = checkpoints / "sinusoidal.safetensors"
    program = (
        "import sys; from pathlib import Path; from models.checkpoint import load;"
        "from models.chain.markov_chain import compile_chain;"
        "from models.scoring.percentile_estimation import estimate_percentiles;"
        "model = load(Path(sys.argv[1]).read_bytes()).model;"
        "sys.stdout.buffer.write(estimate_percentiles(compile_chain(model)).grid.tobytes())"
    )
    ran = subprocess.run([sys.executable, "-c", program, path], capture_output=True, check=True)
    expected = estimate_percentiles(compile_chain(load(path.read_bytes()).model)).grid
    assert ran.stdout == expected.tobytes()


def test_strings_that_normalisation_would_change_are_not_in_the_distributions(
    small_model: LinearModel,
) -> None:
    # No name has a space at an end, or an e beside its accent, however probable they are.
    letters = Vocabulary(" e\N{COMBINING ACUTE ACCENT}")
    chain = compile_chain(LinearModel(small_model.feature_map, letters, small_model.weights))
    table = estimate_percentiles(chain)
    for length in (1, 2, 3, 4):
        sampler = Sampler(condition(chain, Constraints(min_length=length, max_length=length)))
        names = sampler.draw(5_000, np.random.default_rng(1))
        percentiles = table.percentiles(log_likelihoods(chain, names), np.full(len(names), length))
        assert percentiles.mean() == pytest.approx(0.5, abs=0.02)
        assert percentiles.min() == pytest.approx(
            np.mean(percentiles == percentiles.min()) / 2, abs=0.02
        )


def test_the_only_name_of_a_length_has_the_percentile_one_half() -> None:
    letters = Vocabulary("a")
    feature_map = FeatureMap.from_arrays(
        "bigram", 2, 23, np.empty((0, 2), dtype=np.intp), np.empty((0, 2), np.intp)
    )
    chain = compile_chain(LinearModel(feature_map, letters, np.zeros((2, 2), dtype=np.float32)))
    table = estimate_percentiles(chain)
    names = ["a" * length for length in range(1, 6)]
    percentiles = table.percentiles(log_likelihoods(chain, names), np.arange(1, 6))
    assert percentiles == pytest.approx(0.5, abs=1e-6)


def test_equally_probable_names_have_the_percentile_one_half() -> None:
    feature_map = FeatureMap.from_arrays(
        "bigram", 27, 23, np.empty((0, 2), np.intp), np.empty((0, 2), np.intp)
    )
    chain = compile_chain(LinearModel(feature_map, ALPHABET, np.zeros((27, 27), dtype=np.float32)))
    names = ["emma", "qqqq", "abcdefgh"]
    percentiles = estimate_percentiles(chain).percentiles(
        log_likelihoods(chain, names), np.array([4, 4, 8])
    )
    assert percentiles == pytest.approx(0.5, abs=0.01)
