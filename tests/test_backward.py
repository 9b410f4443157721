import itertools

import numpy as np
import pytest

import models.backward
import models.conditioning
from models.chain import Chain, compile_chain, log_sum_exp
from models.conditioning import condition
from models.linear import LinearModel
from models.wish import Wish


@pytest.mark.parametrize(
    "wish",
    [Wish(64, 0.05), Wish(64, 0.05, min_length=60), Wish(30, 10.0, top_k=3), Wish(64, 0.05, 40, 5),
     Wish(40, 0.1, pattern="b*a*")],
)  # fmt: skip
def test_the_recursion_is_exact_where_floats_end(
    post_chain: Chain, small_model: LinearModel, wish: Wish
) -> None:
    for chain in (post_chain, compile_chain(small_model)):
        conditioned = condition(chain, wish).whole
        expected = conditioned.backward(log_sum_exp)  # with logarithms alone
        for ending, exact in zip(conditioned.ending, expected.ending, strict=True):
            assert np.array_equal(np.isinf(ending), np.isinf(exact))
            possible = ~np.isinf(exact)
            assert ending[possible] == pytest.approx(exact[possible], rel=1e-12, abs=1e-12)


def test_what_lengths_share_makes_no_difference(
    post_chain: Chain, monkeypatch: pytest.MonkeyPatch
) -> None:
    wishes = [Wish(40, 0.7), Wish(30, top_k=4, pattern="*a*e*")]
    expected = [condition(post_chain, wish).ending for wish in wishes]
    for shared, cells in itertools.product((0, 2**21), (27, 2**17)):
        monkeypatch.setattr(models.backward, "CELLS_SHARED", shared)
        monkeypatch.setattr("models.chain.CELLS", cells)
        for wish, endings in zip(wishes, expected, strict=True):
            for ending, other in zip(condition(post_chain, wish).ending, endings, strict=True):
                assert ending == pytest.approx(other, rel=1e-12, abs=1e-12)
