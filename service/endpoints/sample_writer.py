"""Sampled names as JSON, text and JSON Lines, at once or in blocks of a stream."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from json.encoder import encode_basestring as quoted

import numpy as np

from models.queries.sampling import BATCH_NAMES
from models.queries.without_replacement import sample_without_replacement
from models.scoring.likelihoods import log_likelihoods
from service.api.responses import SampleResponse
from service.catalog.catalog import ServedModel
from service.catalog.compiled_constraints import CompiledConstraints
from service.errors import FieldProblem, InvalidFieldsError
from service.http.negotiation import JSON, TEXT
from service.load.queue import Work

LIGHT = 2**16  # cells of a chain from which a block of names is sampled in a few milliseconds


@dataclass(frozen=True)
class SampleWriter:
    """Samples names and formats them. The same seed gives the same names."""

    model: ServedModel
    compiled: CompiledConstraints
    count: int
    seed: int
    unique: bool

    @property
    def work(self) -> Work:
        """The work of sampling, for the request queue."""
        characters = self.count * self.compiled.chain.constraints.max_length
        if self.unique:
            return Work("unique", characters)
        return Work("sample", characters, light=self.compiled.cells <= LIGHT)

    @property
    def is_long(self) -> bool:
        """Whether to stream the names. Names without replacement are never streamed."""
        return self.count > BATCH_NAMES and not self.unique

    @property
    def headers(self) -> dict[str, str]:
        """Headers of text and JSON Lines, which contain only the names."""
        return {
            "Moniker-Model": self.model.name,
            "Moniker-Checkpoint": self.model.version,
            "Moniker-Seed": str(self.seed),
            "Moniker-Probability": str(self.compiled.probability),
        }

    def blocks(self) -> Iterator[list[str]]:
        """Yield the names in blocks, each of which takes a few milliseconds.

        Raises InvalidFieldsError if `unique` asks for more names than satisfy the constraints.
        """
        generator = np.random.default_rng(self.seed)
        if not self.unique:
            yield from self.compiled.sampler.batches(self.count, generator)
            return
        if self.count > self.compiled.support:
            limit = f"Input should be at most {self.compiled.support:,.0f}"
            detail = f"{limit}: no more names satisfy the constraints"
            raise InvalidFieldsError.of_fields([FieldProblem(field="n", detail=detail)])
        yield from sample_without_replacement(self.compiled.sampler, self.count, generator)

    def chunks(self, media: str) -> Iterator[str | None]:
        """Do the work in chunks of a few milliseconds: yield None after each, then the content."""
        names: list[str] = []
        for block in self.blocks():
            names += block
            yield None
        yield self.content(media, names)

    def content(self, media: str, names: Sequence[str]) -> str:
        """Return the content of a response that is not streamed."""
        if media != JSON:
            return self.lines(media, names)
        response = SampleResponse(
            model=self.model.name,
            checkpoint=self.model.version,
            seed=self.seed,
            probability=self.compiled.probability,
            names=names,
        )
        return response.model_dump_json()

    def lines(self, media: str, names: Sequence[str]) -> str:
        """Return a line for each name: the name, or JSON with its log-likelihood."""
        if media == TEXT:
            return "\n".join(names) + "\n"
        likelihoods = log_likelihoods(self.compiled.chain.chain, names).tolist()
        return "".join(
            f'{{"name":{quoted(name)},"log_likelihood":{likelihood}}}\n'
            for name, likelihood in zip(names, likelihoods, strict=True)
        )
