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
from models.queries.sampling import Sampler
from models.queries.support import support_size
from models.queries.without_replacement import AT_ONCE, RemainingNames, _Beginning
from tests.support.oracle import Floats, Layer, name_distribution


def sample_without_replacement(sampler: Sampler, count: int, generator: Generator) -> list[str]:
    """The names one after the other."""
    return [
        *itertools.chain.from_iterable(
            models.queries.without_replacement.sample_without_replacement(sampler, count, generator)
        )
    ]


NEVER = 10**9
WISHES = [
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


@pytest.mark.parametrize("constraints", WISHES)
@pytest.mark.parametrize("patience", [1, 5, models.queries.without_replacement.PATIENCE])
def test_all_names_can_be_drawn_and_none_twice(
    small_model: LinearModel,
    small_layer: Layer,
    constraints: Constraints,
    patience: int,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(models.queries.without_replacement, "PATIENCE", patience)
    conditioned = condition(compile_chain(small_model), constraints)
    number = int(support_size(conditioned))
    names = sample_without_replacement(Sampler(conditioned), number, generator())
    assert len(set(names)) == len(names) == number
    law = name_distribution(
        small_layer.at(constraints.temperature, constraints.top_k), constraints.max_length
    )
    assert all(law[name] > 0 for name in names)


@pytest.mark.parametrize(
    "constraints",
    [Constraints(), Constraints(3, 0.2), Constraints(12, 0.05), Constraints(pattern="???")],
)
@pytest.mark.parametrize("architecture", ["positional", "fivegram"])
def test_the_first_names_do_not_depend_on_how_many_are_drawn(
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


def test_the_first_names_are_those_of_a_sampler_that_are_new(post_chain: MarkovChain) -> None:
    sampler = Sampler(condition(post_chain, Constraints()))
    drawn = list(dict.fromkeys(sampler.draw(5_000, generator())))
    assert len(drawn) < 5_000  # some were there before
    assert sample_without_replacement(sampler, len(drawn), generator()) == drawn


def test_few_names_with_nearly_all_the_probability_do_not_keep_the_others_away(
    post_models: dict[str, LinearModel],
) -> None:
    conditioned = condition(compile_chain(post_models["positional"]), Constraints(2, 0.05))
    names = sample_without_replacement(Sampler(conditioned), 26 + 26**2, generator())
    assert len(set(names)) == 26 + 26**2


def test_what_is_left_holds_none_of_the_names_before(
    post_chain: MarkovChain, monkeypatch: pytest.MonkeyPatch
) -> None:
    drawn = []

    class Watched(RemainingNames):
        def draw(self, generator: Generator) -> str:
            drawn.append(super().draw(generator))
            return drawn[-1]

    monkeypatch.setattr(models.queries.without_replacement, "RemainingNames", Watched)
    names = sample_without_replacement(
        Sampler(condition(post_chain, Constraints(3, 0.2))), 500, generator()
    )
    assert 100 < len(drawn) < 500
    assert names[-len(drawn) :] == drawn


class Constant(Generator):
    """A generator of one uniform."""

    def __init__(self, always: float) -> None:
        super().__init__(np.random.PCG64(1))
        self.always = always

    def random(self, size: int) -> Floats:  # type: ignore[override]
        return np.full(size, self.always)


@pytest.mark.parametrize("uniform", [0.0, math.nextafter(1.0, 0.0)])
def test_what_has_no_probability_is_not_drawn_at_the_ends_of_the_uniforms(
    small_model: LinearModel, uniform: float
) -> None:
    remaining = RemainingNames(condition(compile_chain(small_model), Constraints(2, pattern="b*")))
    drawn = [remaining.draw(Constant(uniform)) for _ in range(4)]
    assert sorted(drawn) == ["b", "ba", "bb", "bc"]


def first_two(
    conditioned: ConditionedChain, patience: int, number: int, monkeypatch: pytest.MonkeyPatch
) -> Counter[tuple[str, ...]]:
    """How often each pair of names comes first; through what is left if there is no patience."""
    monkeypatch.setattr(models.queries.without_replacement, "PATIENCE", patience)
    sampler, stream = Sampler(conditioned), generator(3)
    drawn: Counter[tuple[str, ...]] = Counter()
    for _ in range(number):
        drawn[
            tuple(sample_without_replacement(sampler, 2, generator(int(stream.integers(2**53)))))
        ] += 1
    return drawn


@pytest.mark.parametrize("patience", [0, 1, NEVER])
@pytest.mark.parametrize(
    "constraints",
    [Constraints(2), Constraints(2, 0.5, pattern="*[ab]*"), Constraints(3, 0.7, top_k=2)],
)
def test_names_follow_the_law_of_drawing_without_replacement(
    small_model: LinearModel,
    small_layer: Layer,
    constraints: Constraints,
    patience: int,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    every = name_distribution(
        small_layer.at(constraints.temperature, constraints.top_k), constraints.max_length
    )
    if constraints.pattern != "*":
        every = {name: p for name, p in every.items() if {"a", "b"} & set(name)}
    law = {name: p / sum(every.values()) for name, p in every.items() if p > 0}
    number = 4_000
    conditioned = condition(compile_chain(small_model), constraints)
    drawn = first_two(conditioned, patience, number, monkeypatch)
    pairs = list(itertools.permutations(law, 2))
    expected = np.array([number * law[a] * law[b] / (1 - law[a]) for a, b in pairs])
    check_frequencies(np.array([drawn[pair] for pair in pairs]), expected)


def test_what_is_left_follows_the_law_to_the_last_name(
    small_model: LinearModel, small_layer: Layer
) -> None:
    # Three letters: all orders of them are drawn, each as often as its three draws say.
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


def test_each_name_has_its_share_of_what_is_left_after_some_were_taken(
    small_model: LinearModel, small_layer: Layer
) -> None:
    law = name_distribution(small_layer, 3)
    conditioned = condition(compile_chain(small_model), Constraints(3))
    remaining, left = RemainingNames(conditioned), dict(law)
    for name in ["a", "ab", "abc", "abb", "c", *(name for name in law if name.startswith("b"))]:
        remaining.take(name)
        del left[name]
        total = sum(left.values())
        for other in law:
            expected = left.get(other, 0.0) / total
            assert share(remaining, conditioned, other) == pytest.approx(expected, rel=1e-9)


def share(remaining: RemainingNames, conditioned: ConditionedChain, name: str) -> float:
    """The probability that a name is drawn next."""
    here: _Beginning | None = remaining._root
    state, product = START, 1.0
    for length, letter in enumerate(name + "."):
        token = ".abc".index(letter)
        weights = np.exp(remaining._weights(here, length, state))
        if not weights.sum():
            return 0.0  # all names that begin so were taken
        product *= weights[token] / weights.sum()
        here = here.after(token) if here else None
        state = int(conditioned.product.next_states[state, token])
    return float(product)


def test_others_have_their_turn_in_between(post_chain: MarkovChain) -> None:
    sampler = Sampler(condition(post_chain, Constraints(3, 0.2)))
    blocks = [
        *models.queries.without_replacement.sample_without_replacement(sampler, 500, generator())
    ]
    found = [names for names in blocks if len(names) > AT_ONCE]
    rest = blocks[len(found) :]
    assert len(found) == 1
    taken = [names for names in rest if not names]
    assert len(taken) >= len(found[0]) // AT_ONCE
    assert sum(map(len, blocks)) == 500


def test_rows_that_are_not_kept_make_no_difference(
    post_chain: MarkovChain, monkeypatch: pytest.MonkeyPatch
) -> None:
    conditioned = condition(post_chain, Constraints(3, 0.2))
    remaining = RemainingNames(conditioned)
    monkeypatch.setattr(models.queries.without_replacement, "CELLS_KEPT", 27 * 3)
    for _ in range(20):
        remaining.draw(generator())
    assert len(remaining._rows) == 3
    monkeypatch.setattr(models.queries.without_replacement, "CELLS_KEPT", 27 * 99)
    kept = sample_without_replacement(Sampler(conditioned), 500, generator())
    monkeypatch.setattr(models.queries.without_replacement, "CELLS_KEPT", 0)
    assert sample_without_replacement(Sampler(conditioned), 500, generator()) == kept


def test_names_outside_the_wish_are_not_drawn_even_when_nearly_all_are_taken(
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
    """By a chi-square, outcomes expected less than 5 times taken together."""
    assert observed.sum() == pytest.approx(expected.sum())
    rare = expected < 5
    observed = np.append(observed[~rare], observed[rare].sum())
    expected = np.append(expected[~rare], expected[rare].sum())
    keep = expected > 0
    assert chisquare(observed[keep], expected[keep]).pvalue > 1e-3
