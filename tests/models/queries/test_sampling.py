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
from models.queries.sampling import Sampler, Step
from models.text.vocabulary import Vocabulary
from tests.support.oracle import Floats, Layer, all_names, letter_distributions
from tests.support.oracle import draw as draw_plainly

ANY = Constraints()
FORBIDDEN = frozenset(
    ["an", "ma", "el", "on", "ia", "ka", "ly", "sh", "ri", "qu", "aa", "ee", "th", "ch", "lyn",
     "bra", "oo", "z", "dan", "jay"]
)  # fmt: skip
WISHES = [Constraints(pattern="k*"), Constraints(pattern="*lyn"), Constraints(pattern="?????"),
          Constraints(pattern="[aeiou]*[!aeiou]"), Constraints(exclude=FORBIDDEN)]  # fmt: skip


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


def p_value(observed: list[int], law: Floats) -> float:
    """Chi-square of counts against a law, outcomes expected less than 5 times taken together."""
    counts, expected = np.array(observed, float), law * sum(observed)
    rare = expected < 5
    counts = np.append(counts[~rare], counts[rare].sum())
    expected = np.append(expected[~rare], expected[rare].sum())
    keep = expected > 0
    assert counts[~keep].sum() == 0
    return float(chisquare(counts[keep], expected[keep]).pvalue)


@pytest.mark.parametrize("max_length", [6, 32])
def test_letters_of_200000_names_follow_their_exact_laws(
    post_model: LinearModel, post_layer: Layer, max_length: int
) -> None:
    names = draw(post_model, 200_000, Constraints(max_length))
    show = "." + post_model.vocabulary.characters
    seen = {
        "first": Counter(name[0] for name in names),
        "second": Counter((name + ".")[1] for name in names),
        "last": Counter(name[-1] for name in names),
    }
    for letter, law in letter_distributions(post_layer, max_length).items():
        assert p_value([seen[letter][c] for c in show], law) > 1e-3, letter


