import math

import numpy as np
import pytest

from models.chain import START, compile_chain
from models.conditioning import ConditionedChain, Wish, condition
from models.linear import LinearModel
from models.vocabulary import BOUNDARY
from oracle import all_names, name_probability


def probability(conditioned: ConditionedChain, name: str) -> float:
    """What a conditioned chain over a, b, c gives a name."""
    total, state = 1.0, START
    for step, letter in enumerate(name):
        token = "abc".index(letter) + 1
        total *= conditioned.steps[step, state, token]
        state = conditioned.successors[state, token]
    return float(total * conditioned.steps[len(name), state, BOUNDARY])


@pytest.mark.parametrize("temperature", [0.3, 1.0, 4.0])
@pytest.mark.parametrize("max_length", [1, 2, 6])
def test_each_name_has_its_share_among_all_names_that_fulfil_the_wish(
    small_model: LinearModel, max_length: int, temperature: float
) -> None:
    wish = Wish(max_length, temperature)
    conditioned = condition(compile_chain(small_model), wish)
    weights = small_model.weights.astype(np.float64) / temperature
    expected = {
        name: name_probability(weights, "abc", name) for name in all_names("abc", max_length)
    }
    fulfilled = sum(expected.values())
    assert math.exp(conditioned.log_probability) == pytest.approx(fulfilled, rel=1e-12)
    for name, share in expected.items():
        assert probability(conditioned, name) == pytest.approx(share / fulfilled, rel=1e-12)


def test_every_step_is_a_distribution_however_cold_or_hot(post_model: LinearModel) -> None:
    chain = compile_chain(post_model)
    for temperature in (0.05, 10.0):
        for max_length in (1, 64):
            conditioned = condition(chain, Wish(max_length, temperature))
            assert conditioned.steps.sum(axis=-1) == pytest.approx(1.0, abs=1e-12)
            assert (conditioned.steps[0, :, BOUNDARY] == 0).all()
            assert (conditioned.steps[max_length, :, BOUNDARY] == 1).all()


def test_no_wish_is_more_than_certain(post_model: LinearModel) -> None:
    chain = compile_chain(post_model)
    for temperature in (0.05, 0.1, 0.2, 0.3):
        assert condition(chain, Wish(64, temperature)).log_probability <= 0.0


def test_the_wish_is_near_certain_for_the_posts_model(post_model: LinearModel) -> None:
    # All but the empty name and the tail of the long ones.
    conditioned = condition(compile_chain(post_model), Wish())
    assert 0.99 < math.exp(conditioned.log_probability) < 1
