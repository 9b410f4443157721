import math

import numpy as np
import pytest

from models.chain.markov_chain import MarkovChain, compile_chain
from models.linear.model import LinearModel
from models.scoring.likelihoods import log_likelihoods
from models.scoring.percentile_estimation import estimate_percentiles
from models.scoring.percentile_table import PercentileTable
from models.scoring.score import BATCH_NAMES, SCORING_BATCH_FROM, Scorer

NAMES = ["emma", "olivia", "a", "zzz", "xqzwv", "maximiliano", "kayleighannamaria"]


@pytest.fixture(scope="module")
def table(post_chain: MarkovChain) -> PercentileTable:
    return estimate_percentiles(post_chain)


@pytest.fixture(scope="module")
def scorer(post_chain: MarkovChain, table: PercentileTable) -> Scorer:
    return Scorer(post_chain, table)


def test_a_score_has_four_forms_of_the_log_likelihood(
    scorer: Scorer, post_chain: MarkovChain, table: PercentileTable
) -> None:
    likelihoods = log_likelihoods(post_chain, NAMES)
    shares = table.percentiles(likelihoods, np.array([*map(len, NAMES)]))
    for name, scored, likelihood, share in zip(
        NAMES, scorer.score(NAMES), likelihoods, shares, strict=True
    ):
        assert (scored.name, scored.normalized, scored.unknown) == (name, name, ())
        assert scored.log_likelihood == likelihood
        assert scored.per_character == pytest.approx(likelihood / (len(name) + 1))
        assert scored.perplexity == pytest.approx(math.exp(-likelihood / (len(name) + 1)))
        assert scored.percentile == share


def test_the_empty_name_has_the_percentile_0(scorer: Scorer, post_chain: MarkovChain) -> None:
    (scored,) = scorer.score(["  "])
    assert (scored.name, scored.normalized) == ("  ", "")
    assert scored.log_likelihood == log_likelihoods(post_chain, [""])[0]
    assert scored.percentile == 0.0


def test_unknown_characters_are_reported_and_do_not_affect_other_names(scorer: Scorer) -> None:
    names = ["Zoé-Zoé", "emma", "\N{WAVING HAND SIGN}", "Emma "]
    strange, emma, hand, shouted = scorer.score(names)
    assert (strange.name, strange.normalized) == ("Zoé-Zoé", "zoé-zoé")
    assert strange.unknown == ("é", "-")
    numbers = {strange.log_likelihood, strange.per_character, strange.perplexity}
    assert numbers | {strange.percentile} == {None}
    assert hand.unknown == ("\N{WAVING HAND SIGN}",)
    assert emma.log_likelihood == shouted.log_likelihood
    assert (shouted.name, shouted.normalized) == ("Emma ", "emma")


def test_scores_do_not_depend_on_the_number_of_names(scorer: Scorer) -> None:
    single = [scored for name in NAMES for scored in scorer.score([name])]
    assert scorer.score(NAMES) == single
    assert scorer.score(NAMES * SCORING_BATCH_FROM) == single * SCORING_BATCH_FROM
    assert scorer.score(NAMES * BATCH_NAMES) == single * BATCH_NAMES
    assert scorer.score([]) == []


def test_a_perplexity_that_would_overflow_is_clamped(small_model: LinearModel) -> None:
    weights = small_model.weights * 0
    weights[:, 1] = -900_000
    chain = compile_chain(LinearModel(small_model.feature_map, small_model.vocabulary, weights))
    (scored,) = Scorer(chain, estimate_percentiles(chain)).score(["aaa"])
    assert scored.log_likelihood is not None
    assert scored.log_likelihood < -1_000_000
    assert scored.perplexity is not None
    assert 1e307 < scored.perplexity < math.inf
