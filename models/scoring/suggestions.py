"""Spelling suggestions: more probable names that are one edit away (Damerau, 1964).

The edits are tried only where the log-likelihood is lowest, relative to its expectation. Either of
the two characters that meet there may be wrong: an edit replaces or deletes one of them, inserts a
character between them, or transposes them.
"""

import math
from collections.abc import Iterator, Sequence

import numpy as np

from models.chain.markov_chain import MarkovChain
from models.queries.next_character import next_character_distribution
from models.scoring.explanation import Step
from models.scoring.score import Score, Scorer

MAX_SUGGESTIONS = 3  # for a name
MAX_CHARACTERS = 100  # tried for an insertion or a replacement: the most probable ones there


def suggest(scorer: Scorer, score: Score, steps: Sequence[Step]) -> list[Score]:
    """Return the most probable edits of a name that are more probable than the name.

    steps: the explanation of the name, empty if it has unknown characters. The edits are at the
        first unknown character. If there are several, one edit cannot replace them all, and
        the list is empty.
    """
    vocabulary = scorer.chain.vocabulary
    edits = set(_edits(scorer.chain, score.normalized, _edit_position(score, steps)))
    # An edit can leave a space at an end, or a letter that composes with the next one.
    normal = sorted(name for name in edits if name and vocabulary.normalize(name) == name)
    lower_bound = -math.inf if score.log_likelihood is None else score.log_likelihood
    likelihoods, _ = scorer.log_likelihoods_and_percentiles(normal)
    best = np.argsort(-likelihoods, kind="stable")[:MAX_SUGGESTIONS]
    return scorer.score([normal[i] for i in best if likelihoods[i] > lower_bound])


def _edit_position(score: Score, steps: Sequence[Step]) -> int:
    """Return the position of the first unknown character, else of the greatest shortfall."""
    if score.unknown:
        return score.normalized.index(score.unknown[0])
    shortfalls = [step.log_likelihood - step.expected for step in steps]
    return shortfalls.index(min(shortfalls))


def _edits(chain: MarkovChain, name: str, position: int) -> Iterator[str]:
    """Yield all single edits of the characters before and at a position, and between them."""
    for index in (position - 1, position):
        if 0 <= index < len(name):
            before, after = name[:index], name[index + 1 :]
            yield before + after
            yield from (
                before + character + after for character in _probable_characters(chain, before)
            )
    before, after = name[:position], name[position:]
    yield from (before + character + after for character in _probable_characters(chain, before))
    if before and after:
        yield before[:-1] + after[0] + before[-1] + after[1:]


def _probable_characters(chain: MarkovChain, prefix: str) -> list[str]:
    """Return the most probable characters after a prefix."""
    distribution = next_character_distribution(chain, prefix)
    characters = [character for character, _ in distribution if character is not None]
    return characters[:MAX_CHARACTERS]
