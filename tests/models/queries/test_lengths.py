import numpy as np
import pytest

from models.arrays import Floats
from models.chain.conditioning import condition
from models.chain.markov_chain import compile_chain
from models.constraints.constraints import Constraints
from models.counts.context_counts import count
from models.counts.transitions import transitions
from models.linear.feature_map import FeatureMap
from models.linear.features import ARCHITECTURES
from models.linear.model import LinearModel
from models.queries.lengths import length_distribution
from models.text.vocabulary import Vocabulary
from tests.support.oracle import Layer, all_names

ABC = Vocabulary("abc")


NAMES = ["abacab", "cab", "bcc", "aab"]


def random_model(architecture: str, positions: int) -> LinearModel:
    """Random weights over three letters, with rows for whatever some names show."""
    stream = ABC.encode(NAMES)
    counts = count(transitions(stream, ARCHITECTURES[architecture].order, positions))
    feature_map = FeatureMap.from_counts(architecture, len(ABC), positions, counts)
    weights = np.random.default_rng(5).normal(size=feature_map.shape).astype(np.float32)
    return LinearModel(feature_map, ABC, weights)


def brute_force(layer: Layer, longest: int) -> Floats:
    """The share of each length among all names of 1 to `longest` characters, one by one."""
    shares: Floats = np.zeros(longest + 1)
    for name in all_names("abc", longest):
        shares[len(name)] += layer.probability(name)
    shares /= shares.sum()
    return shares


@pytest.mark.parametrize("architecture", list(ARCHITECTURES))
def test_the_law_is_that_of_all_names_weighed_one_by_one(architecture: str) -> None:
    model = random_model(architecture, positions=3)
    law = length_distribution(condition(compile_chain(model), Constraints(max_length=6)))
    layer = Layer(architecture, "abc", 3, model.weights, NAMES)
    assert law == pytest.approx(brute_force(layer, 6), abs=1e-12)


def test_a_temperature_divides_the_weights() -> None:
    model = random_model("positional", positions=3)
    law = length_distribution(
        condition(compile_chain(model), Constraints(max_length=5, temperature=0.5))
    )
    layer = Layer("positional", "abc", 3, model.weights * 2)
    assert law == pytest.approx(brute_force(layer, 5), abs=1e-12)


@pytest.mark.parametrize("architecture", list(ARCHITECTURES))
@pytest.mark.parametrize("temperature", [0.05, 1.0, 10.0])
def test_lengths_of_one_to_the_longest_are_certain(architecture: str, temperature: float) -> None:
    chain = compile_chain(random_model(architecture, positions=3))
    law = length_distribution(condition(chain, Constraints(max_length=64, temperature=temperature)))
    assert law.shape == (65,)
    assert law[0] == 0.0
    assert law.sum() == pytest.approx(1.0, abs=1e-12)


def test_the_parts_that_states_are_worked_on_in_do_not_matter(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    conditioned = condition(compile_chain(random_model("fivegram", 3)), Constraints(max_length=8))
    whole = length_distribution(conditioned)
    monkeypatch.setattr("models.chain.markov_chain.CACHE_CELLS", 3 * len(ABC))
    assert length_distribution(conditioned) == pytest.approx(whole, abs=1e-15)
