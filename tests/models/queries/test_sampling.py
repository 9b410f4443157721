import itertools
import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from fnmatch import fnmatchcase

import numpy as np
import pytest
from scipy.stats import chi2_contingency, chisquare

import models.queries.sampling
from models.chain.conditioning import condition
from models.chain.markov_chain import MarkovChain, compile_chain
from models.constraints.constraints import Constraints
from models.constraints.novelty import novelty_automaton
from models.counts.context_counts import count
from models.counts.transitions import transitions
from models.linear.feature_map import FeatureMap
from models.linear.model import LinearModel
from models.queries.sampling import Sampler, WalkNode
from models.text.vocabulary import Vocabulary
from tests.support.oracle import Floats, Layer, all_names, letter_distributions
from tests.support.oracle import draw as draw_plainly

ANY = Constraints()
EXCLUDED = frozenset(
    ["an", "ma", "el", "on", "ia", "ka", "ly", "sh", "ri", "qu", "aa", "ee", "th", "ch", "lyn",
     "bra", "oo", "z", "dan", "jay"]
)  # fmt: skip
CONSTRAINTS = [Constraints(pattern="k*"), Constraints(pattern="*lyn"), Constraints(pattern="?????"),
          Constraints(pattern="[aeiou]*[!aeiou]"), Constraints(exclude=EXCLUDED)]  # fmt: skip


@pytest.fixture(
    scope="module",
    params=[
        "bigram",
        "fivegram",
        *(pytest.param(name, marks=pytest.mark.slow) for name in ("positional", "sinusoidal")),
    ],
)
def drawn_model(
    request: pytest.FixtureRequest, post_models: dict[str, LinearModel], fivegram: LinearModel
) -> LinearModel:
    """Each architecture in turn."""
    return (post_models | {"fivegram": fivegram})[request.param]


def sampler(model: LinearModel, constraints: Constraints) -> Sampler:
    return Sampler(condition(compile_chain(model), constraints))


def draw(
    model: LinearModel, count: int, constraints: Constraints = ANY, seed: int = 1
) -> list[str]:
    return sampler(model, constraints).draw(count, np.random.default_rng(seed))


def p_value(observed: list[int], distribution: Floats) -> float:
    """Chi-square of counts and a distribution; outcomes expected less than 5 times are merged."""
    counts, expected = np.array(observed, float), distribution * sum(observed)
    rare = expected < 5
    counts = np.append(counts[~rare], counts[rare].sum())
    expected = np.append(expected[~rare], expected[rare].sum())
    keep = expected > 0
    assert counts[~keep].sum() == 0
    return float(chisquare(counts[keep], expected[keep]).pvalue)


@pytest.mark.parametrize("max_length", [6, 32])
def test_letters_of_200000_names_have_their_exact_distributions(
    post_model: LinearModel, post_layer: Layer, max_length: int
) -> None:
    names = draw(post_model, 200_000, Constraints(max_length))
    show = "." + post_model.vocabulary.characters
    seen = {
        "first": Counter(name[0] for name in names),
        "second": Counter((name + ".")[1] for name in names),
        "last": Counter(name[-1] for name in names),
    }
    for letter, distribution in letter_distributions(post_layer, max_length).items():
        assert p_value([seen[letter][c] for c in show], distribution) > 1e-3, letter


