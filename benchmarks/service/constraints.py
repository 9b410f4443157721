"""Names that fulfil a rare wish: drawn exactly, against drawing any and throwing away."""

from collections.abc import Iterator

import numpy as np

from benchmarks.measure import Row, interleaved
from models.chain.conditioning import condition
from models.chain.markov_chain import MarkovChain, compile_chain
from models.constraints.constraints import Constraints
from models.linear.model import LinearModel
from models.queries.sampling import Sampler

MANY = 10_000
WISHES = {
    "ka*lyn": Constraints(pattern="ka*lyn"),
    "q*z of length 9": Constraints(pattern="q*z", min_length=9, max_length=9),
}


def compare(positional: LinearModel, fivegram: LinearModel) -> Iterator[Row]:
    """Names a second, 10,000 at once, and seconds to the first name of a new wish."""
    for name, model in (("positional", positional), ("fivegram", fivegram)):
        chain = compile_chain(model)
        for wish_name, constraints in WISHES.items():
            yield from _compare(f"{wish_name}, {name}", chain, constraints)


def _compare(task: str, chain: MarkovChain, constraints: Constraints) -> Iterator[Row]:
    generator = np.random.default_rng(1)
    anything, wished = (
        Sampler(condition(chain, Constraints())),
        Sampler(condition(chain, constraints)),
    )

    def draw_anything() -> None:
        anything.draw(MANY, generator)

    def draw_wished() -> None:
        wished.draw(MANY, generator)

    rejecting, exact = interleaved(draw_anything, draw_wished, rounds=9)
    # Of what is drawn so few would be left, in the long run.
    kept = MANY * wished.probability / anything.probability
    yield Row(task, kept / rejecting, MANY / exact, "names/s")
