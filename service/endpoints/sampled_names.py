"""Names to be drawn, all at once or in a stream, and what they are on the wire."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from json.encoder import encode_basestring as quoted

import numpy as np

from models.constraints.constraints import ConstraintError
from models.queries.sampling import BLOCK
from models.queries.without_replacement import sample_without_replacement
from models.scoring.likelihoods import log_likelihoods
from service.api.responses import SampleReply
from service.catalog.catalog import ServedModel
from service.catalog.compiled_constraints import CompiledConstraints
from service.load.queue import Work
from service.negotiation import JSON, TEXT

LIGHT = 2**16  # cells of a chain, of which a block of names is drawn at once


@dataclass(frozen=True)
class Sample:
    """Some names of a model that fulfil a wish, the same for the same seed."""

    model: ServedModel
    constraints: CompiledConstraints
    count: int
    seed: int
    unique: bool

    @property
    def work(self) -> Work:
        """What it takes."""
        characters = self.count * self.constraints.chain.constraints.max_length
        if self.unique:
            return Work("distinct", characters)
        return Work("sample", characters, light=self.constraints.cells <= LIGHT)

    @property
    def is_long(self) -> bool:
        """Whether a stream is worth its while. Names that are not to repeat are none."""
        return self.count > BLOCK and not self.unique

    @property
    def headers(self) -> dict[str, str]:
        """What a reply without room for it tells besides the names."""
        return {
            "Moniker-Model": self.model.name,
            "Moniker-Checkpoint": self.model.version,
            "Moniker-Seed": str(self.seed),
            "Moniker-Probability": str(self.constraints.probability),
        }

    def blocks(self) -> Iterator[list[str]]:
        """The names, some at a time, each time within some milliseconds.

        Raises ConstraintError if there are not so many different ones.
        """
        generator = np.random.default_rng(self.seed)
        if not self.unique:
            yield from self.constraints.sampler.blocks(self.count, generator)
            return
        if self.count > self.constraints.support:
            most = f"Input should be at most {self.constraints.support:,.0f}"
            raise ConstraintError(f"{most}: no more names fulfil the wish", "n")
        yield from sample_without_replacement(self.constraints.sampler, self.count, generator)

    def steps(self, media: str) -> Iterator[str | None]:
        """The whole reply at the last step; each takes some milliseconds."""
        names: list[str] = []
        for some in self.blocks():
            names += some
            yield None
        yield self.content(media, names)

    def content(self, media: str, names: Sequence[str]) -> str:
        """The whole reply."""
        if media != JSON:
            return self.lines(media, names)
        reply = SampleReply(
            model=self.model.name,
            checkpoint=self.model.version,
            seed=self.seed,
            probability=self.constraints.probability,
            names=names,
        )
        return reply.model_dump_json()

    def lines(self, media: str, names: Sequence[str]) -> str:
        """Names as text or as JSON with their log-likelihoods, a line each."""
        if media == TEXT:
            return "\n".join(names) + "\n"
        likelihoods = log_likelihoods(self.constraints.chain.chain, names).tolist()
        return "".join(
            f'{{"name":{quoted(name)},"log_likelihood":{likelihood}}}\n'
            for name, likelihood in zip(names, likelihoods, strict=True)
        )
