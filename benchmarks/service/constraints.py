"""Sampling under constraints that few names satisfy, against rejection sampling."""

from collections.abc import Iterator

import numpy as np

from benchmarks.measure import Row, interleaved
from models.chain.conditioning import condition
from models.chain.markov_chain import MarkovChain, compile_chain
from models.constraints.constraints import Constraints
from models.linear.model import LinearModel
from models.queries.sampling import Sampler

MANY = 10_000
CONSTRAINTS = {
    "ka*lyn": Constraints(pattern="ka*lyn"),
    "q*z of length 9": Constraints(pattern="q*z", min_length=9, max_length=9),
}


def compare(positional: LinearModel, fivegram: LinearModel) -> Iterator[Row]:
    """Yield names per second, in samples of 10,000."""
    for name, model in (("positional", positional), ("fivegram", fivegram)):
        chain = compile_chain(model)
        for task, constraints in CONSTRAINTS.items():
            yield from _compare(f"{task}, {name}", chain, constraints)


def _compare(task: str, chain: MarkovChain, constraints: Constraints) -> Iterator[Row]:
    generator = np.random.default_rng(1)
    unconstrained = Sampler(condition(chain, Constraints()))
    constrained = Sampler(condition(chain, constraints))

    def sample_unconstrained() -> None:
        unconstrained.draw(MANY, generator)

    def sample_constrained() -> None:
        constrained.draw(MANY, generator)

    rejection, exact = interleaved(sample_unconstrained, sample_constrained, rounds=9)
    # The mean number of names that rejection sampling accepts.
    accepted = MANY * constrained.probability / unconstrained.probability
    yield Row(task, accepted / rejection, MANY / exact, "names/s")
