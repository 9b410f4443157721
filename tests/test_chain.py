import numpy as np
import pytest

from models.chain import START, Chain, compile_chain
from models.linear import LinearModel
from models.scoring import score
from models.vocabulary import BOUNDARY
from oracle import all_names, dense_probabilities, name_probability


def test_a_chain_moves_as_a_dense_softmax_says(post_model: LinearModel, post_chain: Chain) -> None:
    for position in range(23):
        expected = dense_probabilities(post_model.weights, 27, position)
        assert np.exp(post_chain.log_probabilities[position]) == pytest.approx(expected, abs=1e-12)


def test_the_state_is_the_last_character(post_chain: Chain) -> None:
    assert post_chain.successors.shape == (27, 27)
    assert (post_chain.successors == np.arange(27)).all()


def test_the_probabilities_of_all_names_add_up_to_one(post_chain: Chain) -> None:
    # An absorbing chain: from the clamped position on, P(ever ending) solves a linear
    # system; before it, a step back multiplies by that position's transitions.
    steps = np.exp(post_chain.log_probabilities)
    going, ending = steps[:, :, 1:], steps[:, :, BOUNDARY]
    stay = going[-1][1:]
    ever_ending = np.linalg.solve(np.eye(26) - stay, ending[-1][1:])
    for position in reversed(range(post_chain.positions - 1)):
        from_each_state = ending[position] + going[position] @ ever_ending
        ever_ending = from_each_state[1:]
    assert from_each_state[START] == pytest.approx(1.0, abs=1e-12)


def test_a_name_has_the_probability_of_its_steps_one_by_one(small_model: LinearModel) -> None:
    names = all_names("abc", longest=5)
    chain = compile_chain(small_model)
    for name, scored in zip(names, score(chain, small_model.vocabulary, names), strict=True):
        expected = name_probability(small_model.weights, "abc", name)
        assert scored.log_likelihood == pytest.approx(np.log(expected), abs=1e-12)
