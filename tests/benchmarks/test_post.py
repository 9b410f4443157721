"""The figures of the post on its own list, which moniker reproduces."""

from pathlib import Path

import numpy as np
import pytest
import torch

from benchmarks.models import post
from models.counts.context_counts import ContextCounts, count
from models.counts.transitions import transitions
from models.fitting.fit_result import FitResult
from models.fitting.recipes import POST
from models.linear.feature_map import FeatureMap
from models.linear.features import POSITIONS
from models.linear.model import LinearModel
from models.text.vocabulary import BOUNDARY, Vocabulary
from training.lists.name_list import read_names

TOLERANCE = 2e-6


def triples(counts: ContextCounts) -> post.Triples:
    """The transitions of the list, each repeated by its count."""
    steps = counts.transitions
    table = np.column_stack([steps.contexts.positions, steps.contexts.history, steps.tokens])
    return table.repeat(counts.counts.astype(int), axis=0)


def test_the_committed_table_has_the_counts_of_the_posts_list(post_counts: ContextCounts) -> None:
    assert post_counts.total == 228_146
    assert post_counts.counts[post_counts.transitions.tokens == BOUNDARY].sum() == 32_033
    contexts = post_counts.transitions.contexts
    assert len(np.unique([contexts.positions, contexts.history[:, 0]], axis=1).T) == 309
    assert len(post_counts.counts) == 3_456
    assert contexts.positions.max() == 15


def test_the_bigram_reports_the_posts_loss(post_fits: dict[str, FitResult]) -> None:
    assert post_fits["bigram"].losses[-1] == pytest.approx(2.4829957, abs=TOLERANCE)


def test_the_positional_model_reports_the_posts_loss(post_fits: dict[str, FitResult]) -> None:
    assert post_fits["positional"].losses[-5:] == pytest.approx(
        [2.3171678, 2.3171296, 2.3170915, 2.3170545, 2.3170170], abs=TOLERANCE
    )


def test_the_weights_have_the_posts_shapes(post_models: dict[str, LinearModel]) -> None:
    assert post_models["bigram"].weights.shape == (27, 27)
    assert post_models["positional"].weights.shape == (50, 27)


@pytest.mark.parametrize("architecture", ["bigram", "positional"])
def test_fitting_on_counts_has_the_losses_of_the_dense_loop(
    architecture: str, post_counts: ContextCounts, post_fits: dict[str, FitResult]
) -> None:
    with_position = architecture == "positional"
    examples = triples(post_counts)
    dense = list(post.losses(examples, 27, with_position, steps=8, dtype=torch.float64))
    assert post_fits[architecture].losses[:8] == pytest.approx(dense, abs=1e-12)


def test_the_posts_sampler_draws_the_posts_names_from_the_fitted_weights(
    post_models: dict[str, LinearModel],
) -> None:
    weights = torch.from_numpy(post_models["positional"].weights)
    generator = torch.Generator().manual_seed(post.SEED)
    names = [post.sample(weights, "abcdefghijklmnopqrstuvwxyz", generator) for _ in range(6)]
    assert names == ["cexze", "moman", "raile", "kayha", "konimi", "tainella"]


def test_the_list_has_the_counts_of_the_committed_table_and_the_posts_losses(
    names_txt: Path, post_counts: ContextCounts
) -> None:
    names = read_names(str(names_txt)).names
    vocabulary = Vocabulary.of(names)
    counts = count(transitions(vocabulary.encode(names), order=1, positions=POSITIONS))
    assert (len(names), counts.total, len(vocabulary)) == (32_033, 228_146, 27)
    assert np.array_equal(triples(counts), triples(post_counts))
    for name, loss in {"bigram": 2.4829957, "positional": 2.3170171}.items():
        feature_map = FeatureMap.from_counts(name, 27, POSITIONS, counts)
        assert POST.fit(counts, feature_map).losses[-1] == pytest.approx(loss, abs=TOLERANCE)
