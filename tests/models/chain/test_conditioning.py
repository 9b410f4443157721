import itertools
import math
from collections import defaultdict
from dataclasses import replace
from fnmatch import fnmatchcase
from functools import cache

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from models.chain.conditioning import ConditionedChain, condition
from models.chain.markov_chain import MarkovChain, compile_chain
from models.constraints.constraints import (
    ConstraintError,
    Constraints,
    TooComplexError,
    UnsatisfiableError,
)
from models.constraints.novelty import novelty_automaton
from models.counts.context_counts import count
from models.counts.context_trie import START
from models.counts.transitions import transitions
from models.linear.feature_map import FeatureMap
from models.linear.model import LinearModel
from models.queries.k_best import best_completions, k_best
from models.queries.lengths import length_distribution
from models.queries.support import support_size
from models.text.vocabulary import BOUNDARY, Vocabulary
from tests.support.oracle import Layer, all_names, name_distribution

ABC = Vocabulary("abc")
PARTS = ["a", "b", "c", "C", "x", "?", "[ab]", "[!a]", "[b-c]", "[!b-x]"]
PATTERNS = st.lists(st.sampled_from([*PARTS, *"****"]), max_size=6).map("".join)
WISHES = st.builds(
    Constraints,
    min_length=st.integers(1, 3),
    max_length=st.integers(3, 6),
    temperature=st.sampled_from([0.3, 0.7, 1.0, 3.0]),
    top_k=st.sampled_from([None, None, 1, 2, 3, 4, 9]),
    pattern=st.just("*") | PATTERNS,
    exclude=st.frozensets(st.text("abcBx", min_size=1, max_size=3), max_size=3),
    novel=st.booleans(),
)
LISTS = st.lists(st.text("abc", min_size=1, max_size=7), max_size=12)


def probability(conditioned: ConditionedChain, name: str) -> float:
    """What a conditioned chain over a, b, c gives a name."""
    total, state = 1.0, START
    for length, letter in enumerate(name):
        token = "abc".index(letter) + 1
        total *= conditioned.transition_probabilities(length, state)[token]
        state = int(conditioned.product.next_states[state, token])
    return float(total * conditioned.transition_probabilities(len(name), state)[BOUNDARY])


@pytest.mark.parametrize("temperature", [0.3, 1.0, 4.0])
@pytest.mark.parametrize("max_length", [1, 2, 6])
def test_each_name_has_its_share_among_all_names_that_fulfil_the_wish(
    small_model: LinearModel, small_layer: Layer, max_length: int, temperature: float
) -> None:
    conditioned = condition(compile_chain(small_model), Constraints(max_length, temperature))
    layer = small_layer.at(temperature)
    expected = {name: layer.probability(name) for name in all_names("abc", max_length)}
    fulfilled = sum(expected.values())
    assert math.exp(conditioned.log_probability) == pytest.approx(fulfilled, rel=1e-12)
    for name, share in expected.items():
        assert probability(conditioned, name) == pytest.approx(share / fulfilled, rel=1e-12)


def fulfils(constraints: Constraints, name: str, listed: list[str]) -> bool:
    """Whether a name of lower case letters is one of those that are wished for."""
    return (
        constraints.min_length <= len(name) <= constraints.max_length
        and fnmatchcase(name, constraints.pattern.lower())
        and not any(word.lower() in name for word in constraints.exclude)
        and not (constraints.novel and name in listed)
    )


def conditioned_on(
    model: LinearModel, constraints: Constraints, listed: list[str]
) -> ConditionedChain:
    known = novelty_automaton(ABC.encode(listed), len(ABC)) if constraints.novel else None
    return condition(compile_chain(model), constraints, novelty=known)


@cache
def law(layer: Layer, temperature: float, top_k: int | None) -> dict[str, float]:
    """The probabilities of all names over a, b, c of up to six letters that have any."""
    every = name_distribution(layer.at(temperature, top_k), 6)
    return {name: probability for name, probability in every.items() if probability}


