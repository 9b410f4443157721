from collections.abc import Callable

import numpy as np
import pytest

from models.arrays import Floats, Ints
from models.chain.conditioning import ConditionedChain, condition
from models.chain.markov_chain import MarkovChain, compile_chain
from models.constraints.constraints import Constraints
from models.counts.context_counts import count
from models.counts.transitions import transitions
from models.linear.feature_map import FeatureMap
from models.linear.features import ARCHITECTURES
from models.linear.model import LinearModel
from models.queries.marginals import bigram_marginals, length_distribution, support_size
from models.text.vocabulary import BOUNDARY, Vocabulary
from tests.support.oracle import Layer, all_names, name_distribution

ABC = Vocabulary("abc")
NAMES = ["abacab", "cab", "bcc", "aab"]
MAX_LENGTH = 6
TOKENS: Ints = np.arange(4)
CONSTRAINTS = [
    (Constraints(max_length=MAX_LENGTH), lambda name: True),
    (Constraints(max_length=MAX_LENGTH, pattern="*b?*", exclude=frozenset(["ca"]), min_length=3),
     lambda name: "b" in name[:-1] and "ca" not in name and len(name) >= 3),
]  # fmt: skip
every_architecture = pytest.mark.parametrize("architecture", list(ARCHITECTURES))


def random_model(architecture: str, positions: int) -> LinearModel:
    """Random weights over three letters, with rows for the contexts of NAMES."""
    stream = ABC.encode(NAMES)
    counts = count(transitions(stream, ARCHITECTURES[architecture].order, positions))
    feature_map = FeatureMap.from_counts(architecture, len(ABC), positions, counts)
    weights = np.random.default_rng(5).normal(size=feature_map.shape).astype(np.float32)
    return LinearModel(feature_map, ABC, weights)


def conditioned_random_chain(
    architecture: str, max_length: int, temperature: float = 1.0
) -> ConditionedChain:
    chain = compile_chain(random_model(architecture, positions=3))
    return condition(chain, Constraints(max_length=max_length, temperature=temperature))


def brute_force_lengths(layer: Layer, max_length: int) -> Floats:
    """The share of each length among all names of 1 to `max_length` characters, one by one."""
    shares: Floats = np.zeros(max_length + 1)
    for name in all_names("abc", max_length):
        shares[len(name)] += layer.probability(name)
    shares /= shares.sum()
    return shares


class TestLengthDistribution:
    @every_architecture
    def test_the_distribution_equals_the_sum_over_all_names(self, architecture: str) -> None:
        distribution = length_distribution(conditioned_random_chain(architecture, 6))
        model = random_model(architecture, positions=3)
        layer = Layer(architecture, "abc", 3, model.weights, NAMES)
        assert distribution == pytest.approx(brute_force_lengths(layer, 6), abs=1e-12)

    def test_a_temperature_divides_the_weights(self) -> None:
        distribution = length_distribution(conditioned_random_chain("positional", 5, 0.5))
        model = random_model("positional", positions=3)
        layer = Layer("positional", "abc", 3, model.weights * 2)
        assert distribution == pytest.approx(brute_force_lengths(layer, 5), abs=1e-12)

    @every_architecture
    @pytest.mark.parametrize("temperature", [0.05, 1.0, 10.0])
    def test_lengths_from_1_to_the_maximum_have_all_the_probability(
        self, architecture: str, temperature: float
    ) -> None:
        distribution = length_distribution(conditioned_random_chain(architecture, 64, temperature))
        assert distribution.shape == (65,)
        assert distribution[0] == 0.0
        assert distribution.sum() == pytest.approx(1.0, abs=1e-12)

    def test_the_size_of_the_parts_does_not_matter(self, monkeypatch: pytest.MonkeyPatch) -> None:
        conditioned = conditioned_random_chain("fivegram", 8)
        whole = length_distribution(conditioned)
        monkeypatch.setattr("models.chain.markov_chain.CACHE_CELLS", 3 * len(ABC))
        assert length_distribution(conditioned) == pytest.approx(whole, abs=1e-15)


