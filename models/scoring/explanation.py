"""Explanation of a log-likelihood: the contribution of each feature to each character.

The layer is additive: the log-probability of a character is a sum of the logits of the features,
minus the normalizer. A logit that is added to all characters has no effect, so each
contribution is relative to its mean over the next characters, weighted by their probabilities.
With these means the normalizer becomes the mean log-probability, which is the negative entropy.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, fields

import numpy as np

from models.arrays import Floats
from models.chain.markov_chain import MarkovChain
from models.linear.model import LinearModel
from models.scoring.score import Score

ALTERNATIVES = 3  # of each step


@dataclass(frozen=True, slots=True)
class Alternative:
    """Another next character, None for the end of the name, and its log-probability."""

    character: str | None
    log_likelihood: float


@dataclass(frozen=True, slots=True)
class Step:
    """The explanation of one character of a name.

    character: None for the end of the name
    log_likelihood: its log-probability, natural
    rank: 1 for the most probable character
    expected: the mean log-probability of the next character, the negative entropy
    contributions: feature -> its logit of the character minus its mean logit; with `expected`
        they add up to log_likelihood
    alternatives: the most probable other characters, in descending order
    """

    character: str | None
    log_likelihood: float
    rank: int
    expected: float
    contributions: dict[str, float]
    alternatives: list[Alternative]


@dataclass(frozen=True, slots=True)
class ExplainedScore(Score):
    """A score with its explanation and spelling suggestions.

    in_training_set: whether the name is in the training set, None if the training set is unknown
    steps: empty if the name has unknown characters
    suggestions: in descending order of log-likelihood
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
        """Return the score with its explanation and suggestions."""
        values = {field.name: getattr(score, field.name) for field in fields(score)}
        return cls(**values, in_training_set=in_training_set, steps=steps, suggestions=suggestions)


def explain(model: LinearModel, chain: MarkovChain, name: str) -> list[Step]:
    """Return a step for each character of a name and one for its end.

    chain: the chain of the model at temperature 1
    name: normalised, without unknown characters
    """
    return list(_steps(model, chain, name))


def _steps(model: LinearModel, chain: MarkovChain, name: str) -> Iterator[Step]:
    characters = [None, *model.vocabulary.characters]
    features = [feature.name for feature in model.feature_map.features]
    for position, state, token in chain.walk(model.vocabulary.encode([name]).tolist()):
        log_probabilities = chain.log_probabilities(position, state)
        probabilities = np.exp(log_probabilities)
        context = int(chain.position_context_table[min(position, chain.positions - 1), state])
        logits = model.contributions(state, context)  # (features, tokens)
        contributions = logits[:, token] - logits @ probabilities
        yield Step(
            character=characters[token],
            log_likelihood=float(log_probabilities[token]),
            rank=1 + int((log_probabilities > log_probabilities[token]).sum()),
            expected=float(probabilities @ log_probabilities),
            contributions=dict(zip(features, contributions.tolist(), strict=True)),
            alternatives=[
                Alternative(characters[other], float(log_probabilities[other]))
                for other in _alternatives(log_probabilities, token)
            ],
        )


def _alternatives(log_probabilities: Floats, token: int) -> list[int]:
    """Return the most probable tokens except one."""
    order = np.argsort(-log_probabilities, kind="stable")[: ALTERNATIVES + 1].tolist()
    return [other for other in order if other != token][:ALTERNATIVES]