@settings(max_examples=250)
@given(constraints=WISHES, listed=LISTS)
@example(Constraints(3, min_length=3, pattern="??"), [])
@example(Constraints(2, novel=True), all_names("abc", 2))
@example(Constraints(2, novel=True), all_names("abc", 2)[:-1])
@example(Constraints(1), [])
@example(Constraints(6, min_length=6, top_k=1), [])
@example(Constraints(3, pattern=""), [])
@example(Constraints(3, exclude=frozenset({""})), [])
@example(Constraints(3, pattern="**"), [])
def test_a_wish_is_fulfilled_as_brute_force_over_all_names_says(
    small_model: LinearModel, small_layer: Layer, constraints: Constraints, listed: list[str]
) -> None:
    every = law(small_layer, constraints.temperature, constraints.top_k)
    wished = {name: p for name, p in every.items() if fulfils(constraints, name, listed)}
    if not wished:
        with pytest.raises(UnsatisfiableError, match=r"^No name satisfies these constraints\.$"):
            conditioned_on(small_model, constraints, listed)
        return
    conditioned = conditioned_on(small_model, constraints, listed)
    total = math.fsum(wished.values())
    assert math.exp(conditioned.log_probability) == pytest.approx(total, rel=1e-12)
    assert support_size(conditioned) == len(wished)
    longest = conditioned.constraints.max_length
    lengths = np.bincount([len(n) for n in wished], list(wished.values()), longest + 1)
    assert length_distribution(conditioned) == pytest.approx(lengths / total, abs=1e-12)
    check_steps(conditioned, wished)
    check_likeliest(conditioned, wished)
    for name in list(wished)[:2]:
        assert probability(conditioned, name) == pytest.approx(wished[name] / total, rel=1e-12)


def check_steps(conditioned: ConditionedChain, wished: dict[str, float]) -> None:
    """Each step after each beginning is taken as often as the names that take it say."""
    shares: defaultdict[str, float] = defaultdict(
        float
    )  # of a beginning; a full stop stands for the end
    for name, share in wished.items():
        for beginning in itertools.accumulate(name + ".", initial=""):
            shares[beginning] += share
    states = {"": START}
    for length in range(max(map(len, wished)) + 1):
        here = conditioned.transition_probabilities(length, np.array(list(states.values())))
        expected = [[shares[b + c] / shares[b] for c in ".abc"] for b in states]
        assert here == pytest.approx(np.array(expected), rel=1e-12, abs=0)
        states = {
            beginning + letter: int(conditioned.product.next_states[state, token])
            for beginning, state in states.items()
            for token, letter in enumerate("abc", start=1)
            if shares[beginning + letter]
        }
    assert not states