class TestBigramMarginals:
    @pytest.mark.parametrize(("constraints", "satisfies"), CONSTRAINTS)
    @pytest.mark.parametrize("position", range(MAX_LENGTH + 2))
    def test_marginals_equal_the_sums_over_all_names(
        self,
        small_model: LinearModel,
        small_layer: Layer,
        constraints: Constraints,
        satisfies: Callable[[str], bool],
        position: int,
    ) -> None:
        names = name_distribution(small_layer, MAX_LENGTH)
        names = {name: p for name, p in names.items() if satisfies(name)}
        joint, total = np.zeros((4, 4)), sum(names.values())
        for name, probability in names.items():
            tokens = [BOUNDARY, *("abc".index(c) + 1 for c in name), BOUNDARY]
            if position <= len(name):
                joint[tokens[position], tokens[position + 1]] += probability / total
        conditioned = condition(compile_chain(small_model), constraints)
        marginals = bigram_marginals(conditioned, position, TOKENS)
        assert marginals.tokens.tolist() == [0, 1, 2, 3]
        assert marginals.joint == pytest.approx(joint, abs=1e-12)
        assert marginals.previous == pytest.approx(joint.sum(axis=1), abs=1e-12)
        assert marginals.reached == pytest.approx(joint.sum(), abs=1e-12)
        assert marginals.ended == pytest.approx(joint[:, BOUNDARY].sum(), abs=1e-12)

    def test_the_ends_at_each_position_are_the_length_distribution(
        self, small_model: LinearModel
    ) -> None:
        conditioned = condition(compile_chain(small_model), Constraints(max_length=20))
        ended = [bigram_marginals(conditioned, position, TOKENS).ended for position in range(21)]
        assert ended == pytest.approx(length_distribution(conditioned).tolist())

    def test_the_size_of_the_parts_does_not_matter(
        self, small_model: LinearModel, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        conditioned = condition(compile_chain(small_model), Constraints(max_length=8))
        whole = bigram_marginals(conditioned, 4, TOKENS)
        monkeypatch.setattr("models.chain.markov_chain.CACHE_CELLS", 3 * 4)
        parts = bigram_marginals(conditioned, 4, TOKENS)
        assert parts.joint == pytest.approx(whole.joint, abs=1e-15)
        assert parts.reached == pytest.approx(whole.reached)


class TestSupportSize:
    @pytest.mark.parametrize("top_k", [1, 2, 3, 4, None])
    @pytest.mark.parametrize("temperature", [0.3, 3.0])
    def test_the_size_is_the_number_of_names_with_a_positive_probability(
        self, small_model: LinearModel, small_layer: Layer, temperature: float, top_k: int | None
    ) -> None:
        names = name_distribution(small_layer.at(temperature, top_k), 6)
        for min_length, max_length in ((1, 6), (3, 3), (2, 5)):
            support = {n for n, p in names.items() if p > 0 and min_length <= len(n) <= max_length}
            constraints = Constraints(max_length, temperature, min_length, top_k)
            if support:
                conditioned = condition(compile_chain(small_model), constraints)
                assert support_size(conditioned) == len(support)

    @pytest.mark.parametrize(
        ("constraints", "expected"),
        [
            (Constraints(1), 26),
            (Constraints(3), 26 + 26**2 + 26**3),
            (Constraints(10, min_length=10), 26**10),
            (Constraints(pattern="?????"), 26**5),
            (Constraints(pattern="k*", max_length=4), 1 + 26 + 26**2 + 26**3),
            (Constraints(pattern="[aeiou]*[!aeiou]", max_length=4), 5 * 21 * (1 + 26 + 26**2)),
            (Constraints(4, min_length=4, exclude=frozenset(["ab"])), 26**4 - 3 * 26**2 + 1),
            (Constraints(11, 0.05, min_length=11), 26**11),
        ],
    )
    def test_the_size_is_exact_where_combinatorics_gives_the_number(
        self, post_chain: MarkovChain, constraints: Constraints, expected: int
    ) -> None:
        assert support_size(condition(post_chain, constraints)) == expected

    def test_the_longest_names_are_counted_too(self, post_chain: MarkovChain) -> None:
        assert support_size(condition(post_chain, Constraints(64))) == pytest.approx(
            26**64 * 26 / 25, rel=1e-12
        )

    def test_the_size_of_the_parts_does_not_matter(
        self, small_model: LinearModel, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("models.chain.markov_chain.CACHE_CELLS", 9)
        conditioned = condition(compile_chain(small_model), Constraints(6, pattern="*a*"))
        assert support_size(conditioned) == sum(3**length - 2**length for length in range(1, 7))
