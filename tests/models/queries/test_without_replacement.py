import itertools
import math
from collections import Counter

import numpy as np
import pytest
from numpy.random import Generator
from scipy.stats import chisquare

import models.queries.without_replacement
from models.chain.conditioning import ConditionedChain, condition
from models.chain.markov_chain import MarkovChain, compile_chain
from models.constraints.constraints import Constraints
from models.counts.context_trie import START
from models.linear.model import LinearModel
from models.queries.marginals import support_size
from models.queries.sampling import Sampler
from models.queries.without_replacement import CHUNK_NAMES, RemainingNames, _Node
from tests.support.oracle import Floats, Layer, name_distribution


def sample_without_replacement(sampler: Sampler, count: int, generator: Generator) -> list[str]:
    """The names of all chunks."""
    return [
        *itertools.chain.from_iterable(
            models.queries.without_replacement.sample_without_replacement(sampler, count, generator)
        )
    ]


UNLIMITED = 10**9
CONSTRAINTS = [
    Constraints(2),
    Constraints(2, 0.3),
    Constraints(3, top_k=2),
    Constraints(3, pattern="*a"),
    Constraints(3, 0.05),
    Constraints(3, exclude=frozenset(["ab", "c"])),
    Constraints(4, min_length=4, pattern="a*"),
]


def generator(seed: int = 1) -> Generator:
    return np.random.default_rng(seed)