def check_likeliest(conditioned: ConditionedChain, wished: dict[str, float]) -> None:
    """The list is that of all names, sorted, whether asked for in whole or in part."""
    best = best_completions(conditioned)
    found = k_best(best, len(wished) + 1)
    assert {likely.name for likely in found} == set(wished)
    assert len(found) == len(wished)
    # Names that go through the same steps are equally likely but for rounding.
    for likely, expected in zip(found, sorted(wished.values(), reverse=True), strict=True):
        assert likely.log_likelihood == pytest.approx(math.log(wished[likely.name]), abs=1e-12)
        assert likely.log_likelihood == pytest.approx(math.log(expected), abs=1e-12)
    assert found == sorted(found, key=lambda likely: (-likely.log_likelihood, likely.name))
    some = k_best(best, (len(wished) + 1) // 2)
    assert [likely.log_likelihood for likely in some] == pytest.approx(
        [likely.log_likelihood for likely in found[: len(some)]], abs=1e-12
    )


def test_of_equally_likely_tokens_the_top_k_take_all(small_model: LinearModel) -> None:
    flat = replace(small_model, weights=np.zeros_like(small_model.weights))
    for top_k in (1, 3, 4, 5, None):
        conditioned = condition(compile_chain(flat), Constraints(3, top_k=top_k))
        assert support_size(conditioned) == 3 + 9 + 27
        assert math.exp(conditioned.log_probability) == pytest.approx(0.75 - 0.75**4)


def test_names_come_from_the_beginning_and_never_back_to_it(small_model: LinearModel) -> None:
    conditioned = condition(compile_chain(small_model), Constraints(6, pattern="*a*b"))
    assert conditioned.layers[0].tolist() == [START]
    assert all(START not in layer for layer in conditioned.layers[1:])


def test_names_may_be_blocked_besides(small_model: LinearModel, small_layer: Layer) -> None:
    every = law(small_layer, 1.0, None)
    blocked = novelty_automaton(ABC.encode(["a", "cab"]), len(ABC))
    listed = novelty_automaton(ABC.encode(["b"]), len(ABC))
    chain = compile_chain(small_model)
    for novel, left_out in ((False, {"a", "cab"}), (True, {"a", "cab", "b"})):
        conditioned = condition(chain, Constraints(6, novel=novel), blocked, listed)
        expected = {name: p for name, p in every.items() if name not in left_out}
        assert support_size(conditioned) == len(expected)
        assert math.exp(conditioned.log_probability) == pytest.approx(sum(expected.values()))
        check_steps(conditioned, expected)


def test_novel_names_need_the_list(small_model: LinearModel) -> None:
    with pytest.raises(ConstraintError, match="not known") as caught:
        condition(compile_chain(small_model), Constraints(novel=True))
    assert caught.value.field == "novel"


@pytest.mark.parametrize(
    "constraints",
    [
        Constraints(5, min_length=6),
        Constraints(pattern="x*"),
        Constraints(pattern="????", max_length=3),
        Constraints(pattern="?", min_length=2),
        Constraints(exclude=frozenset("abc")),
        Constraints(pattern=""),
        Constraints(pattern="*a*", exclude=frozenset("A")),
        Constraints(exclude=frozenset({""})),
    ],
)
def test_a_wish_that_no_name_fulfils_is_refused(
    small_model: LinearModel, constraints: Constraints
) -> None:
    with pytest.raises(UnsatisfiableError):
        condition(compile_chain(small_model), constraints)


def test_a_wish_that_is_unlikely_beyond_all_floats_is_not_impossible(
    post_models: dict[str, LinearModel],
) -> None:
    chain = compile_chain(post_models["positional"])
    constraints = Constraints(64, 0.05, min_length=64, pattern="q" * 30 + "*")
    conditioned = condition(chain, constraints)
    assert conditioned.log_probability < -2_000  # floats end at -745
    assert length_distribution(conditioned)[64] == pytest.approx(1.0, abs=1e-12)
    best = k_best(best_completions(conditioned), 1)[0]
    assert best.name.startswith("q" * 30)
    assert best.log_likelihood <= conditioned.log_probability


def test_a_wish_that_takes_too_much_work_is_refused(
    small_model: LinearModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    chain, constraints = compile_chain(small_model), Constraints(12, pattern="*a?????")
    condition(chain, constraints)
    monkeypatch.setattr("models.chain.conditioning.MAX_EXTRA_CELLS", 0)
    condition(chain, Constraints(12))  # what a plain wish takes is always allowed
    with pytest.raises(TooComplexError, match="cells for this model, the limit is") as caught:
        condition(chain, constraints)
    assert caught.value.field is None


@pytest.mark.parametrize("temperature", [0.5, 1.0])
def test_a_name_is_given_without_white_space_at_its_ends(temperature: float) -> None:
    spaced = Vocabulary(" ab")
    counts = count(transitions(spaced.encode(["a b", "b a", "aa"]), order=4, positions=3))
    feature_map = FeatureMap.from_counts("fivegram", 4, 3, counts)
    weights = np.random.default_rng(6).normal(size=feature_map.shape).astype(np.float32)
    model = LinearModel(feature_map, spaced, weights)
    layer = Layer("fivegram", " ab", 3, weights, ["a b", "b a", "aa"]).at(temperature)
    trimmed = [name for name in all_names(" ab", 5) if name == name.strip()]
    for constraints in (Constraints(5, temperature), Constraints(5, temperature, pattern="?[ a]*")):
        wished = [name for name in trimmed if fulfils(constraints, name, [])]
        fulfilled = sum(map(layer.probability, wished))
        conditioned = condition(compile_chain(model), constraints)
        assert math.exp(conditioned.log_probability) == pytest.approx(fulfilled, rel=1e-12)
        assert support_size(conditioned) == len(wished)
    for pattern in ("a ", " *", "*[ ]"):
        with pytest.raises(UnsatisfiableError):
            condition(compile_chain(model), Constraints(5, temperature, pattern=pattern))


def test_every_step_is_a_distribution_however_cold_or_hot(
    post_chain: MarkovChain, fivegram: LinearModel
) -> None:
    for chain in (post_chain, compile_chain(fivegram)):
        for temperature, max_length in itertools.product((0.05, 10.0), (1, 64)):
            conditioned = condition(chain, Constraints(max_length, temperature))
            for length in {0, 1, max_length // 2, max_length}:
                able = conditioned.log_beta[length] > -np.inf
                steps = conditioned.transition_probabilities(
                    length, conditioned.layers[length][able]
                )
                assert steps.sum(axis=-1) == pytest.approx(1.0, abs=1e-9)
                if length == 0:
                    assert (steps[:, BOUNDARY] == 0).all()
                if length == max_length:
                    assert steps[:, BOUNDARY] == pytest.approx(1.0)


def test_no_wish_is_more_than_certain(post_model: LinearModel) -> None:
    conditioned = condition(compile_chain(post_model), Constraints(64, 0.1))
    rounded_up = replace(
        conditioned, log_beta=[log_beta + 1e-9 for log_beta in conditioned.log_beta]
    )
    assert rounded_up.log_beta[0][0] > 0.0
    assert rounded_up.log_probability == 0.0


def test_the_wish_is_near_certain_for_the_posts_model(post_model: LinearModel) -> None:
    # All but the empty name and the tail of the long ones.
    conditioned = condition(compile_chain(post_model), Constraints())
    assert 0.99 < math.exp(conditioned.log_probability) < 1


def test_what_is_worked_on_at_once_makes_no_difference(
    small_model: LinearModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    chain = compile_chain(small_model)
    whole = condition(chain, Constraints(6, 0.5))
    for cells in (1, 9):
        monkeypatch.setattr("models.chain.markov_chain.CACHE_CELLS", cells)
        for part, log_beta in zip(
            condition(chain, Constraints(6, 0.5)).log_beta, whole.log_beta, strict=True
        ):
            assert np.array_equal(part, log_beta)
        assert length_distribution(whole) == pytest.approx(
            length_distribution(condition(chain, Constraints(6, 0.5)))
        )


@pytest.mark.parametrize("few", [1, 10**9])
def test_a_chain_in_less_memory_is_the_same(
    small_model: LinearModel, few: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    chain, sampler_cache = (
        compile_chain(small_model),
        [Constraints(6), Constraints(6, 0.5, 2, 3), Constraints(6, pattern="*a*b?*")],
    )
    whole = [condition(chain, constraints) for constraints in sampler_cache]
    monkeypatch.setattr("models.chain.conditioning.MAX_COMPRESSED_STATES", 1)
    monkeypatch.setattr("models.chain.product.MAX_COMPRESSED_CELLS", 0)
    monkeypatch.setattr("models.chain.conditioning.SEARCH_RATIO", few)
    for constraints, expected in zip(sampler_cache, whole, strict=True):
        compact = condition(chain, constraints)
        assert compact.size < expected.size
        for length in range(7):
            able = expected.layers[length][expected.log_beta[length] > -np.inf]
            steps = expected.transition_probabilities(length, able)
            assert compact.transition_probabilities(length, able) == pytest.approx(steps, rel=1e-12)
            for state, row in zip(able.tolist(), steps, strict=True):
                assert compact.transition_probabilities(length, state) == pytest.approx(
                    row, rel=1e-12
                )
                assert [compact.product.next_state(state, token) for token in (1, 2, 3)] == [
                    *expected.product.next_states[state, 1:]
                ]
        for one, other in zip(compact.expanded.log_beta, expected.log_beta, strict=True):
            assert one == pytest.approx(other, rel=1e-12, abs=1e-12)
        assert length_distribution(compact) == pytest.approx(
            length_distribution(expected), abs=1e-12
        )
        assert support_size(compact) == support_size(expected)
        found, best = (k_best(best_completions(one), 50) for one in (compact, expected))
        assert found == best
