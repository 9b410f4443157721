import itertools

import numpy as np
import pytest

import models.chain.backward
import models.chain.conditioning
from models.chain.conditioning import condition
from models.chain.factored_exponentials import log_sum_exp
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
def test_the_recursion_is_exact_where_floats_underflow(
    post_chain: MarkovChain, small_model: LinearModel, constraints: Constraints
) -> None:
    for chain in (post_chain, compile_chain(small_model)):
        conditioned = condition(chain, constraints).expanded
        expected = conditioned.with_reduction(log_sum_exp)  # in logarithms
        for log_beta, exact in zip(conditioned.log_beta, expected.log_beta, strict=True):
            assert np.array_equal(np.isinf(log_beta), np.isinf(exact))
            possible = ~np.isinf(exact)
            assert log_beta[possible] == pytest.approx(exact[possible], rel=1e-12, abs=1e-12)


def test_arrays_shared_by_lengths_do_not_change_the_recursion(
    post_chain: MarkovChain, monkeypatch: pytest.MonkeyPatch
) -> None:
    cases = [Constraints(40, 0.7), Constraints(30, top_k=4, pattern="*a*e*")]
    expected = [condition(post_chain, constraints).log_beta for constraints in cases]
    for shared, cells in itertools.product((0, 2**21), (27, 2**17)):
        monkeypatch.setattr(models.chain.backward, "MAX_SHARED_CELLS", shared)
        monkeypatch.setattr("models.chain.markov_chain.CACHE_CELLS", cells)
        for constraints, exact in zip(cases, expected, strict=True):
            conditioned = condition(post_chain, constraints)
            for log_beta, other in zip(conditioned.log_beta, exact, strict=True):
                assert log_beta == pytest.approx(other, rel=1e-12, abs=1e-12)
