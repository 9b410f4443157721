"""What a name may have been meant to be: the likeliest names that are one edit away from it.

The edit is at the place where the name goes wrong, which either of the characters that
meet there may be to blame for: one of them is replaced or left out, one is put between
them, or the two change places.
"""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, fields

import numpy as np

from models.chain.markov_chain import MarkovChain
from models.queries.next_character import next_character_distribution
from models.scoring.explanation import Step
from models.scoring.score import Score, Scorer

MOST = 3  # repairs of a name
CHARACTERS = 100  # that are tried at a place: of large alphabets the likeliest there


@dataclass(frozen=True, slots=True)
class ExplainedScore(Score):
    """A score, the steps it is the sum of, and what the name may have been meant to be.

    in_training_set: whether it is a name of the training list, None if that is not known
    steps: none if the name has unknown characters
    """

    in_training_set: bool | None = None
    steps: Sequence[Step] = ()
    suggestions: Sequence[Score] = ()

    @classmethod
    def of(
        cls,
        score: Score,
        in_training_set: bool | None,
        steps: Sequence[Step],
        suggestions: Sequence[Score],
    ) -> "ExplainedScore":
        """A score with all that explains it."""
        given = {field.name: getattr(score, field.name) for field in fields(score)}
        return cls(**given, in_training_set=in_training_set, steps=steps, suggestions=suggestions)


def suggest(scorer: Scorer, scored: Score, steps: Sequence[Step]) -> list[Score]:
    """The likeliest repairs of a name at its worst place that are likelier than the name.

    steps: of the name, none if it has unknown characters. If it has one of these, it
        is the worst place; if it has several, no single edit repairs it.
    """
    vocabulary = scorer.chain.vocabulary
    edits = set(_edits(scorer.chain, scored.normalized, _worst(scored, steps)))
    # An edit can leave white space at an end, or a letter that composes with the next.
    known = sorted(name for name in edits if name and vocabulary.normalize(name) == name)
    least = -math.inf if scored.log_likelihood is None else scored.log_likelihood
    likelihoods, _ = scorer.numbers(known)
    best = np.argsort(-likelihoods, kind="stable")[:MOST]
    return scorer.score([known[one] for one in best if likelihoods[one] > least])


def _worst(scored: Score, steps: Sequence[Step]) -> int:
    """The position of the first unknown character, or of what falls shortest of expectation."""
    if scored.unknown:
        return scored.normalized.index(scored.unknown[0])
    shortfalls = [step.log_likelihood - step.expected for step in steps]
    return shortfalls.index(min(shortfalls))


def _edits(chain: MarkovChain, name: str, place: int) -> Iterator[str]:
    """All single edits where the characters before and at a place meet."""
    for at in (place - 1, place):
        if 0 <= at < len(name):
            before, after = name[:at], name[at + 1 :]
            yield before + after
            yield from (before + character + after for character in _likely(chain, before))
    before, after = name[:place], name[place:]
    yield from (before + character + after for character in _likely(chain, before))
    if before and after:
        yield before[:-1] + after[0] + before[-1] + after[1:]


def _likely(chain: MarkovChain, beginning: str) -> list[str]:
    """The likeliest characters after the beginning of a name."""
    following = (character for character, _ in next_character_distribution(chain, beginning))
    return [character for character in following if character is not None][:CHARACTERS]
