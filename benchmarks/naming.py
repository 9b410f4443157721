"""Sampling and scoring against the post's loop, which takes one name at a time through torch."""

from collections.abc import Iterator

import numpy as np
import torch

from benchmarks import post
from benchmarks.measure import Row, interleaved
from models.chain import compile_chain
from models.conditioning import condition
from models.linear import LinearModel
from models.sampling import Sampler
from models.scoring import score
from models.wish import Wish

SINGLE = 200  # names that the post's loop makes or scores in a round
MANY = 10_000


def compare(model: LinearModel, names: list[str]) -> Iterator[Row]:
    """Names a second, one by one and in a block of 10,000."""
    vocabulary, chain = model.vocabulary, compile_chain(model)
    sampler = Sampler(condition(chain, Wish()))
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
            score(chain, vocabulary, [name])

    def scoring_in_a_block() -> None:
        score(chain, vocabulary, names[:MANY])

    one, single, block = interleaved(
        post_sampling, sampling_one_by_one, sampling_in_a_block, rounds=25
    )
    yield Row("sample one by one", SINGLE / one, MANY / single, "names/s")
    yield Row("sample 10,000 at once", SINGLE / one, MANY / block, "names/s")
    one, single, block = interleaved(post_scoring, scoring_one_by_one, scoring_in_a_block, rounds=9)
    yield Row("score one by one", SINGLE / one, MANY / single, "names/s")
    yield Row("score 10,000 at once", SINGLE / one, MANY / block, "names/s")