@pytest.mark.parametrize("temperature", [0.7, 1.5])
def test_names_over_three_letters_have_the_frequencies_of_brute_force(
    small_model: LinearModel,
    small_layer: Layer,
    temperature: float,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    every = all_names("abc", longest=4)
    probabilities = np.array([small_layer.at(temperature).probability(name) for name in every])
    for limit in (models.queries.sampling.MAX_CUMULATIVE_CELLS, 0):
        monkeypatch.setattr(models.queries.sampling, "MAX_CUMULATIVE_CELLS", limit)
        seen = Counter(draw(small_model, 200_000, Constraints(4, temperature)))
        assert p_value([seen[name] for name in every], probabilities / probabilities.sum()) > 1e-3


@pytest.fixture(
    scope="module", params=[0.7, *(pytest.param(t, marks=pytest.mark.slow) for t in (1.0, 1.5))]
)
def unconditioned(
    request: pytest.FixtureRequest, post_models: dict[str, LinearModel]
) -> tuple[float, list[str]]:
    """A temperature, and 300,000 names of the post's layer, drawn by the oracle."""
    model = post_models["positional"]
    layer = Layer("positional", model.vocabulary.characters, 23, model.weights).at(request.param)
    return request.param, draw_plainly(layer, 300_000, 32, np.random.default_rng(2))


@pytest.mark.parametrize("constraints", CONSTRAINTS)
def test_constrained_names_have_the_distribution_of_rejection_sampling(
    post_models: dict[str, LinearModel],
    unconditioned: tuple[float, list[str]],
    constraints: Constraints,
) -> None:
    temperature, names = unconditioned
    any_name = sampler(post_models["positional"], Constraints(temperature=temperature))
    source = sampler(post_models["positional"], replace(constraints, temperature=temperature))
    check_against_rejection(source, constraints, names, any_name.probability)


def test_constrained_names_of_a_fivegram_have_the_distribution_of_rejection_sampling(
    fivegram: LinearModel,
) -> None:
    any_name = sampler(fivegram, ANY)
    names = any_name.draw(100_000, np.random.default_rng(4))
    for constraints in CONSTRAINTS[2:]:
        check_against_rejection(
            sampler(fivegram, constraints), constraints, names, any_name.probability
        )


def check_against_rejection(
    source: Sampler, constraints: Constraints, names: list[str], any_name: float
) -> None:
    """Compare the names of a sampler with those of unconstrained names that satisfy constraints.

    any_name: the probability of a name of the sampler that the unconstrained names are from
    """
    accepted = [
        name
        for name in names
        if fnmatchcase(name, constraints.pattern)
        and constraints.min_length <= len(name) <= constraints.max_length
        and not any(word in name for word in constraints.exclude)
    ]
    drawn = source.draw(50_000, np.random.default_rng(3))
    assert alike(drawn, accepted)
    for index in (0, 1, 2, 3, 4, -3, -2, -1):
        letters = ([letter(name, index) for name in sample] for sample in (drawn, accepted))
        assert alike(*letters), index
    assert alike(list(map(len, drawn)), list(map(len, accepted)))
    expected = source.probability / any_name
    spread = math.sqrt(expected * (1 - expected) / len(names))
    assert abs(len(accepted) / len(names) - expected) < 4 * spread


def letter(name: str, index: int) -> str:
    """The letter at an index, as in `name[index]`; "." outside the name."""
    return name[index] if -len(name) <= index < len(name) else "."


def alike(one: Sequence[object], other: Sequence[object]) -> bool:
    """Whether two samples pass a chi-square test of the same distribution; rare ones merged."""
    counts = [Counter(one), Counter(other)]
    table = np.array([[count[value] for value in set(one) | set(other)] for count in counts])
    share = min(len(one), len(other)) / (len(one) + len(other))
    rare = table.sum(axis=0) * share < 5
    table = np.column_stack([table[:, ~rare], table[:, rare].sum(axis=1)])
    table = table[:, table.any(axis=0)]
    return table.shape[1] == 1 or float(chi2_contingency(table).pvalue) > 1e-4


def test_both_walks_draw_the_same_names_under_constraints(
    drawn_model: LinearModel, us_names: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    chain = compile_chain(drawn_model)
    novel = novelty_automaton(chain.vocabulary.encode(us_names), len(chain.vocabulary))
    for constraints in (
        *CONSTRAINTS,
        Constraints(12, 0.7, 3, 8, "*[aeiou]?", frozenset(["an", "q"]), novel=True),
    ):
        conditioned = condition(chain, constraints, novelty=novel)
        for limit in (0, models.queries.sampling.MAX_CUMULATIVE_CELLS):
            monkeypatch.setattr(models.queries.sampling, "MAX_CUMULATIVE_CELLS", limit)
            monkeypatch.setattr(models.queries.sampling, "SAMPLING_BATCH_FROM", 10**9)
            single = Sampler(conditioned).draw(300, np.random.default_rng(1))
            monkeypatch.setattr(models.queries.sampling, "SAMPLING_BATCH_FROM", 1)
            assert Sampler(conditioned).draw(300, np.random.default_rng(1)) == single
            assert all(fnmatchcase(name, constraints.pattern) for name in single)


@pytest.mark.parametrize("constraints", CONSTRAINTS)
def test_the_first_constrained_names_do_not_depend_on_the_number_of_names(
    drawn_model: LinearModel, constraints: Constraints
) -> None:
    source = sampler(drawn_model, constraints)
    many = source.draw(5_000, np.random.default_rng(1))
    for number in (1, 10, 255, 256, 4_097):
        assert source.draw(number, np.random.default_rng(1)) == many[:number]


def test_no_excluded_substring_is_in_a_million_names(post_models: dict[str, LinearModel]) -> None:
    names = "\n".join(draw(post_models["positional"], 1_000_000, Constraints(exclude=EXCLUDED)))
    assert names.count("\n") == 999_999
    assert not [word for word in EXCLUDED if word in names]


def test_novel_names_are_not_in_the_training_set(
    fivegram: LinearModel, us_names: list[str]
) -> None:
    chain, training_names = compile_chain(fivegram), set(us_names)
    novel = novelty_automaton(chain.vocabulary.encode(us_names), len(chain.vocabulary))
    names = draw(fivegram, 20_000)
    assert sum(name in training_names for name in names) > 1_000
    source = Sampler(condition(chain, Constraints(novel=True), novelty=novel))
    assert not training_names & set(source.draw(20_000, np.random.default_rng(1)))
    expected = 1 - sum(name in training_names for name in names) / 20_000
    assert source.probability == pytest.approx(expected, abs=0.02)


def test_both_walks_draw_the_same_names(
    drawn_model: LinearModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    for constraints in (Constraints(), Constraints(5, 0.3), Constraints(64, 10.0)):
        monkeypatch.setattr(models.queries.sampling, "SAMPLING_BATCH_FROM", 10**9)
        single = draw(drawn_model, 1_000, constraints)
        monkeypatch.setattr(models.queries.sampling, "SAMPLING_BATCH_FROM", 1)
        assert draw(drawn_model, 1_000, constraints) == single


def test_the_first_names_do_not_depend_on_the_number_of_names(drawn_model: LinearModel) -> None:
    source = sampler(drawn_model, Constraints())
    many = source.draw(1_000, np.random.default_rng(1))
    for number in (1, 10, 255, 256, 999):
        assert source.draw(number, np.random.default_rng(1)) == many[:number]


def test_several_calls_draw_the_names_of_one_call(drawn_model: LinearModel) -> None:
    source, generator = sampler(drawn_model, Constraints()), np.random.default_rng(1)
    parts = [name for count in (1, 300, 5) for name in source.draw(count, generator)]
    assert parts == draw(drawn_model, 306)


def test_names_do_not_depend_on_the_bounds_of_the_caches(
    drawn_model: LinearModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    expected = draw(drawn_model, 500)
    for limit in (0, 100, 10**9):
        monkeypatch.setattr(models.queries.sampling, "NODE_CELLS", limit)
        monkeypatch.setattr(models.queries.sampling, "MAX_CUMULATIVE_CELLS", limit)
        for batch_from in (1, 10**9):
            monkeypatch.setattr(models.queries.sampling, "SAMPLING_BATCH_FROM", batch_from)
            assert draw(drawn_model, 500) == expected


def test_names_do_not_depend_on_the_size_of_the_parts(
    fivegram: LinearModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = sampler(fivegram, Constraints(temperature=1.5))
    expected = source.draw(1_000, np.random.default_rng(1))
    monkeypatch.setattr("models.chain.markov_chain.CACHE_CELLS", 27 * 5)
    assert source.draw(1_000, np.random.default_rng(1)) == expected


def test_tables_are_complete_before_other_threads_can_read_them(
    post_chain: MarkovChain, monkeypatch: pytest.MonkeyPatch
) -> None:
    conditioned = condition(post_chain, Constraints(pattern="*a?"))
    seen = []

    class SharedFolder(dict[int, Floats]):
        def __setitem__(self, length: int, table: Floats) -> None:
            possible = conditioned.log_beta[length] > -np.inf
            seen.append((table[conditioned.layers[length][possible], -1] == 1.0).all())
            super().__setitem__(length, table)

    shared = Sampler(conditioned)
    shared._tables = SharedFolder()
    monkeypatch.setattr(np, "empty", lambda shape, *_: np.full(shape, np.nan))
    shared.draw(1_000, np.random.default_rng(1))
    assert seen
    assert all(seen)


def test_nodes_and_tables_are_cached_within_a_bound(
    fivegram: LinearModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(models.queries.sampling, "NODE_CELLS", 27 * 100)
    source, generator = sampler(fivegram, Constraints()), np.random.default_rng(1)
    for _ in range(50):
        source.draw(10, generator)
        assert len(source._nodes) <= 101
        assert len(reachable(source._root)) <= 101
    monkeypatch.setattr(
        models.queries.sampling, "MAX_CUMULATIVE_CELLS", 27 * len(fivegram.state_logits) * 32 - 1
    )
    source.draw(1_000, generator)
    assert not source._tables


def reachable(root: WalkNode) -> set[int]:
    """The identities of all nodes that a walk from the root can visit without computing any."""
    visited, stack = set(), [root]
    while stack:
        node = stack.pop()
        if id(node) not in visited:
            visited.add(id(node))
            stack += [child for child in node[1] if child is not None]
    return visited


@pytest.mark.parametrize("u", [0.0, math.nextafter(1.0, 0.0)])
def test_extreme_uniforms_do_not_draw_names_of_probability_zero(
    drawn_model: LinearModel, u: float
) -> None:
    source = sampler(drawn_model, Constraints(5))
    name = source._walk_one([u] * 5)
    assert 1 <= len(name) <= 5
    batch = source._walk_batch(np.full((3, 5), u))
    assert drawn_model.vocabulary.decode(batch) == [name] * 3


@pytest.mark.parametrize("architecture", ["bigram", "fivegram"])
@pytest.mark.parametrize("max_length", [1, 2, 12])
def test_spaces_are_drawn_only_inside_names(
    architecture: str, max_length: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    names = ["mary ann", "ann  lee", "jo", "o\u3000o", "a b c"]
    vocabulary = Vocabulary.of(names)
    counts = count(transitions(vocabulary.encode(names), order=4))
    feature_map = FeatureMap.from_counts(architecture, len(vocabulary), 23, counts)
    weights = np.random.default_rng(7).normal(size=feature_map.shape).astype(np.float32)
    model = LinearModel(feature_map, vocabulary, weights)
    for limit, batch_from in itertools.product((0, 2**20), (1, 10**9)):
        monkeypatch.setattr(models.queries.sampling, "MAX_CUMULATIVE_CELLS", limit)
        monkeypatch.setattr(models.queries.sampling, "SAMPLING_BATCH_FROM", batch_from)
        drawn = draw(model, 2_000, Constraints(max_length))
        assert all(name == name.strip() for name in drawn)
        assert any(" " in name for name in drawn) == (max_length > 2)
        assert max(map(len, drawn)) == max_length


def test_two_seeds_draw_different_names(post_model: LinearModel) -> None:
    assert draw(post_model, 50, seed=1) != draw(post_model, 50, seed=2)


@pytest.mark.parametrize("max_length", [1, 2, 7, 64])
@pytest.mark.parametrize("temperature", [0.05, 1.0, 10.0])
def test_no_name_is_empty_or_too_long(
    drawn_model: LinearModel, max_length: int, temperature: float
) -> None:
    lengths = {len(name) for name in draw(drawn_model, 2_000, Constraints(max_length, temperature))}
    assert min(lengths) >= 1
    assert max(lengths) <= max_length


def test_long_names_are_sampled_past_the_last_position(post_model: LinearModel) -> None:
    # The post's positions end at 22: without a clamp a hot sampler runs off them at once.
    lengths = [len(name) for name in draw(post_model, 5_000, Constraints(64, 10.0))]
    assert max(lengths) == 64


def test_cumulative_probabilities_end_in_exactly_one() -> None:
    rows = np.random.default_rng(2).dirichlet(np.ones(27), size=1_000)
    rows[:, 20:] = 0.0  # of probability zero
    cumulative = models.queries.sampling._cumulative(rows)
    assert cumulative.shape == (1_000, 32)
    assert (cumulative[:, 19:] == 1.0).all()
    assert (np.diff(cumulative, axis=1) >= 0).all()


def test_a_sampler_has_the_probability_of_the_constraints(
    post_chain: MarkovChain, post_model: LinearModel
) -> None:
    conditioned = condition(post_chain, Constraints(3))
    expected = np.exp(conditioned.log_probability)
    assert Sampler(conditioned).probability == pytest.approx(expected)
