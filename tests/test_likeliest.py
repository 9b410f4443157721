import math
from heapq import heappop

import numpy as np
import pytest

from models.chain import Chain, compile_chain
from models.conditioning import condition
from models.likeliest import _steps, best_endings, likeliest
from models.linear import LinearModel
from models.sampling import Sampler
from models.suffixes import START
from models.wish import Wish
from oracle import Layer, law_of_names

WISHES = [Wish(), Wish(8, 0.5, pattern="k*"), Wish(pattern="*lyn"), Wish(6, 2.0, 4, top_k=3),
          Wish(exclude=frozenset("aeiou")), Wish(3, pattern="[aeiou]??")]  # fmt: skip


@pytest.mark.parametrize("count", [0, 1, 2, 7, 39, 1_091, 1_092, 2_000])
def test_as_many_names_are_found_as_are_asked_for_and_they_are_the_likeliest(
    small_model: LinearModel, small_layer: Layer, count: int
) -> None:
    law = law_of_names(small_layer, 6)
    found = likeliest(best_endings(condition(compile_chain(small_model), Wish(6))), count)
    assert len({likely.name for likely in found}) == len(found) == min(count, 1_092)
    for likely, expected in zip(found, sorted(law.values(), reverse=True), strict=False):
        assert likely.log_likelihood == pytest.approx(math.log(expected), abs=1e-12)
        assert likely.log_likelihood == pytest.approx(math.log(law[likely.name]), abs=1e-12)


@pytest.mark.parametrize("wish", WISHES)
def test_no_name_that_is_drawn_is_likelier_than_the_list_says(
    post_chain: Chain, post_layer: Layer, wish: Wish
) -> None:
    conditioned = condition(post_chain, wish)
    found = likeliest(best_endings(conditioned), 50)
    layer = post_layer.at(wish.temperature, wish.top_k)
    for likely in found:
        expected = math.log(layer.probability(likely.name))
        assert likely.log_likelihood == pytest.approx(expected, abs=1e-9)
    listed, last = {likely.name for likely in found}, found[-1].log_likelihood
    for name in set(Sampler(conditioned).draw(1_000, np.random.default_rng(1))) - listed:
        assert math.log(layer.probability(name)) < last + 1e-9


def test_fewer_names_are_the_first_of_more(fivegram: LinearModel) -> None:
    best = best_endings(condition(compile_chain(fivegram), Wish(20)))
    many = likeliest(best, 300)
    assert [likely.name for likely in many[:5]] == [likely.name for likely in likeliest(best, 5)]
    for count in (1, 20, 299):
        assert likeliest(best, count) == many[:count]


def test_the_log_likelihood_is_that_of_the_model_however_narrow_the_wish(
    fivegram: LinearModel, fivegram_layer: Layer
) -> None:
    conditioned = condition(compile_chain(fivegram), Wish(pattern="maria"))
    (only,) = likeliest(best_endings(conditioned), 10)
    assert only.name == "maria"
    assert only.log_likelihood == pytest.approx(conditioned.log_probability, abs=1e-12)
    expected = math.log(fivegram_layer.probability("maria"))
    assert only.log_likelihood == pytest.approx(expected, abs=1e-9)


def test_names_that_are_equally_likely_are_in_the_order_of_the_alphabet(
    small_model: LinearModel,
) -> None:
    flat = LinearModel(
        small_model.layout, small_model.vocabulary, np.zeros_like(small_model.weights)
    )
    best = best_endings(condition(compile_chain(flat), Wish(2)))
    names = [likely.name for likely in likeliest(best, 12)]
    assert names == ["a", "b", "c", "aa", "ab", "ac", "ba", "bb", "bc", "ca", "cb", "cc"]


def test_no_more_steps_are_looked_at_than_names_are_sought(post_chain: Chain) -> None:
    best = best_endings(condition(post_chain, Wish()))
    steps = _steps(best, 0, START, 27)
    assert len(steps) == 26  # a name has a character
    for count in (0, 1, 5):
        assert _steps(best, 0, START, count) == steps[:count]


def test_the_search_goes_nowhere_but_to_the_names_it_finds(
    post_chain: Chain, monkeypatch: pytest.MonkeyPatch
) -> None:
    best, popped = best_endings(condition(post_chain, Wish())), []

    def heappop_and_tell(heap: list[float]) -> float:
        popped.append(heap)
        return heappop(heap)

    monkeypatch.setattr("models.likeliest.heappop", heappop_and_tell)
    names = likeliest(best, 100)
    assert len(popped) <= sum(len(found.name) + 1 for found in names)
