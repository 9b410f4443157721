import itertools
import math
from dataclasses import replace

import numpy as np
import pytest

from models.chain import Chain, compile_chain
from models.conditioning import ConditionedChain, condition
from models.counts import count
from models.layout import Layout
from models.lengths import length_law
from models.linear import LinearModel
from models.suffixes import START
from models.transitions import transitions
from models.vocabulary import BOUNDARY, Vocabulary
from models.wish import Wish
from oracle import Layer, all_names


def probability(conditioned: ConditionedChain, name: str) -> float:
    """What a conditioned chain over a, b, c gives a name."""
    total, state = 1.0, START
    for length, letter in enumerate(name):
        token = "abc".index(letter) + 1
        total *= conditioned.steps(length, state)[token]
        state = int(conditioned.product.successors[state, token])
    return float(total * conditioned.steps(len(name), state)[BOUNDARY])


@pytest.mark.parametrize("temperature", [0.3, 1.0, 4.0])
@pytest.mark.parametrize("max_length", [1, 2, 6])
def test_each_name_has_its_share_among_all_names_that_fulfil_the_wish(
    small_model: LinearModel, small_layer: Layer, max_length: int, temperature: float
) -> None:
    conditioned = condition(compile_chain(small_model), Wish(max_length, temperature))
    layer = small_layer.at(temperature)
    expected = {name: layer.probability(name) for name in all_names("abc", max_length)}
    fulfilled = sum(expected.values())
    assert math.exp(conditioned.log_probability) == pytest.approx(fulfilled, rel=1e-12)
    for name, share in expected.items():
        assert probability(conditioned, name) == pytest.approx(share / fulfilled, rel=1e-12)


@pytest.mark.parametrize("temperature", [0.5, 1.0])
def test_a_name_is_given_without_white_space_at_its_ends(temperature: float) -> None:
    spaced = Vocabulary(" ab")
    counts = count(transitions(spaced.encode(["a b", "b a", "aa"]), order=4, positions=3))
    layout = Layout.seen("fivegram", 4, 3, counts)
    weights = np.random.default_rng(6).normal(size=layout.shape).astype(np.float32)
    model = LinearModel(layout, spaced, weights)
    layer = Layer("fivegram", " ab", 3, weights, ["a b", "b a", "aa"]).at(temperature)
    trimmed = [name for name in all_names(" ab", 5) if name == name.strip()]
    fulfilled = sum(map(layer.probability, trimmed))
    conditioned = condition(compile_chain(model), Wish(5, temperature))
    assert math.exp(conditioned.log_probability) == pytest.approx(fulfilled, rel=1e-12)


def test_every_step_is_a_distribution_however_cold_or_hot(
    post_chain: Chain, fivegram: LinearModel
) -> None:
    for chain in (post_chain, compile_chain(fivegram)):
        for temperature, max_length in itertools.product((0.05, 10.0), (1, 64)):
            conditioned = condition(chain, Wish(max_length, temperature))
            for length in {0, 1, max_length // 2, max_length}:
                able = conditioned.ending[length][:-1] > -np.inf
                steps = conditioned.steps(length, conditioned.layers[length][able])
                assert steps.sum(axis=-1) == pytest.approx(1.0, abs=1e-9)
                if length == 0:
                    assert (steps[:, BOUNDARY] == 0).all()
                if length == max_length:
                    assert steps[:, BOUNDARY] == pytest.approx(1.0)


def test_no_wish_is_more_than_certain(post_model: LinearModel) -> None:
    conditioned = condition(compile_chain(post_model), Wish(64, 0.1))
    rounded_up = replace(conditioned, ending=[ending + 1e-9 for ending in conditioned.ending])
    assert rounded_up.ending[0][0] > 0.0
    assert rounded_up.log_probability == 0.0


def test_the_wish_is_near_certain_for_the_posts_model(post_model: LinearModel) -> None:
    # All but the empty name and the tail of the long ones.
    conditioned = condition(compile_chain(post_model), Wish())
    assert 0.99 < math.exp(conditioned.log_probability) < 1


def test_what_is_worked_on_at_once_makes_no_difference(
    small_model: LinearModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    chain = compile_chain(small_model)
    whole = condition(chain, Wish(6, 0.5))
    for cells in (1, 9):
        monkeypatch.setattr("models.chain.CELLS", cells)
        for part, ending in zip(condition(chain, Wish(6, 0.5)).ending, whole.ending, strict=True):
            assert np.array_equal(part, ending)
        assert length_law(whole) == pytest.approx(length_law(condition(chain, Wish(6, 0.5))))