@pytest.mark.parametrize("constraints", CONSTRAINTS)
@pytest.mark.parametrize("max_repeats", [1, 5, models.queries.without_replacement.MAX_REPEATS])
def test_all_names_can_be_drawn_and_none_is_drawn_twice(
    small_model: LinearModel,
    small_layer: Layer,
    constraints: Constraints,
    max_repeats: int,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(models.queries.without_replacement, "MAX_REPEATS", max_repeats)
    conditioned = condition(compile_chain(small_model), constraints)
    number = int(support_size(conditioned))
    names = sample_without_replacement(Sampler(conditioned), number, generator())
    assert len(set(names)) == len(names) == number
    probabilities = name_distribution(
        small_layer.at(constraints.temperature, constraints.top_k), constraints.max_length
    )
    assert all(probabilities[name] > 0 for name in names)


@pytest.mark.parametrize(
    "constraints",
    [Constraints(), Constraints(3, 0.2), Constraints(12, 0.05), Constraints(pattern="???")],
)
@pytest.mark.parametrize("architecture", ["positional", "fivegram"])
def test_the_first_names_do_not_depend_on_the_number_of_names(
    architecture: str,
    constraints: Constraints,
    post_models: dict[str, LinearModel],
    fivegram: LinearModel,
) -> None:
    model = (post_models | {"fivegram": fivegram})[architecture]
    sampler = Sampler(condition(compile_chain(model), constraints))
    many = sample_without_replacement(sampler, 600, generator())
    assert len(set(many)) == 600
    for number in (0, 1, 2, 10, 100, 255, 256, 257, 599):
        assert sample_without_replacement(sampler, number, generator()) == many[:number]


def test_the_first_names_are_the_distinct_ones_of_the_sampler(post_chain: MarkovChain) -> None:
    sampler = Sampler(condition(post_chain, Constraints()))
    drawn = list(dict.fromkeys(sampler.draw(5_000, generator())))
    assert len(drawn) < 5_000  # some are repeated
    assert sample_without_replacement(sampler, len(drawn), generator()) == drawn


def test_improbable_names_are_drawn_although_a_few_names_have_nearly_all_the_probability(
    post_models: dict[str, LinearModel],
) -> None:
    conditioned = condition(compile_chain(post_models["positional"]), Constraints(2, 0.05))
    names = sample_without_replacement(Sampler(conditioned), 26 + 26**2, generator())
    assert len(set(names)) == 26 + 26**2


def test_the_last_names_are_drawn_from_the_remaining_ones(
    post_chain: MarkovChain, monkeypatch: pytest.MonkeyPatch
) -> None:
    drawn = []

    class Recorded(RemainingNames):
        def draw(self, generator: Generator) -> str:
            drawn.append(super().draw(generator))
            return drawn[-1]

    monkeypatch.setattr(models.queries.without_replacement, "RemainingNames", Recorded)
    names = sample_without_replacement(
        Sampler(condition(post_chain, Constraints(3, 0.2))), 500, generator()
    )
    assert 100 < len(drawn) < 500
    assert names[-len(drawn) :] == drawn


class Constant(Generator):
    """A generator that always returns the same uniform."""

    def __init__(self, constant: float) -> None:
        super().__init__(np.random.PCG64(1))
        self.constant = constant

    def random(self, size: int) -> Floats:  # type: ignore[override]
        return np.full(size, self.constant)


@pytest.mark.parametrize("uniform", [0.0, math.nextafter(1.0, 0.0)])
def test_extreme_uniforms_do_not_draw_names_of_probability_zero(
    small_model: LinearModel, uniform: float
) -> None:
    remaining = RemainingNames(condition(compile_chain(small_model), Constraints(2, pattern="b*")))
    drawn = [remaining.draw(Constant(uniform)) for _ in range(4)]
    assert sorted(drawn) == ["b", "ba", "bb", "bc"]


def first_two(
    conditioned: ConditionedChain, max_repeats: int, number: int, monkeypatch: pytest.MonkeyPatch
) -> Counter[tuple[str, ...]]:
    """How often each pair of names is drawn first; from the prefix tree if max_repeats is 0."""
    monkeypatch.setattr(models.queries.without_replacement, "MAX_REPEATS", max_repeats)
    sampler, stream = Sampler(conditioned), generator(3)
    drawn: Counter[tuple[str, ...]] = Counter()
    for _ in range(number):
        drawn[
            tuple(sample_without_replacement(sampler, 2, generator(int(stream.integers(2**53)))))
        ] += 1
    return drawn


@pytest.mark.parametrize("max_repeats", [0, pytest.param(1, marks=pytest.mark.slow), UNLIMITED])
@pytest.mark.parametrize(
    "constraints",
    [Constraints(2), Constraints(2, 0.5, pattern="*[ab]*"), Constraints(3, 0.7, top_k=2)],
)
def test_pairs_have_the_probabilities_of_sampling_without_replacement(
    small_model: LinearModel,
    small_layer: Layer,
    constraints: Constraints,
    max_repeats: int,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    every = name_distribution(
        small_layer.at(constraints.temperature, constraints.top_k), constraints.max_length
    )
    if constraints.pattern != "*":
        every = {name: p for name, p in every.items() if {"a", "b"} & set(name)}
    probabilities = {name: p / sum(every.values()) for name, p in every.items() if p > 0}
    number = 4_000
    conditioned = condition(compile_chain(small_model), constraints)
    drawn = first_two(conditioned, max_repeats, number, monkeypatch)
    pairs = list(itertools.permutations(probabilities, 2))
    expected = np.array(
        [number * probabilities[a] * probabilities[b] / (1 - probabilities[a]) for a, b in pairs]
    )
    check_frequencies(np.array([drawn[pair] for pair in pairs]), expected)


def test_the_remaining_names_have_their_probabilities_to_the_last_one(
    small_model: LinearModel, small_layer: Layer
) -> None:
    # Three names: the probability of an order is the product of those of its three draws.
    every = name_distribution(small_layer, 1)
    conditioned, stream, number = (
        condition(compile_chain(small_model), Constraints(1)),
        generator(),
        6_000,
    )
    drawn: Counter[str] = Counter()
    for _ in range(number):
        remaining = RemainingNames(conditioned)
        drawn["".join(remaining.draw(stream) for _ in range(3))] += 1
    total, orders = sum(every.values()), list(itertools.permutations("abc"))
    expected = np.array(
        [number * every[a] / total * every[b] / (every[b] + every[c]) for a, b, c in orders]
    )
    check_frequencies(np.array([drawn["".join(order)] for order in orders]), expected)


def test_the_remaining_names_are_renormalised_after_removals(
    small_model: LinearModel, small_layer: Layer
) -> None:
    every = name_distribution(small_layer, 3)
    conditioned = condition(compile_chain(small_model), Constraints(3))
    remaining, left = RemainingNames(conditioned), dict(every)
    for name in ["a", "ab", "abc", "abb", "c", *(name for name in every if name.startswith("b"))]:
        remaining.remove(name)
        del left[name]
        total = sum(left.values())
        for other in every:
            expected = left.get(other, 0.0) / total
            assert share(remaining, conditioned, other) == pytest.approx(expected, rel=1e-9)


def share(remaining: RemainingNames, conditioned: ConditionedChain, name: str) -> float:
    """The probability that a name is drawn next."""
    node: _Node | None = remaining._root
    state, product = START, 1.0
    for length, letter in enumerate(name + "."):
        token = ".abc".index(letter)
        weights = np.exp(remaining._weights(node, length, state))
        if not weights.sum():
            return 0.0  # all names with this prefix have been removed
        product *= weights[token] / weights.sum()
        node = node.child(token) if node else None
        state = int(conditioned.product.next_states[state, token])
    return float(product)


def test_empty_chunks_interrupt_the_removal_of_names(post_chain: MarkovChain) -> None:
    sampler = Sampler(condition(post_chain, Constraints(3, 0.2)))
    chunks = [
        *models.queries.without_replacement.sample_without_replacement(sampler, 500, generator())
    ]
    rejection = [names for names in chunks if len(names) > CHUNK_NAMES]
    rest = chunks[len(rejection) :]
    assert len(rejection) == 1
    empty = [names for names in rest if not names]
    assert len(empty) >= len(rejection[0]) // CHUNK_NAMES
    assert sum(map(len, chunks)) == 500


def test_names_do_not_depend_on_the_bound_of_cached_rows(
    post_chain: MarkovChain, monkeypatch: pytest.MonkeyPatch
) -> None:
    conditioned = condition(post_chain, Constraints(3, 0.2))
    remaining = RemainingNames(conditioned)
    monkeypatch.setattr(models.queries.without_replacement, "ROW_CELLS", 27 * 3)
    for _ in range(20):
        remaining.draw(generator())
    assert len(remaining._rows) == 3
    monkeypatch.setattr(models.queries.without_replacement, "ROW_CELLS", 27 * 99)
    cached = sample_without_replacement(Sampler(conditioned), 500, generator())
    monkeypatch.setattr(models.queries.without_replacement, "ROW_CELLS", 0)
    assert sample_without_replacement(Sampler(conditioned), 500, generator()) == cached


def test_all_names_that_satisfy_the_constraints_are_drawn_and_no_others(
    post_models: dict[str, LinearModel],
) -> None:
    chain = compile_chain(post_models["bigram"])
    constraints = Constraints(2, 0.1, pattern="[a-e]*", exclude=frozenset(["a"]))
    conditioned = condition(chain, constraints)
    assert support_size(conditioned) == 4 + 4 * 25
    names = sample_without_replacement(Sampler(conditioned), 104, generator())
    letters = [letter for letter in chain.vocabulary.characters if letter != "a"]
    assert set(names) == {*"bcde"} | {first + second for first in "bcde" for second in letters}


def check_frequencies(observed: Floats, expected: Floats) -> None:
    """Chi-square test; outcomes expected less than 5 times are merged."""
    assert observed.sum() == pytest.approx(expected.sum())
    rare = expected < 5
    observed = np.append(observed[~rare], observed[rare].sum())
    expected = np.append(expected[~rare], expected[rare].sum())
    keep = expected > 0
    assert chisquare(observed[keep], expected[keep]).pvalue > 1e-3
