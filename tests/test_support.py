import pytest

from models.chain import Chain, compile_chain
from models.conditioning import condition
from models.linear import LinearModel
from models.support import names_in
from models.wish import Wish
from oracle import Layer, law_of_names


@pytest.mark.parametrize("top_k", [1, 2, 3, 4, None])
@pytest.mark.parametrize("temperature", [0.3, 3.0])
def test_as_many_names_are_counted_as_have_a_probability(
    small_model: LinearModel, small_layer: Layer, temperature: float, top_k: int | None
) -> None:
    law = law_of_names(small_layer.at(temperature, top_k), 6)
    for min_length, max_length in ((1, 6), (3, 3), (2, 5)):
        able = {n for n, p in law.items() if p > 0 and min_length <= len(n) <= max_length}
        wish = Wish(max_length, temperature, min_length, top_k)
        if able:
            assert names_in(condition(compile_chain(small_model), wish)) == len(able)


@pytest.mark.parametrize(
    ("wish", "expected"),
    [
        (Wish(1), 26),
        (Wish(3), 26 + 26**2 + 26**3),
        (Wish(10, min_length=10), 26**10),
        (Wish(pattern="?????"), 26**5),
        (Wish(pattern="k*", max_length=4), 1 + 26 + 26**2 + 26**3),
        (Wish(pattern="[aeiou]*[!aeiou]", max_length=4), 5 * 21 * (1 + 26 + 26**2)),
        (Wish(4, min_length=4, exclude=frozenset(["ab"])), 26**4 - 3 * 26**2 + 1),
        (Wish(11, 0.05, min_length=11), 26**11),
    ],
)
def test_the_count_is_exact_where_combinatorics_tells_it(
    post_chain: Chain, wish: Wish, expected: int
) -> None:
    assert names_in(condition(post_chain, wish)) == expected


def test_the_longest_names_are_counted_too(post_chain: Chain) -> None:
    assert names_in(condition(post_chain, Wish(64))) == pytest.approx(26**64 * 26 / 25, rel=1e-12)


def test_the_parts_that_states_are_worked_on_in_do_not_matter(
    small_model: LinearModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("models.chain.CELLS", 9)
    conditioned = condition(compile_chain(small_model), Wish(6, pattern="*a*"))
    assert names_in(conditioned) == sum(3**length - 2**length for length in range(1, 7))
