"""What follows the beginning of a name: the exact distribution."""

import numpy as np

from models.chain import Chain
from models.vocabulary import UNKNOWN
from models.wish import WishError


def continuations(chain: Chain, prefix: str) -> list[tuple[str | None, float]]:
    """What can follow the beginning of a name, None for its end, with its log-probability.

    The likeliest first. Raises WishError if the model does not know a character.
    """
    tokens = chain.vocabulary.encode([prefix])  # with an end, in the place of what follows
    for place in np.flatnonzero(tokens == UNKNOWN):
        raise WishError(f"The model does not know character {place + 1}", "prefix")
    *_, (position, state, _) = chain.walk(tokens)
    likelihoods = chain.log_probabilities(position, state)
    order = np.argsort(-likelihoods, kind="stable")
    following = [None, *chain.vocabulary.characters]
    return [(following[token], float(likelihoods[token])) for token in order]
