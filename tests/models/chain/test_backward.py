import itertools

import numpy as np
import pytest

import models.chain.backward
import models.chain.conditioning
from models.chain.conditioning import condition
from models.chain.exponentials import log_sum_exp
from models.chain.markov_chain import MarkovChain, compile_chain
from models.constraints.constraints import Constraints
from models.linear.model import LinearModel


@pytest.mark.parametrize(
    "constraints",
    [
        Constraints(64, 0.05),
        Constraints(64, 0.05, min_length=60),
        Constraints(30, 10.0, top_k=3),
        Constraints(64, 0.05, 40, 5),
        Constraints(40, 0.1, pattern="b*a*"),
    ],
)
def test_the_recursion_is_exact_where_floats_end(
    post_chain: MarkovChain, small_model: LinearModel, constraints: Constraints
) -> None:
    for chain in (post_chain, compile_chain(small_model)):
        conditioned = condition(chain, constraints).expanded
        expected = conditioned.with_reduction(log_sum_exp)  # with logarithms alone
        for log_beta, exact in zip(conditioned.log_beta, expected.log_beta, strict=True):
            assert np.array_equal(np.isinf(log_beta), np.isinf(exact))
            possible = ~np.isinf(exact)
            assert log_beta[possible] == pytest.approx(exact[possible], rel=1e-12, abs=1e-12)


def test_what_lengths_share_makes_no_difference(
    post_chain: MarkovChain, monkeypatch: pytest.MonkeyPatch
) -> None:
    sampler_cache = [Constraints(40, 0.7), Constraints(30, top_k=4, pattern="*a*e*")]
    expected = [condition(post_chain, constraints).log_beta for constraints in sampler_cache]
    for shared, cells in itertools.product((0, 2**21), (27, 2**17)):
        monkeypatch.setattr(models.chain.backward, "MAX_SHARED_CELLS", shared)
        monkeypatch.setattr("models.chain.markov_chain.CACHE_CELLS", cells)
        for constraints, endings in zip(sampler_cache, expected, strict=True):
            for log_beta, other in zip(
                condition(post_chain, constraints).log_beta, endings, strict=True
            ):
                assert log_beta == pytest.approx(other, rel=1e-12, abs=1e-12)
