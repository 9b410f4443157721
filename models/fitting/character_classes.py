"""Character classes: the rare characters of a large alphabet are learned as one.

The cost of a softmax grows with the number of characters, although most of thousands are seen
only a few times. So a model is fitted to the most frequent characters and one class of all
others (Goodman, 2001), and then expanded: a rare character has the weights of its class, as
input and as output, and its share of the class's occurrences as its probability in the class.
"""

import numpy as np

from models.arrays import Floats, Ints, Weights, array_dataclass
from models.counts.context_counts import ContextCounts
from models.text.vocabulary import BOUNDARY

MOST = 2**10  # classes: alphabets of at most this many tokens are learned in full


@array_dataclass
class CharacterClasses:
    """The class of each token, in the order of the tokens; the rare ones are the last class.

    of_tokens: (tokens,), the class of each token
    log_shares: (tokens,), the logarithm of the share that each has in its class
    """

    of_tokens: Ints
    log_shares: Floats

    @classmethod
    def of(cls, counts: ContextCounts, tokens: int) -> "CharacterClasses":
        """A class for each of the most frequent tokens, and one for the others."""
        if tokens <= MOST:
            return cls(np.arange(tokens), np.zeros(tokens))
        # Half an occurrence more: no token has probability zero, even if these counts lack it.
        often = np.bincount(counts.transitions.tokens, counts.counts, tokens) + 0.5
        often[BOUNDARY] = np.inf
        rare = np.sort(np.argsort(-often, kind="stable")[MOST - 1 :])
        of_tokens, log_shares = np.full(tokens, MOST - 1), np.zeros(tokens)
        of_tokens[np.setdiff1d(np.arange(tokens), rare)] = np.arange(MOST - 1)
        log_shares[rare] = np.log(often[rare] / often[rare].sum())
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
        """Weights (rows, classes) -> (rows, tokens); the first rows are those of the last token."""
        expanded: Weights = np.take(weights, self.of_tokens, axis=1)
        if len(self) < len(self.of_tokens):
            last = expanded[self.representatives] + self.log_shares
            expanded[: len(self.of_tokens)] = last
        return expanded
