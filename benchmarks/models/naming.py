"""Sampling and scoring against the post's loop and against KenLM.

The post's loop takes one name at a time through torch. KenLM, in C++, has the project's own
`bigram`, and moniker has `positional`, which KenLM could not hold. Both are asked for the
log-likelihood alone. KenLM reads words, so that its part begins with putting spaces between
the letters of a name; in some rows that has been done beforehand.
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

SINGLE = 200  # names that the post's loop makes or scores in a round
MANY = 10_000


def compare(model: LinearModel, names: list[str]) -> Iterator[Row]:
    """Names a second, one by one and in a block of 10,000."""
    vocabulary, chain = model.vocabulary, compile_chain(model)
    sampler, scorer = (
        Sampler(condition(chain, Constraints())),
        Scorer(chain, estimate_percentiles(chain)),
    )
    generator, torch_generator = np.random.default_rng(1), torch.Generator().manual_seed(1)
    weights = torch.from_numpy(model.weights).requires_grad_()  # as after the post's training

    def post_sampling() -> None:
        for _ in range(SINGLE):
            post.sample(weights, vocabulary.characters, torch_generator)

    def sampling_one_by_one() -> None:
        for _ in range(MANY):
            sampler.draw(1, generator)

    def sampling_in_a_block() -> None:
        sampler.draw(MANY, generator)

    def post_scoring() -> None:
        for name in names[:SINGLE]:
            post.log_likelihood(weights, vocabulary.characters, name)

    def scoring_one_by_one() -> None:
        for name in names[:MANY]:
            scorer.score([name])

    def scoring_in_a_block() -> None:
        scorer.score(names[:MANY])

    one, single, block = interleaved(
        post_sampling, sampling_one_by_one, sampling_in_a_block, rounds=25
    )
    yield Row("sample one by one", SINGLE / one, MANY / single, "names/s")
    yield Row("sample 10,000 at once", SINGLE / one, MANY / block, "names/s")
    one, single, block = interleaved(post_scoring, scoring_one_by_one, scoring_in_a_block, rounds=9)
    yield Row("score one by one", SINGLE / one, MANY / single, "names/s")
    yield Row("score 10,000 at once", SINGLE / one, MANY / block, "names/s")


def against_kenlm(bigram: LinearModel, positional: LinearModel, names: list[str]) -> Iterator[Row]:
    """Log-likelihoods a second: KenLM's with the bigram, moniker's with positional."""
    kenlm = peers.kenlm_model(peers.arpa(compile_chain(bigram)))
    chain = compile_chain(positional)
    reader, names = NameScorer(chain), names[:MANY]
    joined = [" ".join(name) for name in names]

    def kenlm_from_names() -> list[float]:
        return [kenlm.score(" ".join(name)) for name in names]

    def kenlm_from_words() -> list[float]:
        return [kenlm.score(words) for words in joined]

    def one_by_one() -> list[float]:
        return [reader.log_likelihood(name) for name in names]

    def in_a_block() -> object:
        return log_likelihoods(chain, names)

    from_names, from_words, single, block = (
        len(names) / seconds
        for seconds in interleaved(
            kenlm_from_names, kenlm_from_words, one_by_one, in_a_block, rounds=25
        )
    )
    yield Row("one by one", from_names, single, "names/s")
    yield Row("one by one, words joined before", from_words, single, "names/s")
    yield Row("10,000 at once", from_names, block, "names/s")
    yield Row("10,000 at once, words joined", from_words, block, "names/s")
