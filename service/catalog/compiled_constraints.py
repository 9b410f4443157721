"""Compiled constraints: a sampler and the marginals of its conditioned chain, each cached."""

import numpy as np

from models.arrays import Floats, Ints
from models.chain.conditioning import ConditionedChain
from models.lazy_property import lazy
from models.queries.marginals import (
    BigramMarginals,
    bigram_marginals,
    expected_counts,
    length_distribution,
    support_size,
)
from models.queries.sampling import Sampler
from models.text.vocabulary import BOUNDARY


class CompiledConstraints:
    """All that the service computes for the constraints of a request.

    chain: the chain of a model conditioned on the constraints
    sampler: draws names from it
    """

    def __init__(self, chain: ConditionedChain) -> None:
        self.chain = chain
        self.sampler = Sampler(chain)

    @property
    def probability(self) -> float:
        """The probability that an unconditioned sample satisfies the constraints."""
        return self.sampler.probability

    @property
    def size(self) -> int:
        """Bytes of the arrays and tables kept so far, without the arrays of the model."""
        return self.sampler.size

    @property
    def cells(self) -> int:
        """Number of transitions of the chain, a measure of the time to visit all of them."""
        return self.chain.num_transitions

    @lazy
    def support(self) -> float:
        """Number of distinct names that satisfy the constraints."""
        return support_size(self.chain)

    @lazy
    def lengths(self) -> Floats:
        """Distribution of the lengths of the names, (max_length + 1,)."""
        return length_distribution(self.chain)

    @lazy
    def expected_counts(self) -> Floats:
        """Expected number of occurrences of each token in a name, (tokens,)."""
        return expected_counts(self.chain)

    def has_cached(self, attribute: str) -> bool:
        """Return whether a cached attribute has been computed, so that reading it takes no time."""
        return attribute in vars(self)

    def most_frequent(self, limit: int) -> Ints:
        """Return the tokens of BOUNDARY and of the most frequent characters, in ascending order.

        limit: maximum number of characters
        """
        characters = np.arange(1, len(self.chain.chain.vocabulary))
        if len(characters) > limit:
            order = np.argsort(-self.expected_counts[1:], kind="stable")
            characters = np.sort(characters[order[:limit]])
        return np.append(BOUNDARY, characters)

    def bigrams(self, position: int, limit: int) -> BigramMarginals:
        """Return the bigrams of the `limit` most frequent characters at a position."""
        return bigram_marginals(self.chain, position, self.most_frequent(limit))
