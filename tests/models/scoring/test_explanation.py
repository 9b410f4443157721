import numpy as np
import pytest

from models.chain.markov_chain import compile_chain
from models.linear.model import LinearModel
from models.scoring.explanation import ALTERNATIVES, Step, explain
from models.scoring.likelihoods import log_likelihoods
from tests.support.oracle import Layer, all_names


def explained(model: LinearModel, name: str) -> list[Step]:
    return explain(model, compile_chain(model), name)


def test_the_contributions_of_every_step_add_up_to_its_log_likelihood(
    post_models: dict[str, LinearModel], fivegram: LinearModel, us_names: list[str]
) -> None:
    for model in (*post_models.values(), fivegram):
        chain = compile_chain(model)
        for name in us_names[:1000]:
            steps = explain(model, chain, name)
            for step in steps:
                total = step.expected + sum(step.contributions.values())
                assert total == pytest.approx(step.log_likelihood, abs=1e-9)
            (likelihood,) = log_likelihoods(chain, [name])
            assert sum(step.log_likelihood for step in steps) == pytest.approx(likelihood)


def test_a_contribution_is_the_logit_of_the_feature_minus_its_mean(
    small_model: LinearModel, small_layer: Layer
) -> None:
    for name in all_names("abc", 4):
        steps = explained(small_model, name)
        for position, (step, (history, token)) in enumerate(
            zip(steps, small_layer.steps(name), strict=True)
        ):
            probabilities = small_layer.probabilities(position, history)
            expected = float(probabilities @ np.log(probabilities))
            assert step.expected == pytest.approx(expected, abs=1e-9)
            for feature, contribution in step.contributions.items():
                logits = np.zeros(small_layer.tokens)
                for key, value in small_layer.active_keys(feature, position, history).items():
                    if (row := small_layer.row.get((feature, key))) is not None:
                        logits += value * small_layer.weights[row]
                expected = float(logits[token] - probabilities @ logits)
                assert contribution == pytest.approx(expected, abs=1e-9)


def test_the_features_are_those_of_the_model(
    fivegram: LinearModel, post_models: dict[str, LinearModel]
) -> None:
    features_of = {
        name: [*explained(model, "a")[0].contributions] for name, model in post_models.items()
    }
    assert features_of == {
        "bigram": ["last 1"],
        "positional": ["last 1", "position"],
        "sinusoidal": ["last 1", "sines of the position"],
    }
    features = [feature.name for feature in fivegram.feature_map.features]
    assert [*explained(fivegram, "a")[0].contributions] == features


def test_ranks_and_alternatives_follow_the_sorted_distribution(
    small_model: LinearModel, small_layer: Layer
) -> None:
    characters = [None, *"abc"]
    for name in all_names("abc", 3):
        steps = explained(small_model, name)
        assert [step.character for step in steps] == [*name, None]
        for position, (step, (history, token)) in enumerate(
            zip(steps, small_layer.steps(name), strict=True)
        ):
            probabilities = small_layer.probabilities(position, history)
            order = sorted(range(4), key=lambda other: -probabilities[other])
            assert step.log_likelihood == pytest.approx(np.log(probabilities[token]), abs=1e-12)
            assert step.rank == 1 + order.index(token)
            others = [other for other in order if other != token][:ALTERNATIVES]
            assert [other.character for other in step.alternatives] == [
                characters[o] for o in others
            ]
            assert [other.log_likelihood for other in step.alternatives] == pytest.approx(
                np.log(probabilities[others]), abs=1e-12
            )


def test_equally_probable_characters_share_their_rank(small_model: LinearModel) -> None:
    alike = LinearModel(small_model.feature_map, small_model.vocabulary, small_model.weights * 0)
    assert [step.rank for step in explained(alike, "abc")] == [1, 1, 1, 1]


def test_the_position_contributes_where_the_last_letter_does_not(
    post_models: dict[str, LinearModel],
) -> None:
    # After an a an n is common, but less so near the end of a long name.
    model = post_models["positional"]
    late = explained(model, "annaannaanna")[-2]
    early = explained(model, "anna")[-2]
    assert late.contributions["last 1"] == pytest.approx(early.contributions["last 1"], abs=1.0)
    assert late.contributions["position"] < early.contributions["position"]
