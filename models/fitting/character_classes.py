"""Character classes: the rare characters of a large alphabet are fitted as one class.

The cost of a softmax grows with the number of characters, although most characters of a large
alphabet are rare. So a model is fitted to the most frequent characters and one class of all
others (Goodman, 2001), and then expanded: a rare character has the weights of its class, as input
and as output, plus the logarithm of its share of the class's occurrences.
"""

import numpy as np

from models.arrays import Floats, Ints, Weights, array_dataclass
from models.counts.context_counts import ContextCounts
from models.text.vocabulary import BOUNDARY

MAX_CLASSES = 2**10  # an alphabet of at most this many tokens has a class for each token


@array_dataclass
class CharacterClasses:
    """The class of each token. Classes are in the order of the tokens; rare tokens have the last.

    of_tokens: (tokens,), the class of each token
    log_shares: (tokens,), the logarithm of the share that each token has of its class
    """

    of_tokens: Ints
    log_shares: Floats

    @classmethod
    def of(cls, counts: ContextCounts, tokens: int) -> "CharacterClasses":
        """Return a class for each of the most frequent tokens and one for all others."""
        if tokens <= MAX_CLASSES:
            return cls(np.arange(tokens), np.zeros(tokens))
        # Add-half smoothing: a token without counts, as in a held-out part, has a probability too.
        occurrences = np.bincount(counts.transitions.tokens, counts.counts, tokens) + 0.5
        occurrences[BOUNDARY] = np.inf
        rare = np.sort(np.argsort(-occurrences, kind="stable")[MAX_CLASSES - 1 :])
        of_tokens, log_shares = np.full(tokens, MAX_CLASSES - 1), np.zeros(tokens)
        of_tokens[np.setdiff1d(np.arange(tokens), rare)] = np.arange(MAX_CLASSES - 1)
        log_shares[rare] = np.log(occurrences[rare] / occurrences[rare].sum())
        return cls(of_tokens, log_shares)

    def __len__(self) -> int:
        """The number of classes."""
        return int(self.of_tokens.max()) + 1

    @property
    def representatives(self) -> Ints:
        """The first token of the class of each token, (tokens,)."""
        first: Ints = np.unique(self.of_tokens, return_index=True)[1]
        return first[self.of_tokens]

    def expand(self, weights: Weights) -> Weights:
        """Return weights (rows, classes) as (rows, tokens).

        The first rows are those of the last character, one for each token.
        """
        expanded: Weights = np.take(weights, self.of_tokens, axis=1)
        if len(self) < len(self.of_tokens):
            last_character = expanded[self.representatives] + self.log_shares
            expanded[: len(self.of_tokens)] = last_character
        return expanded
