"""What a model says of names: how likely they are, and how that compares with names as long."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from models.arrays import Floats, Ints
from models.chain.markov_chain import MarkovChain
from models.scoring.likelihoods import NameScorer, log_likelihoods
from models.scoring.percentile_table import PercentileTable

ABREAST_FROM = 32  # names from which on reading them abreast is the faster way
BLOCK = 4096  # names that are read abreast: bounds the memory, loses no speed
LOG_MAX = 709.0  # of a float: a perplexity that is greater is told as this great


@dataclass(frozen=True, slots=True)
class Score:
    """What a model says of one name; the numbers are None if it has `unknown` characters.

    log_likelihood: natural logarithm of the name's probability, its end included
    per_character: log_likelihood / (characters + 1 for the end), in nats
    perplexity: exp(-per_character)
    percentile: the share of the model's names of the same length that are less likely;
        those that are as likely count half
    """

    name: str
    normalized: str
    log_likelihood: float | None = None
    per_character: float | None = None
    perplexity: float | None = None
    percentile: float | None = None
    unknown: tuple[str, ...] = ()


class Scorer:
    """Scores names by a chain and the laws of the log-likelihoods of its names."""

    def __init__(self, chain: MarkovChain, percentiles: PercentileTable) -> None:
        self.chain = chain
        self._percentiles = percentiles
        self._reader = NameScorer(chain)

    def numbers(self, names: Sequence[str]) -> tuple[Floats, Floats]:
        """The log-likelihoods and percentiles of n normalised names, (n,) each.

        They are nan for names with unknown characters.
        """
        if len(names) < ABREAST_FROM:
            likelihoods = np.array([self._reader.log_likelihood(name) for name in names])
        else:
            blocks = (names[start : start + BLOCK] for start in range(0, len(names), BLOCK))
            likelihoods = np.concatenate([log_likelihoods(self.chain, b) for b in blocks])
        return likelihoods, self._percentiles.of(likelihoods, _lengths(names))

    def score(self, names: Sequence[str]) -> list[Score]:
        """A score for each of the names, in their order."""
        normalized = [self.chain.vocabulary.normalize(name) for name in names]
        likelihoods, percentiles = self.numbers(normalized)
        per_character = likelihoods / (_lengths(normalized) + 1)
        perplexity = np.exp(np.minimum(-per_character, LOG_MAX))
        columns = (likelihoods, per_character, perplexity, percentiles)
        rows = zip(names, normalized, *(column.tolist() for column in columns), strict=True)
        return [
            Score(*row) if row[2] == row[2] else self._unscored(*row[:2])  # nan is not itself
            for row in rows
        ]

    def _unscored(self, name: str, normalized: str) -> Score:
        """The score of a name with unknown characters."""
        known = self.chain.vocabulary.characters
        unknown = tuple(c for c in dict.fromkeys(normalized) if c not in known)
        return Score(name, normalized, unknown=unknown)


def _lengths(names: Sequence[str]) -> Ints:
    return np.fromiter(map(len, names), np.intp, len(names))
