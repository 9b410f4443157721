"""Scores of names: log-likelihood, perplexity and percentile among names of the same length."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from models.arrays import Floats, Ints
from models.chain.markov_chain import MarkovChain
from models.scoring.likelihoods import NameScorer, log_likelihoods
from models.scoring.percentile_table import PercentileTable

SCORING_BATCH_FROM = 32  # names: from this number on a batch is faster than one name at a time
BATCH_NAMES = 4096  # names of a batch: bounds the memory at no cost in speed
MAX_EXPONENT = 709.0  # exp of more overflows a float: greater perplexities are clamped


@dataclass(frozen=True, slots=True)
class Score:
    """The score of one name; the numbers are None if it has unknown characters.

    name, normalized: the name as received and as scored
    log_likelihood: the natural logarithm of the name's probability, its end included
    per_character: log_likelihood / (characters + 1 for the end), in nats
    perplexity: exp(-per_character)
    percentile: the share of the model's names of the same length that are less probable, plus
        half the share of those that are equally probable
    unknown: the distinct characters of the name that the vocabulary lacks
    """

    name: str
    normalized: str
    log_likelihood: float | None = None
    per_character: float | None = None
    perplexity: float | None = None
    percentile: float | None = None
    unknown: tuple[str, ...] = ()


class Scorer:
    """Scores names under a chain, with the percentile table of the chain."""

    def __init__(self, chain: MarkovChain, percentiles: PercentileTable) -> None:
        self.chain = chain
        self._percentile_table = percentiles
        self._name_scorer = NameScorer(chain)

    def log_likelihoods_and_percentiles(self, names: Sequence[str]) -> tuple[Floats, Floats]:
        """Return the log-likelihoods and the percentiles of n normalised names, (n,) each.

        Both are nan for names with unknown characters.
        """
        if len(names) < SCORING_BATCH_FROM:
            likelihoods = np.array([self._name_scorer.log_likelihood(name) for name in names])
        else:
            starts = range(0, len(names), BATCH_NAMES)
            batches = (names[start : start + BATCH_NAMES] for start in starts)
            likelihoods = np.concatenate([log_likelihoods(self.chain, b) for b in batches])
        return likelihoods, self._percentile_table.percentiles(likelihoods, _lengths(names))

    def score(self, names: Sequence[str]) -> list[Score]:
        """Return a score for each name, in order; the names are normalised first."""
        normalized = [self.chain.vocabulary.normalize(name) for name in names]
        likelihoods, percentiles = self.log_likelihoods_and_percentiles(normalized)
        per_character = likelihoods / (_lengths(normalized) + 1)
        perplexity = np.exp(np.minimum(-per_character, MAX_EXPONENT))
        columns = (likelihoods, per_character, perplexity, percentiles)
        rows = zip(names, normalized, *(column.tolist() for column in columns), strict=True)
        return [
            Score(*row) if row[2] == row[2] else self._unscored(*row[:2])  # nan != nan
            for row in rows
        ]

    def _unscored(self, name: str, normalized: str) -> Score:
        """Return the score of a name with unknown characters."""
        known = self.chain.vocabulary.characters
        unknown = tuple(c for c in dict.fromkeys(normalized) if c not in known)
        return Score(name, normalized, unknown=unknown)


def _lengths(names: Sequence[str]) -> Ints:
    return np.fromiter(map(len, names), np.intp, len(names))
