import pytest

from models.chain.conditioning import condition
from models.chain.markov_chain import MarkovChain, compile_chain
from models.constraints.constraints import Constraints
from models.linear.model import LinearModel
from models.queries.support import support_size
from tests.support.oracle import Layer, name_distribution


@pytest.mark.parametrize("top_k", [1, 2, 3, 4, None])
@pytest.mark.parametrize("temperature", [0.3, 3.0])
def test_as_many_names_are_counted_as_have_a_probability(
    small_model: LinearModel, small_layer: Layer, temperature: float, top_k: int | None
) -> None:
    law = name_distribution(small_layer.at(temperature, top_k), 6)
    for min_length, max_length in ((1, 6), (3, 3), (2, 5)):
        able = {n for n, p in law.items() if p > 0 and min_length <= len(n) <= max_length}
        constraints = Constraints(max_length, temperature, min_length, top_k)
        if able:
            assert support_size(condition(compile_chain(small_model), constraints)) == len(able)


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
def test_the_count_is_exact_where_combinatorics_tells_it(
    post_chain: MarkovChain, constraints: Constraints, expected: int
) -> None:
    assert support_size(condition(post_chain, constraints)) == expected


def test_the_longest_names_are_counted_too(post_chain: MarkovChain) -> None:
    assert support_size(condition(post_chain, Constraints(64))) == pytest.approx(
        26**64 * 26 / 25, rel=1e-12
    )


def test_the_parts_that_states_are_worked_on_in_do_not_matter(
    small_model: LinearModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("models.chain.markov_chain.CACHE_CELLS", 9)
    conditioned = condition(compile_chain(small_model), Constraints(6, pattern="*a*"))
    assert support_size(conditioned) == sum(3**length - 2**length for length in range(1, 7))
