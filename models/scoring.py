"""How likely a chain finds a name: the sum of the log-probabilities of its steps, end included."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from models.arrays import Floats, Ints
from models.chain import Chain
from models.counts import ContextCounts
from models.suffixes import START
from models.transitions import name_starts, transitions
from models.vocabulary import UNKNOWN, Vocabulary
from models.wish import WishError

BLOCK = 1_000  # names scored at once: bounds the memory, loses no speed


@dataclass(frozen=True, slots=True)
class Score:
    """What a chain says of one name; the numbers are None if it has `unknown` characters.

    log_likelihood: natural logarithm of the name's probability, its end included
    per_character: log_likelihood / (characters + 1 for the end), in nats
    perplexity: exp(-per_character)
    """

    name: str
    normalized: str
    log_likelihood: float | None
    per_character: float | None
    perplexity: float | None
    unknown: list[str]


def score(chain: Chain, vocabulary: Vocabulary, names: Sequence[str]) -> list[Score]:
    """A score for each of the names, in their order."""
    blocks = (names[start : start + BLOCK] for start in range(0, len(names), BLOCK))
    return [scored for block in blocks for scored in _score_block(chain, vocabulary, block)]


def nll(chain: Chain, counts: ContextCounts) -> float:
    """Mean negative log-likelihood of the counted transitions, in nats a character."""
    return -float(np.average(chain.log_likelihoods(counts.steps), weights=counts.counts))


def log_likelihoods(chain: Chain, names: Sequence[str]) -> Floats:
    """Of n names of the chain's vocabulary, normalised, (n,)."""
    return _totals(chain, chain.vocabulary.encode(names))


def continuations(chain: Chain, prefix: str) -> list[tuple[str | None, float]]:
    """What can follow the beginning of a name, None for its end, with its log-probability.

    The likeliest first. Raises WishError if the model does not know a character.
    """
    tokens = chain.vocabulary.encode([prefix])[:-1]
    for place in np.flatnonzero(tokens == UNKNOWN):
        raise WishError(f"The model does not know character {place + 1}", "prefix")
    state = START
    for token in tokens:
        state = int(chain.suffixes.successors[state, token])
    likelihoods = chain.log_probabilities(len(tokens), state)
    order = np.argsort(-likelihoods, kind="stable")
    following = [None, *chain.vocabulary.characters]
    return [(following[token], float(likelihoods[token])) for token in order]


def _score_block(chain: Chain, vocabulary: Vocabulary, names: Sequence[str]) -> list[Score]:
    normalized = [vocabulary.normalize(name) for name in names]
    stream = vocabulary.encode(normalized)
    starts = name_starts(stream)
    # UNKNOWN looks up some other token's step; such names are sorted out below.
    totals = _totals(chain, stream)
    per_character = totals / np.diff(np.append(starts, len(stream)))
    with np.errstate(over="ignore"):
        perplexity = np.exp(-per_character)
    known = np.minimum.reduceat(stream, starts) > UNKNOWN
    numbers = zip(totals.tolist(), per_character.tolist(), perplexity.tolist(), strict=True)
    scores = []
    for name, form, is_known, three in zip(names, normalized, known, numbers, strict=True):
        if is_known:
            scores.append(Score(name, form, *three, []))
        else:
            scores.append(Score(name, form, None, None, None, _unknown(form, vocabulary)))
    return scores


def _totals(chain: Chain, stream: Ints) -> Floats:
    """The log-likelihood of each of n names in a stream of tokens, (n,)."""
    steps = transitions(stream, chain.suffixes.order, chain.positions)
    totals: Floats = np.add.reduceat(chain.log_likelihoods(steps), name_starts(stream))
    return totals


def _unknown(name: str, vocabulary: Vocabulary) -> list[str]:
    """The distinct characters outside the vocabulary, in the order they occur."""
    return [c for c in dict.fromkeys(name) if c not in vocabulary.characters]
