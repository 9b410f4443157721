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
from models.queries.marginals import length_distribution, support_size
from models.text.vocabulary import BOUNDARY, Vocabulary
from tests.support.oracle import Layer, all_names, name_distribution

ABC = Vocabulary("abc")
ELEMENTS = ["a", "b", "c", "C", "x", "?", "[ab]", "[!a]", "[b-c]", "[!b-x]"]
PATTERNS = st.lists(st.sampled_from([*ELEMENTS, *"****"]), max_size=6).map("".join)
CONSTRAINTS = st.builds(
    Constraints,
    min_length=st.integers(1, 3),
    max_length=st.integers(3, 6),
    temperature=st.sampled_from([0.3, 0.7, 1.0, 3.0]),
    top_k=st.sampled_from([None, None, 1, 2, 3, 4, 9]),
    pattern=st.just("*") | PATTERNS,
    exclude=st.frozensets(st.text("abcBx", min_size=1, max_size=3), max_size=3),
    novel=st.booleans(),
)
TRAINING_NAMES = st.lists(st.text("abc", min_size=1, max_size=7), max_size=12)


def probability(conditioned: ConditionedChain, name: str) -> float:
    """The probability of a name in a conditioned chain over a, b, c."""
    product, state = 1.0, START
    for length, letter in enumerate(name):
        token = "abc".index(letter) + 1
        product *= conditioned.transition_probabilities(length, state)[token]
        state = int(conditioned.product.next_states[state, token])
    return float(product * conditioned.transition_probabilities(len(name), state)[BOUNDARY])


@pytest.mark.parametrize("temperature", [0.3, 1.0, 4.0])
@pytest.mark.parametrize("max_length", [1, 2, 6])
def test_each_name_has_its_probability_given_the_constraints(
    small_model: LinearModel, small_layer: Layer, max_length: int, temperature: float
) -> None:
    conditioned = condition(compile_chain(small_model), Constraints(max_length, temperature))
    layer = small_layer.at(temperature)
    expected = {name: layer.probability(name) for name in all_names("abc", max_length)}
    total = sum(expected.values())
    assert math.exp(conditioned.log_probability) == pytest.approx(total, rel=1e-12)
    for name, unconditioned in expected.items():
        assert probability(conditioned, name) == pytest.approx(unconditioned / total, rel=1e-12)


def satisfies(constraints: Constraints, name: str, training_names: list[str]) -> bool:
    """Whether a name in lower case satisfies the constraints."""
    return (
        constraints.min_length <= len(name) <= constraints.max_length
        and fnmatchcase(name, constraints.pattern.lower())
        and not any(word.lower() in name for word in constraints.exclude)
        and not (constraints.novel and name in training_names)
    )


def conditioned_on(
    model: LinearModel, constraints: Constraints, training_names: list[str]
) -> ConditionedChain:
    stream = ABC.encode(training_names)
    novelty = novelty_automaton(stream, len(ABC)) if constraints.novel else None
    return condition(compile_chain(model), constraints, novelty=novelty)


@cache
def distribution(layer: Layer, temperature: float, top_k: int | None) -> dict[str, float]:
    """The positive probabilities of the names over a, b, c of up to six letters."""
    names = name_distribution(layer.at(temperature, top_k), 6)
    return {name: probability for name, probability in names.items() if probability}


@settings(max_examples=250)
@given(constraints=CONSTRAINTS, training_names=TRAINING_NAMES)
@example(Constraints(3, min_length=3, pattern="??"), [])
@example(Constraints(2, novel=True), all_names("abc", 2))
@example(Constraints(2, novel=True), all_names("abc", 2)[:-1])
@example(Constraints(1), [])
@example(Constraints(6, min_length=6, top_k=1), [])
@example(Constraints(3, pattern=""), [])
@example(Constraints(3, exclude=frozenset({""})), [])
@example(Constraints(3, pattern="**"), [])
def test_conditioning_agrees_with_enumeration_of_all_names(
    small_model: LinearModel,
    small_layer: Layer,
    constraints: Constraints,
    training_names: list[str],
) -> None:
    names = distribution(small_layer, constraints.temperature, constraints.top_k)
    satisfying = {
        name: p for name, p in names.items() if satisfies(constraints, name, training_names)
    }
    if not satisfying:
        with pytest.raises(UnsatisfiableError, match=r"^No name satisfies these constraints$"):
            conditioned_on(small_model, constraints, training_names)
        return
    conditioned = conditioned_on(small_model, constraints, training_names)
    total = math.fsum(satisfying.values())
    assert math.exp(conditioned.log_probability) == pytest.approx(total, rel=1e-12)
    assert support_size(conditioned) == len(satisfying)
    longest = conditioned.constraints.max_length
    lengths = np.bincount([len(n) for n in satisfying], list(satisfying.values()), longest + 1)
    assert length_distribution(conditioned) == pytest.approx(lengths / total, abs=1e-12)
    check_transitions(conditioned, satisfying)
    check_k_best(conditioned, satisfying)
    for name in list(satisfying)[:2]:
        assert probability(conditioned, name) == pytest.approx(satisfying[name] / total, rel=1e-12)


