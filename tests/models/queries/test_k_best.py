import math
from heapq import heappop

import numpy as np
import pytest

from models.chain.conditioning import condition
from models.chain.markov_chain import MarkovChain, compile_chain
from models.constraints.constraints import Constraints
from models.counts.context_trie import START
from models.linear.model import LinearModel
from models.queries.k_best import _edges, best_completions, k_best
from models.queries.sampling import Sampler
from tests.support.oracle import Layer, name_distribution

CONSTRAINTS = [
    Constraints(),
    Constraints(8, 0.5, pattern="k*"),
    Constraints(pattern="*lyn"),
    Constraints(6, 2.0, 4, top_k=3),
    Constraints(exclude=frozenset("aeiou")),
    Constraints(3, pattern="[aeiou]??"),
]


@pytest.mark.parametrize("count", [0, 1, 2, 7, 39, 1_091, 1_092, 2_000])
def test_k_best_returns_the_requested_number_of_most_probable_names(
    small_model: LinearModel, small_layer: Layer, count: int
) -> None:
    names = name_distribution(small_layer, 6)
    best = best_completions(condition(compile_chain(small_model), Constraints(6)))
    ranked_names = k_best(best, count)
    assert len({ranked.name for ranked in ranked_names}) == len(ranked_names) == min(count, 1_092)
    descending = sorted(names.values(), reverse=True)
    for ranked, expected in zip(ranked_names, descending, strict=False):
        assert ranked.log_likelihood == pytest.approx(math.log(expected), abs=1e-12)
        assert ranked.log_likelihood == pytest.approx(math.log(names[ranked.name]), abs=1e-12)


@pytest.mark.parametrize("constraints", CONSTRAINTS)
def test_no_sampled_name_outside_the_k_best_is_more_probable(
    post_chain: MarkovChain, post_layer: Layer, constraints: Constraints
) -> None:
    conditioned = condition(post_chain, constraints)
    ranked_names = k_best(best_completions(conditioned), 50)
    layer = post_layer.at(constraints.temperature, constraints.top_k)
    for ranked in ranked_names:
        expected = math.log(layer.probability(ranked.name))
        assert ranked.log_likelihood == pytest.approx(expected, abs=1e-9)
    names = {ranked.name for ranked in ranked_names}
    for name in set(Sampler(conditioned).draw(1_000, np.random.default_rng(1))) - names:
        assert math.log(layer.probability(name)) < ranked_names[-1].log_likelihood + 1e-9


def test_fewer_names_are_the_first_ones_of_more(fivegram: LinearModel) -> None:
    best = best_completions(condition(compile_chain(fivegram), Constraints(20)))
    many = k_best(best, 300)
    assert [ranked.name for ranked in many[:5]] == [ranked.name for ranked in k_best(best, 5)]
    for count in (1, 20, 299):
        assert k_best(best, count) == many[:count]


def test_the_log_likelihood_is_unconditioned_even_under_narrow_constraints(
    fivegram: LinearModel, fivegram_layer: Layer
) -> None:
    conditioned = condition(compile_chain(fivegram), Constraints(pattern="maria"))
    (only,) = k_best(best_completions(conditioned), 10)
    assert only.name == "maria"
    assert only.log_likelihood == pytest.approx(conditioned.log_probability, abs=1e-12)
    expected = math.log(fivegram_layer.probability("maria"))
    assert only.log_likelihood == pytest.approx(expected, abs=1e-9)


def test_equally_probable_names_are_in_alphabetical_order(
    small_model: LinearModel,
) -> None:
    flat = LinearModel(
        small_model.feature_map, small_model.vocabulary, np.zeros_like(small_model.weights)
    )
    best = best_completions(condition(compile_chain(flat), Constraints(2)))
    names = [ranked.name for ranked in k_best(best, 12)]
    assert names == ["a", "b", "c", "aa", "ab", "ac", "ba", "bb", "bc", "ca", "cb", "cc"]


def test_a_node_has_at_most_as_many_edges_as_names_are_requested(post_chain: MarkovChain) -> None:
    best = best_completions(condition(post_chain, Constraints()))
    edges = _edges(best, 0, START, 27)
    assert len(edges) == 26  # without the end: a name has a character
    for count in (0, 1, 5):
        assert _edges(best, 0, START, count) == edges[:count]


def test_the_search_expands_only_prefixes_of_the_returned_names(
    post_chain: MarkovChain, monkeypatch: pytest.MonkeyPatch
) -> None:
    best, expanded = best_completions(condition(post_chain, Constraints())), []

    def counting_heappop(heap: list[float]) -> float:
        expanded.append(heap)
        return heappop(heap)

    monkeypatch.setattr("models.queries.k_best.heappop", counting_heappop)
    names = k_best(best, 100)
    assert len(expanded) <= sum(len(ranked.name) + 1 for ranked in names)
