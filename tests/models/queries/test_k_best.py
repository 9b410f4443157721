import math
from heapq import heappop

import numpy as np
import pytest

from models.chain.conditioning import condition
from models.chain.markov_chain import MarkovChain, compile_chain
from models.constraints.constraints import Constraints
from models.counts.context_trie import START
from models.linear.model import LinearModel
from models.queries.k_best import _steps, best_completions, k_best
from models.queries.sampling import Sampler
from tests.support.oracle import Layer, name_distribution

WISHES = [
    Constraints(),
    Constraints(8, 0.5, pattern="k*"),
    Constraints(pattern="*lyn"),
    Constraints(6, 2.0, 4, top_k=3),
    Constraints(exclude=frozenset("aeiou")),
    Constraints(3, pattern="[aeiou]??"),
]


@pytest.mark.parametrize("count", [0, 1, 2, 7, 39, 1_091, 1_092, 2_000])
def test_as_many_names_are_found_as_are_asked_for_and_they_are_the_likeliest(
    small_model: LinearModel, small_layer: Layer, count: int
) -> None:
    law = name_distribution(small_layer, 6)
    found = k_best(best_completions(condition(compile_chain(small_model), Constraints(6))), count)
    assert len({likely.name for likely in found}) == len(found) == min(count, 1_092)
    for likely, expected in zip(found, sorted(law.values(), reverse=True), strict=False):
        assert likely.log_likelihood == pytest.approx(math.log(expected), abs=1e-12)
        assert likely.log_likelihood == pytest.approx(math.log(law[likely.name]), abs=1e-12)


@pytest.mark.parametrize("constraints", WISHES)
def test_no_name_that_is_drawn_is_likelier_than_the_list_says(
    post_chain: MarkovChain, post_layer: Layer, constraints: Constraints
) -> None:
    conditioned = condition(post_chain, constraints)
    found = k_best(best_completions(conditioned), 50)
    layer = post_layer.at(constraints.temperature, constraints.top_k)
    for likely in found:
        expected = math.log(layer.probability(likely.name))
        assert likely.log_likelihood == pytest.approx(expected, abs=1e-9)
    listed, last = {likely.name for likely in found}, found[-1].log_likelihood
    for name in set(Sampler(conditioned).draw(1_000, np.random.default_rng(1))) - listed:
        assert math.log(layer.probability(name)) < last + 1e-9


def test_fewer_names_are_the_first_of_more(fivegram: LinearModel) -> None:
    best = best_completions(condition(compile_chain(fivegram), Constraints(20)))
    many = k_best(best, 300)
    assert [likely.name for likely in many[:5]] == [likely.name for likely in k_best(best, 5)]
    for count in (1, 20, 299):
        assert k_best(best, count) == many[:count]


def test_the_log_likelihood_is_that_of_the_model_however_narrow_the_wish(
    fivegram: LinearModel, fivegram_layer: Layer
) -> None:
    conditioned = condition(compile_chain(fivegram), Constraints(pattern="maria"))
    (only,) = k_best(best_completions(conditioned), 10)
    assert only.name == "maria"
    assert only.log_likelihood == pytest.approx(conditioned.log_probability, abs=1e-12)
    expected = math.log(fivegram_layer.probability("maria"))
    assert only.log_likelihood == pytest.approx(expected, abs=1e-9)


def test_names_that_are_equally_likely_are_in_the_order_of_the_alphabet(
    small_model: LinearModel,
) -> None:
    flat = LinearModel(
        small_model.feature_map, small_model.vocabulary, np.zeros_like(small_model.weights)
    )
    best = best_completions(condition(compile_chain(flat), Constraints(2)))
    names = [likely.name for likely in k_best(best, 12)]
    assert names == ["a", "b", "c", "aa", "ab", "ac", "ba", "bb", "bc", "ca", "cb", "cc"]


def test_no_more_steps_are_looked_at_than_names_are_sought(post_chain: MarkovChain) -> None:
    best = best_completions(condition(post_chain, Constraints()))
    steps = _steps(best, 0, START, 27)
    assert len(steps) == 26  # a name has a character
    for count in (0, 1, 5):
        assert _steps(best, 0, START, count) == steps[:count]


def test_the_search_goes_nowhere_but_to_the_names_it_finds(
    post_chain: MarkovChain, monkeypatch: pytest.MonkeyPatch
) -> None:
    best, popped = best_completions(condition(post_chain, Constraints())), []

    def heappop_and_tell(heap: list[float]) -> float:
        popped.append(heap)
        return heappop(heap)

    monkeypatch.setattr("models.queries.k_best.heappop", heappop_and_tell)
    names = k_best(best, 100)
    assert len(popped) <= sum(len(found.name) + 1 for found in names)