def check_transitions(conditioned: ConditionedChain, satisfying: dict[str, float]) -> None:
    """Transition probabilities after each prefix agree with the names that have the prefix."""
    totals: defaultdict[str, float] = defaultdict(float)  # by prefix; a full stop ends a name
    for name, share in satisfying.items():
        for prefix in itertools.accumulate(name + ".", initial=""):
            totals[prefix] += share
    states = {"": START}
    for length in range(max(map(len, satisfying)) + 1):
        computed = conditioned.transition_probabilities(length, np.array(list(states.values())))
        expected = [[totals[prefix + c] / totals[prefix] for c in ".abc"] for prefix in states]
        assert computed == pytest.approx(np.array(expected), rel=1e-12, abs=0)
        states = {
            prefix + letter: int(conditioned.product.next_states[state, token])
            for prefix, state in states.items()
            for token, letter in enumerate("abc", start=1)
            if totals[prefix + letter]
        }
    assert not states


def check_k_best(conditioned: ConditionedChain, satisfying: dict[str, float]) -> None:
    """The k best names are all names in the order of their probabilities, for any k."""
    best = best_completions(conditioned)
    names = k_best(best, len(satisfying) + 1)
    assert {ranked.name for ranked in names} == set(satisfying)
    assert len(names) == len(satisfying)
    # Names with the same transitions are equally probable but for rounding.
    for ranked, expected in zip(names, sorted(satisfying.values(), reverse=True), strict=True):
        assert ranked.log_likelihood == pytest.approx(math.log(satisfying[ranked.name]), abs=1e-12)
        assert ranked.log_likelihood == pytest.approx(math.log(expected), abs=1e-12)
    assert names == sorted(names, key=lambda ranked: (-ranked.log_likelihood, ranked.name))
    half = k_best(best, (len(satisfying) + 1) // 2)
    assert [ranked.log_likelihood for ranked in half] == pytest.approx(
        [ranked.log_likelihood for ranked in names[: len(half)]], abs=1e-12
    )


def test_top_k_keeps_all_tokens_that_are_as_probable_as_the_last(small_model: LinearModel) -> None:
    flat = replace(small_model, weights=np.zeros_like(small_model.weights))
    for top_k in (1, 3, 4, 5, None):
        conditioned = condition(compile_chain(flat), Constraints(3, top_k=top_k))
        assert support_size(conditioned) == 3 + 9 + 27
        assert math.exp(conditioned.log_probability) == pytest.approx(0.75 - 0.75**4)


def test_only_the_first_layer_contains_the_start_state(small_model: LinearModel) -> None:
    conditioned = condition(compile_chain(small_model), Constraints(6, pattern="*a*b"))
    assert conditioned.layers[0].tolist() == [START]
    assert all(START not in layer for layer in conditioned.layers[1:])


def test_a_blocklist_applies_in_addition_to_the_constraints(
    small_model: LinearModel, small_layer: Layer
) -> None:
    names = distribution(small_layer, 1.0, None)
    blocklist = novelty_automaton(ABC.encode(["a", "cab"]), len(ABC))
    novelty = novelty_automaton(ABC.encode(["b"]), len(ABC))
    chain = compile_chain(small_model)
    for novel, excluded in ((False, {"a", "cab"}), (True, {"a", "cab", "b"})):
        conditioned = condition(chain, Constraints(6, novel=novel), blocklist, novelty)
        expected = {name: p for name, p in names.items() if name not in excluded}
        assert support_size(conditioned) == len(expected)
        assert math.exp(conditioned.log_probability) == pytest.approx(sum(expected.values()))
        check_transitions(conditioned, expected)


def test_novel_names_need_known_training_names(small_model: LinearModel) -> None:
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
def test_constraints_that_no_name_satisfies_raise_an_error(
    small_model: LinearModel, constraints: Constraints
) -> None:
    with pytest.raises(UnsatisfiableError):
        condition(compile_chain(small_model), constraints)


def test_constraints_with_a_probability_below_all_floats_are_satisfiable(
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


def test_constraints_that_need_too_many_transitions_raise_an_error(
    small_model: LinearModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    chain, constraints = compile_chain(small_model), Constraints(12, pattern="*a?????")
    condition(chain, constraints)
    monkeypatch.setattr("models.chain.conditioning.MAX_EXTRA_TRANSITIONS", 0)
    condition(chain, Constraints(12))  # without constraints no limit applies
    with pytest.raises(TooComplexError, match="transitions for this model; the limit is") as caught:
        condition(chain, constraints)
    assert caught.value.field is None


@pytest.mark.parametrize("temperature", [0.5, 1.0])
def test_names_have_no_white_space_at_their_ends(temperature: float) -> None:
    spaced = Vocabulary(" ab")
    counts = count(transitions(spaced.encode(["a b", "b a", "aa"]), order=4, positions=3))
    feature_map = FeatureMap.from_counts("fivegram", 4, 3, counts)
    weights = np.random.default_rng(6).normal(size=feature_map.shape).astype(np.float32)
    model = LinearModel(feature_map, spaced, weights)
    layer = Layer("fivegram", " ab", 3, weights, ["a b", "b a", "aa"]).at(temperature)
    trimmed = [name for name in all_names(" ab", 5) if name == name.strip()]
    for constraints in (Constraints(5, temperature), Constraints(5, temperature, pattern="?[ a]*")):
        satisfying = [name for name in trimmed if satisfies(constraints, name, [])]
        total = sum(map(layer.probability, satisfying))
        conditioned = condition(compile_chain(model), constraints)
        assert math.exp(conditioned.log_probability) == pytest.approx(total, rel=1e-12)
        assert support_size(conditioned) == len(satisfying)
    for pattern in ("a ", " *", "*[ ]"):
        with pytest.raises(UnsatisfiableError):
            condition(compile_chain(model), Constraints(5, temperature, pattern=pattern))


def test_transition_probabilities_sum_to_one_at_extreme_temperatures(
    post_chain: MarkovChain, fivegram: LinearModel
) -> None:
    for chain in (post_chain, compile_chain(fivegram)):
        for temperature, max_length in itertools.product((0.05, 10.0), (1, 64)):
            conditioned = condition(chain, Constraints(max_length, temperature))
            for length in {0, 1, max_length // 2, max_length}:
                possible = conditioned.log_beta[length] > -np.inf
                states = conditioned.layers[length][possible]
                probabilities = conditioned.transition_probabilities(length, states)
                assert probabilities.sum(axis=-1) == pytest.approx(1.0, abs=1e-9)
                if length == 0:
                    assert (probabilities[:, BOUNDARY] == 0).all()
                if length == max_length:
                    assert probabilities[:, BOUNDARY] == pytest.approx(1.0)


def test_the_probability_of_constraints_is_at_most_one(post_model: LinearModel) -> None:
    conditioned = condition(compile_chain(post_model), Constraints(64, 0.1))
    rounded_up = replace(
        conditioned, log_beta=[log_beta + 1e-9 for log_beta in conditioned.log_beta]
    )
    assert rounded_up.log_beta[0][0] > 0.0
    assert rounded_up.log_probability == 0.0


def test_the_default_constraints_are_nearly_certain_for_the_posts_model(
    post_model: LinearModel,
) -> None:
    # They exclude the empty name and the tail of long names alone.
    conditioned = condition(compile_chain(post_model), Constraints())
    assert 0.99 < math.exp(conditioned.log_probability) < 1


def test_the_size_of_parts_does_not_change_the_recursion(
    small_model: LinearModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    chain = compile_chain(small_model)
    expected = condition(chain, Constraints(6, 0.5))
    for cells in (1, 9):
        monkeypatch.setattr("models.chain.markov_chain.CACHE_CELLS", cells)
        conditioned = condition(chain, Constraints(6, 0.5))
        for log_beta, exact in zip(conditioned.log_beta, expected.log_beta, strict=True):
            assert np.array_equal(log_beta, exact)
        assert length_distribution(conditioned) == pytest.approx(length_distribution(expected))


@pytest.mark.parametrize("search_ratio", [1, 10**9])
def test_a_compressed_chain_has_the_same_distribution(
    small_model: LinearModel, search_ratio: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    chain = compile_chain(small_model)
    cases = [Constraints(6), Constraints(6, 0.5, 2, 3), Constraints(6, pattern="*a*b?*")]
    uncompressed = [condition(chain, constraints) for constraints in cases]
    monkeypatch.setattr("models.chain.conditioning.MAX_COMPRESSED_STATES", 1)
    monkeypatch.setattr("models.chain.product.MAX_COMPRESSED_CELLS", 0)
    monkeypatch.setattr("models.chain.conditioning.SEARCH_RATIO", search_ratio)
    for constraints, expected in zip(cases, uncompressed, strict=True):
        compressed = condition(chain, constraints)
        assert compressed.size < expected.size
        for length in range(7):
            states = expected.layers[length][expected.log_beta[length] > -np.inf]
            rows = expected.transition_probabilities(length, states)
            assert compressed.transition_probabilities(length, states) == pytest.approx(
                rows, rel=1e-12
            )
            for state, row in zip(states.tolist(), rows, strict=True):
                assert compressed.transition_probabilities(length, state) == pytest.approx(
                    row, rel=1e-12
                )
                assert [compressed.product.next_state(state, token) for token in (1, 2, 3)] == [
                    *expected.product.next_states[state, 1:]
                ]
        for log_beta, exact in zip(compressed.expanded.log_beta, expected.log_beta, strict=True):
            assert log_beta == pytest.approx(exact, rel=1e-12, abs=1e-12)
        assert length_distribution(compressed) == pytest.approx(
            length_distribution(expected), abs=1e-12
        )
        assert support_size(compressed) == support_size(expected)
        best, exact_best = (k_best(best_completions(c), 50) for c in (compressed, expected))
        assert best == exact_best
