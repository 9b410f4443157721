"""Tests of compiled constraints: the marginals are those of the conditioned chain."""

import numpy as np
import pytest

from models.chain.conditioning import condition
from models.chain.markov_chain import compile_chain
from models.constraints.constraints import Constraints
from models.linear.model import LinearModel
from models.queries.marginals import (
    bigram_marginals,
    expected_counts,
    length_distribution,
    support_size,
)
from models.text.vocabulary import BOUNDARY
from service.catalog.compiled_constraints import CompiledConstraints
from tests.support.oracle import Layer, name_distribution

LENGTH_LIMIT = 6
ALL_TOKENS = np.arange(4)


@pytest.fixture
def compiled(small_model: LinearModel) -> CompiledConstraints:
    """The names of up to LENGTH_LIMIT characters."""
    constraints = Constraints(max_length=LENGTH_LIMIT)
    return CompiledConstraints(condition(compile_chain(small_model), constraints))


@pytest.mark.parametrize("limit", [1, 2])
def test_bigrams_are_limited_to_the_most_frequent_characters(
    compiled: CompiledConstraints, small_layer: Layer, limit: int
) -> None:
    expected = dict.fromkeys("abc", 0.0)
    for name, probability in name_distribution(small_layer, LENGTH_LIMIT).items():
        for character in name:
            expected[character] += probability
    characters = sorted("abc", key=lambda character: -expected[character])[:limit]
    tokens = [BOUNDARY, *sorted("abc".index(character) + 1 for character in characters)]
    assert compiled.most_frequent(limit).tolist() == tokens
    whole, limited = (
        bigram_marginals(compiled.chain, 2, ALL_TOKENS),
        compiled.bigrams(2, limit),
    )
    assert limited.joint == pytest.approx(whole.joint[np.ix_(tokens, tokens)])
    assert limited.previous == pytest.approx(whole.previous[tokens])
    assert (limited.reached, limited.ended) == pytest.approx((whole.reached, whole.ended))


def test_marginals_are_computed_once(compiled: CompiledConstraints) -> None:
    assert not compiled.has_cached("lengths")
    lengths = compiled.lengths
    assert compiled.has_cached("lengths")
    assert compiled.lengths is lengths
    assert lengths.tolist() == length_distribution(compiled.chain).tolist()
    assert compiled.expected_counts.tolist() == expected_counts(compiled.chain).tolist()
    assert compiled.support == support_size(compiled.chain)


def test_the_size_and_the_probability_are_those_of_the_sampler(
    compiled: CompiledConstraints,
) -> None:
    assert compiled.size == compiled.sampler.size
    assert compiled.probability == compiled.sampler.probability
    assert compiled.cells == compiled.chain.num_transitions
