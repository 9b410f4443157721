"""Names to be drawn, all at once or in blocks, and their forms: text and JSON lines."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from json.encoder import encode_basestring as quoted

import numpy as np

from models.distinct import draw_distinct
from models.sampling import ABREAST_FROM, Sampler
from models.scoring import log_likelihoods
from models.wish import WishError
from service.negotiation import TEXT

QUICK = 2**20  # names times states, which take no more than some milliseconds


@dataclass(frozen=True)
class Draw:
    """Some names of a sampler, the same for the same seed."""

    sampler: Sampler
    count: int
    seed: int
    unique: bool

    @property
    def is_quick(self) -> bool:
        """Whether the names are drawn before anybody would notice, even those of a new wish."""
        work = self.count * len(self.sampler.chain.product)
        return self.count < ABREAST_FROM and work <= QUICK and not self.unique

    def names(self) -> list[str]:
        """All names. Raises WishError if there are not so many different ones."""
        generator = np.random.default_rng(self.seed)
        if not self.unique:
            return self.sampler.draw(self.count, generator)
        if self.count > self.sampler.support:
            there_are = f"There are only {self.sampler.support:,.0f} names that fulfil the wish"
            raise WishError(there_are, "n")
        return draw_distinct(self.sampler, self.count, generator)

    def blocks(self) -> Iterator[list[str]]:
        """The same names, some thousands at a time, but for those that are not to repeat."""
        return self.sampler.blocks(self.count, np.random.default_rng(self.seed))

    def lines(self, media: str, names: Sequence[str]) -> str:
        """Some of the names a line each, as text or as JSON with their log-likelihoods."""
        if media == TEXT:
            return "\n".join(names) + "\n"
        likelihoods = log_likelihoods(self.sampler.chain.chain, names).tolist()
        return "".join(
            f'{{"name":{quoted(name)},"log_likelihood":{likelihood}}}\n'
            for name, likelihood in zip(names, likelihoods, strict=True)
        )
