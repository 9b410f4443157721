"""Sampling and scoring compared with the post's loop and with KenLM.

The post's loop passes one name at a time through torch. KenLM, in C++, computes the
log-likelihoods of moniker's `bigram`, and moniker those of `positional`, which KenLM cannot
represent. KenLM reads words, so the letters of a name are joined with spaces first; some rows
exclude the time of joining.
"""

from collections.abc import Iterator

import numpy as np
import torch

from benchmarks.detection import peers
from benchmarks.measure import Row, interleaved
from benchmarks.models import post
from models.chain.conditioning import condition
from models.chain.markov_chain import compile_chain
from models.constraints.constraints import Constraints
from models.linear.model import LinearModel
from models.queries.sampling import Sampler
from models.scoring.likelihoods import NameScorer, log_likelihoods
from models.scoring.percentile_estimation import estimate_percentiles
from models.scoring.score import Scorer

POST_NAMES = 200  # that the post's loop draws or scores in a round
NAMES = 10_000  # that moniker and KenLM draw or score in a round


def compare(model: LinearModel, names: list[str]) -> Iterator[Row]:
    """Yield names per second, one by one and in a batch of 10,000."""
    vocabulary, chain = model.vocabulary, compile_chain(model)
    sampler, scorer = (
        Sampler(condition(chain, Constraints())),
        Scorer(chain, estimate_percentiles(chain)),
    )
    generator, torch_generator = np.random.default_rng(1), torch.Generator().manual_seed(1)
    weights = torch.from_numpy(model.weights).requires_grad_()  # as after the post's training

    def post_sampling() -> None:
        for _ in range(POST_NAMES):
            post.sample(weights, vocabulary.characters, torch_generator)

    def sampling_one_by_one() -> None:
        for _ in range(NAMES):
            sampler.draw(1, generator)

    def sampling_in_a_batch() -> None:
        sampler.draw(NAMES, generator)

    def post_scoring() -> None:
        for name in names[:POST_NAMES]:
            post.log_likelihood(weights, vocabulary.characters, name)

    def scoring_one_by_one() -> None:
        for name in names[:NAMES]:
            scorer.score([name])

    def scoring_in_a_batch() -> None:
        scorer.score(names[:NAMES])

    post_seconds, single, batch = interleaved(
        post_sampling, sampling_one_by_one, sampling_in_a_batch, rounds=25
    )
    yield Row("sample one by one", POST_NAMES / post_seconds, NAMES / single, "names/s")
    yield Row("sample 10,000 at once", POST_NAMES / post_seconds, NAMES / batch, "names/s")
    post_seconds, single, batch = interleaved(
        post_scoring, scoring_one_by_one, scoring_in_a_batch, rounds=9
    )
    yield Row("score one by one", POST_NAMES / post_seconds, NAMES / single, "names/s")
    yield Row("score 10,000 at once", POST_NAMES / post_seconds, NAMES / batch, "names/s")


def against_kenlm(bigram: LinearModel, positional: LinearModel, names: list[str]) -> Iterator[Row]:
    """Yield log-likelihoods per second, KenLM with the bigram and moniker with positional."""
    kenlm = peers.kenlm_model(peers.arpa(compile_chain(bigram)))
    chain = compile_chain(positional)
    scorer, names = NameScorer(chain), names[:NAMES]
    joined = [" ".join(name) for name in names]

    def kenlm_from_names() -> list[float]:
        return [kenlm.score(" ".join(name)) for name in names]

    def kenlm_from_words() -> list[float]:
        return [kenlm.score(words) for words in joined]

    def one_by_one() -> list[float]:
        return [scorer.log_likelihood(name) for name in names]

    def in_a_batch() -> object:
        return log_likelihoods(chain, names)

    from_names, from_words, single, batch = (
        len(names) / seconds
        for seconds in interleaved(
            kenlm_from_names, kenlm_from_words, one_by_one, in_a_batch, rounds=25
        )
    )
    yield Row("one by one", from_names, single, "names/s")
    yield Row("one by one, joined before", from_words, single, "names/s")
    yield Row("10,000 at once", from_names, batch, "names/s")
    yield Row("10,000 at once, joined before", from_words, batch, "names/s")
