"""Why a name is as likely as it is: its steps, taken apart into what each feature says of them.

The layer is additive: the log-probability of a character is a sum of what the features add to
its logit, less the normalizer. What is added to all characters alike says nothing, so
that each contribution is told against its mean over what may come here, as likely as the
model finds it. With these means the normalizer becomes the mean log-probability, which
is minus the entropy: what is to be expected of any character that the model makes here.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from models.arrays import Floats
from models.chain.markov_chain import MarkovChain
from models.linear.model import LinearModel

ALTERNATIVES = 3


@dataclass(frozen=True, slots=True)
class Alternative:
    """What else might come, None for the end of the name, and its log-probability."""

    character: str | None
    log_likelihood: float


@dataclass(frozen=True, slots=True)
class Step:
    """One step of a name.

    character: that comes, None for the end of the name
    log_likelihood: its log-probability, natural
    rank: 1 for the likeliest
    expected: the mean log-probability of what may come here
    contributions: feature -> by how much it makes the character likelier, or less likely,
        than it makes what may come here on average; with `expected` they add up to
        log_likelihood
    alternatives: the likeliest other characters, the likeliest first
    """

    character: str | None
    log_likelihood: float
    rank: int
    expected: float
    contributions: dict[str, float]
    alternatives: list[Alternative]


def explain(model: LinearModel, chain: MarkovChain, name: str) -> list[Step]:
    """The steps of a name in the characters of the model, its end included.

    chain: of the model, as it is
    """
    return list(_steps(model, chain, name))


def _steps(model: LinearModel, chain: MarkovChain, name: str) -> Iterator[Step]:
    following = [None, *model.vocabulary.characters]
    features = [feature.name for feature in model.feature_map.features]
    for position, state, token in chain.walk(model.vocabulary.encode([name]).tolist()):
        likelihoods = chain.log_probabilities(position, state)
        probabilities = np.exp(likelihoods)
        place = int(chain.position_contexts[min(position, chain.positions - 1), state])
        added = model.contributions(state, place)
        contributions = added[:, token] - added @ probabilities
        yield Step(
            character=following[token],
            log_likelihood=float(likelihoods[token]),
            rank=1 + int((likelihoods > likelihoods[token]).sum()),
            expected=float(probabilities @ likelihoods),
            contributions=dict(zip(features, contributions.tolist(), strict=True)),
            alternatives=[
                Alternative(following[other], float(likelihoods[other]))
                for other in _likeliest_others(likelihoods, token)
            ],
        )


def _likeliest_others(likelihoods: Floats, token: int) -> list[int]:
    order: list[int] = np.argsort(-likelihoods, kind="stable")[: ALTERNATIVES + 1].tolist()
    return [other for other in order if other != token][:ALTERNATIVES]
