import math

import numpy as np
import pytest

from models.chain import Chain
from models.counts import count
from models.linear import LinearModel
from models.scoring import BLOCK, nll, score
from models.transitions import transitions
from oracle import Layer

NAMES = ["emma", "olivia", "a", "zzz", "xqzwv", "maximiliano", "kayleighannamaria"]


def test_a_score_is_the_dense_softmax_of_the_weights(
    post_model: LinearModel, post_layer: Layer, post_chain: Chain
) -> None:
    for name, scored in zip(NAMES, score(post_chain, post_model.vocabulary, NAMES), strict=True):
        expected = math.log(post_layer.probability(name))
        assert scored.log_likelihood == pytest.approx(expected, abs=1e-9)
        assert scored.per_character == pytest.approx(expected / (len(name) + 1), abs=1e-9)
        assert scored.perplexity == pytest.approx(math.exp(-expected / (len(name) + 1)), rel=1e-9)
        assert scored.unknown == []


def test_a_name_of_60_letters_scores_finitely(post_model: LinearModel, post_chain: Chain) -> None:
    (scored,) = score(post_chain, post_model.vocabulary, ["abcdefghij" * 6])
    assert scored.log_likelihood is not None
    assert math.isfinite(scored.log_likelihood)
    assert scored.log_likelihood < -60


def test_the_empty_name_has_the_probability_of_ending_at_once(
    post_model: LinearModel, post_layer: Layer, post_chain: Chain
) -> None:
    (scored,) = score(post_chain, post_model.vocabulary, ["  "])
    assert scored.normalized == ""
    assert scored.log_likelihood == pytest.approx(math.log(post_layer.probability("")))


def test_a_name_with_unknown_characters_lists_them_and_spares_the_others(
    post_model: LinearModel, post_chain: Chain
) -> None:
    names = ["Zoé-Zoé", "emma", "\N{WAVING HAND SIGN}", "Emma "]
    strange, emma, hand, shouted = score(post_chain, post_model.vocabulary, names)
    assert (strange.name, strange.normalized) == ("Zoé-Zoé", "zoé-zoé")
    assert strange.unknown == ["é", "-"]
    assert strange.log_likelihood is strange.per_character is strange.perplexity is None
    assert hand.unknown == ["\N{WAVING HAND SIGN}"]
    assert emma.log_likelihood == shouted.log_likelihood
    assert (shouted.name, shouted.normalized) == ("Emma ", "emma")


def test_scores_keep_their_order_across_blocks(post_model: LinearModel, post_chain: Chain) -> None:
    names = NAMES * BLOCK
    vocabulary = post_model.vocabulary
    assert score(post_chain, vocabulary, names) == score(post_chain, vocabulary, NAMES) * BLOCK
    assert score(post_chain, vocabulary, []) == []


def test_the_nll_of_a_list_is_the_mean_over_its_scores(
    post_model: LinearModel, post_chain: Chain
) -> None:
    vocabulary = post_model.vocabulary
    counts = count(transitions(vocabulary.encode(NAMES), order=1, positions=23))
    total = sum(s.log_likelihood or np.nan for s in score(post_chain, vocabulary, NAMES))
    assert nll(post_chain, counts) == pytest.approx(-total / counts.total, abs=1e-12)