@pytest.mark.parametrize("temperature", [0.7, 1.5])
def test_names_over_three_letters_are_as_frequent_as_brute_force_says(
    small_model: LinearModel,
    small_layer: Layer,
    temperature: float,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    every = all_names("abc", longest=4)
    law = np.array([small_layer.at(temperature).probability(name) for name in every])
    for kept in (models.queries.sampling.TABLES_KEPT, 0):
        monkeypatch.setattr(models.queries.sampling, "TABLES_KEPT", kept)
        seen = Counter(draw(small_model, 200_000, Constraints(4, temperature)))
        assert p_value([seen[name] for name in every], law / law.sum()) > 1e-3


@pytest.fixture(
    scope="module", params=[0.7, *(pytest.param(t, marks=pytest.mark.slow) for t in (1.0, 1.5))]
)
def unconditioned(
    request: pytest.FixtureRequest, post_models: dict[str, LinearModel]
) -> tuple[float, list[str]]:
    """A temperature, and 300,000 names that the post's layer makes at it when written out."""
    model = post_models["positional"]
    layer = Layer("positional", model.vocabulary.characters, 23, model.weights).at(request.param)
    return request.param, draw_plainly(layer, 300_000, 32, np.random.default_rng(2))


@pytest.mark.parametrize("constraints", WISHES)
def test_names_that_fulfil_a_wish_are_those_that_rejection_leaves(
    post_models: dict[str, LinearModel],
    unconditioned: tuple[float, list[str]],
    constraints: Constraints,
) -> None:
    temperature, names = unconditioned
    any_name = sampler(post_models["positional"], Constraints(temperature=temperature))
    source = sampler(post_models["positional"], replace(constraints, temperature=temperature))
    check_against_rejection(source, constraints, names, any_name.probability)


def test_names_of_a_fivegram_that_fulfil_a_wish_are_those_that_rejection_leaves(
    fivegram: LinearModel,
) -> None:
    any_name = sampler(fivegram, ANY)
    names = any_name.draw(100_000, np.random.default_rng(4))
    for constraints in WISHES[2:]:
        check_against_rejection(
            sampler(fivegram, constraints), constraints, names, any_name.probability
        )


def check_against_rejection(
    source: Sampler, constraints: Constraints, names: list[str], any_name: float
) -> None:
    """Hold what a sampler draws against those of some other names that fulfil its wish.

    any_name: the probability of a name that these names were drawn from
    """
    left = [
        name
        for name in names
        if fnmatchcase(name, constraints.pattern)
        and constraints.min_length <= len(name) <= constraints.max_length
        and not any(word in name for word in constraints.exclude)
    ]
    made = source.draw(50_000, np.random.default_rng(3))
    assert alike(made, left)
    for place in (0, 1, 2, 3, 4, -3, -2, -1):
        assert alike(*([letter(name, place) for name in some] for some in (made, left))), place
    assert alike(list(map(len, made)), list(map(len, left)))
    expected = source.probability / any_name
    spread = math.sqrt(expected * (1 - expected) / len(names))
    assert abs(len(left) / len(names) - expected) < 4 * spread


def letter(name: str, place: int) -> str:
    """The letter at a place, counted from the end if negative; a full stop if there is none."""
    return name[place] if -len(name) <= place < len(name) else "."


def alike(made: Sequence[object], left: Sequence[object]) -> bool:
    """Whether a chi-square of two samples sees one law, what is rare taken together."""
    counts = [Counter(made), Counter(left)]
    table = np.array([[count[value] for value in set(made) | set(left)] for count in counts])
    share = min(len(made), len(left)) / (len(made) + len(left))
    rare = table.sum(axis=0) * share < 5
    table = np.column_stack([table[:, ~rare], table[:, rare].sum(axis=1)])
    table = table[:, table.any(axis=0)]
    return table.shape[1] == 1 or float(chi2_contingency(table).pvalue) > 1e-4


def test_both_walks_give_the_same_names_for_a_wish(
    drawn_model: LinearModel, us_names: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    chain = compile_chain(drawn_model)
    novel = novelty_automaton(chain.vocabulary.encode(us_names), len(chain.vocabulary))
    for constraints in (
        *WISHES,
        Constraints(12, 0.7, 3, 8, "*[aeiou]?", frozenset(["an", "q"]), novel=True),
    ):
        conditioned = condition(chain, constraints, novelty=novel)
        for kept in (0, models.queries.sampling.TABLES_KEPT):
            monkeypatch.setattr(models.queries.sampling, "TABLES_KEPT", kept)
            monkeypatch.setattr(models.queries.sampling, "ABREAST_FROM", 10**9)
            one_by_one = Sampler(conditioned).draw(600, np.random.default_rng(1))
            monkeypatch.setattr(models.queries.sampling, "ABREAST_FROM", 1)
            assert Sampler(conditioned).draw(600, np.random.default_rng(1)) == one_by_one
            assert all(fnmatchcase(name, constraints.pattern) for name in one_by_one)


@pytest.mark.parametrize("constraints", WISHES)
def test_the_first_names_of_a_wish_do_not_depend_on_how_many_are_drawn(
    drawn_model: LinearModel, constraints: Constraints
) -> None:
    source = sampler(drawn_model, constraints)
    many = source.draw(5_000, np.random.default_rng(1))
    for number in (1, 10, 255, 256, 4_097):
        assert source.draw(number, np.random.default_rng(1)) == many[:number]


def test_no_forbidden_word_is_in_a_million_names(post_models: dict[str, LinearModel]) -> None:
    names = "\n".join(draw(post_models["positional"], 1_000_000, Constraints(exclude=FORBIDDEN)))
    assert names.count("\n") == 999_999
    assert not [word for word in FORBIDDEN if word in names]


def test_novel_names_are_not_of_the_list(fivegram: LinearModel, us_names: list[str]) -> None:
    chain, listed = compile_chain(fivegram), set(us_names)
    novel = novelty_automaton(chain.vocabulary.encode(us_names), len(chain.vocabulary))
    names = draw(fivegram, 20_000)
    assert sum(name in listed for name in names) > 1_000
    source = Sampler(condition(chain, Constraints(novel=True), novelty=novel))
    assert not listed & set(source.draw(20_000, np.random.default_rng(1)))
    expected = 1 - sum(name in listed for name in names) / 20_000
    assert source.probability == pytest.approx(expected, abs=0.02)


def test_both_walks_give_the_same_names(
    drawn_model: LinearModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    for constraints in (Constraints(), Constraints(5, 0.3), Constraints(64, 10.0)):
        monkeypatch.setattr(models.queries.sampling, "ABREAST_FROM", 10**9)
        one_by_one = draw(drawn_model, 3_000, constraints)
        monkeypatch.setattr(models.queries.sampling, "ABREAST_FROM", 1)
        assert draw(drawn_model, 3_000, constraints) == one_by_one


def test_the_first_names_do_not_depend_on_how_many_are_drawn(drawn_model: LinearModel) -> None:
    source = sampler(drawn_model, Constraints())
    many = source.draw(1_000, np.random.default_rng(1))
    for number in (1, 10, 255, 256, 999):
        assert source.draw(number, np.random.default_rng(1)) == many[:number]


def test_drawing_in_parts_gives_the_names_of_drawing_at_once(drawn_model: LinearModel) -> None:
    source, generator = sampler(drawn_model, Constraints()), np.random.default_rng(1)
    parts = [name for count in (1, 300, 5) for name in source.draw(count, generator)]
    assert parts == draw(drawn_model, 306)


def test_names_do_not_depend_on_what_is_kept_and_forgotten(
    drawn_model: LinearModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    expected = draw(drawn_model, 500)
    for limit in (0, 100, 10**9):
        monkeypatch.setattr(models.queries.sampling, "CELLS_KEPT", limit)
        monkeypatch.setattr(models.queries.sampling, "TABLES_KEPT", limit)
        for walk in (1, 10**9):
            monkeypatch.setattr(models.queries.sampling, "ABREAST_FROM", walk)
            assert draw(drawn_model, 500) == expected


def test_names_do_not_depend_on_the_parts_that_their_rows_are_computed_in(
    fivegram: LinearModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = sampler(fivegram, Constraints(temperature=1.5))
    expected = source.draw(1_000, np.random.default_rng(1))
    monkeypatch.setattr("models.chain.markov_chain.CACHE_CELLS", 27 * 5)
    assert source.draw(1_000, np.random.default_rng(1)) == expected


def test_tables_are_whole_before_other_threads_can_see_them(
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


def test_rows_are_kept_within_a_bound(
    fivegram: LinearModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(models.queries.sampling, "CELLS_KEPT", 27 * 100)
    source, generator = sampler(fivegram, Constraints()), np.random.default_rng(1)
    for _ in range(50):
        source.draw(10, generator)
        assert len(source._steps) <= 101
        assert len(reachable(source._first)) <= 101
    monkeypatch.setattr(
        models.queries.sampling, "TABLES_KEPT", 27 * len(fivegram.state_logits) * 32 - 1
    )
    source.draw(1_000, generator)
    assert not source._tables


def reachable(step: Step) -> set[int]:
    """The identities of all steps that a walk from this one can follow without computing any."""
    found, waiting = set(), [step]
    while waiting:
        step = waiting.pop()
        if id(step) not in found:
            found.add(id(step))
            waiting += [after for after in step[1] if after is not None]
    return found


@pytest.mark.parametrize("u", [0.0, math.nextafter(1.0, 0.0)])
def test_what_has_no_probability_is_not_drawn_at_the_ends_of_the_uniforms(
    drawn_model: LinearModel, u: float
) -> None:
    source = sampler(drawn_model, Constraints(5))
    one = source._walk([u] * 5)
    assert 1 <= len(one) <= 5
    abreast = source._walk_abreast(np.full((3, 5), u))
    assert drawn_model.vocabulary.decode(abreast) == [one] * 3


@pytest.mark.parametrize("architecture", ["bigram", "fivegram"])
@pytest.mark.parametrize("max_length", [1, 2, 12])
def test_spaces_are_drawn_within_names_alone(
    architecture: str, max_length: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    names = ["mary ann", "ann  lee", "jo", "o\u3000o", "a b c"]
    vocabulary = Vocabulary.of(names)
    counts = count(transitions(vocabulary.encode(names), order=4))
    feature_map = FeatureMap.from_counts(architecture, len(vocabulary), 23, counts)
    weights = np.random.default_rng(7).normal(size=feature_map.shape).astype(np.float32)
    model = LinearModel(feature_map, vocabulary, weights)
    for kept, walk in itertools.product((0, 2**20), (1, 10**9)):
        monkeypatch.setattr(models.queries.sampling, "TABLES_KEPT", kept)
        monkeypatch.setattr(models.queries.sampling, "ABREAST_FROM", walk)
        drawn = draw(model, 2_000, Constraints(max_length))
        assert all(name == name.strip() for name in drawn)
        assert any(" " in name for name in drawn) == (max_length > 2)
        assert max(map(len, drawn)) == max_length


def test_seeds_differ(post_model: LinearModel) -> None:
    assert draw(post_model, 50, seed=1) != draw(post_model, 50, seed=2)


@pytest.mark.parametrize("max_length", [1, 2, 7, 64])
@pytest.mark.parametrize("temperature", [0.05, 1.0, 10.0])
def test_no_name_is_empty_or_too_long(
    drawn_model: LinearModel, max_length: int, temperature: float
) -> None:
    lengths = {len(name) for name in draw(drawn_model, 2_000, Constraints(max_length, temperature))}
    assert min(lengths) >= 1
    assert max(lengths) <= max_length


def test_the_position_is_clamped_so_that_long_names_are_drawn(post_model: LinearModel) -> None:
    # The post's positions end at 22: without a clamp a hot sampler runs off them at once.
    lengths = [len(name) for name in draw(post_model, 5_000, Constraints(64, 10.0))]
    assert max(lengths) == 64


def test_cumulative_probabilities_end_in_exactly_one() -> None:
    rows = np.random.default_rng(2).dirichlet(np.ones(27), size=1_000)
    rows[:, 20:] = 0.0  # nothing can be drawn that has no probability
    cumulative = models.queries.sampling._cumulative(rows)
    assert cumulative.shape == (1_000, 32)
    assert (cumulative[:, 19:] == 1.0).all()
    assert (np.diff(cumulative, axis=1) >= 0).all()


def test_the_probability_of_the_wish_is_told(
    post_chain: MarkovChain, post_model: LinearModel
) -> None:
    conditioned = condition(post_chain, Constraints(3))
    told = Sampler(conditioned).probability
    assert told == pytest.approx(np.exp(conditioned.log_probability))
