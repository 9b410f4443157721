"""Held-out evaluation: fit on nine tenths of the distinct names, then predict the others."""

import random
from dataclasses import dataclass

import numpy as np

from models.arrays import Floats, Ints, array_dataclass
from models.chain import Chain, compile_chain
from models.counts import count
from models.features import ARCHITECTURES
from models.transitions import transitions
from models.vocabulary import Vocabulary
from training.names import NameList, NameListError

SHARE = 0.1  # of the distinct names, held out
LEAST = 10  # distinct names: of fewer none would be held out
SEED = 0


@dataclass(frozen=True)
class Split:
    """The distinct names of a list in two parts: those fitted on and those held out."""

    fitted: list[str]
    held_out: list[str]


@array_dataclass
class Evaluation:
    """How well held-out names are predicted, ends of names included, in nats a character.

    nll: mean negative log-likelihood of all their transitions
    by_position: the same by the number of characters before, (longest held-out name + 1,)
    transitions: how many there are at each position, of the same shape
    """

    nll: float
    by_position: Floats
    transitions: Ints


def split(names: NameList) -> Split:
    """The distinct names sorted, shuffled and parted. Raises NameListError if they are too few."""
    distinct = sorted(set(names.names))
    if len(distinct) < LEAST:
        raise NameListError(
            f"{names.name}: --evaluate needs at least {LEAST} distinct names, not {len(distinct)}"
        )
    random.Random(SEED).shuffle(distinct)  # noqa: S311  # the same split everywhere, no secret
    aside = int(len(distinct) * SHARE)
    return Split(distinct[aside:], distinct[:aside])


def evaluate(
    name: str,
    parts: Split,
    vocabulary: Vocabulary,
    positions: int,
    recipe_name: str | None = None,
) -> Evaluation:
    """Fit an architecture on one part as `train` does and predict the other."""
    from training.trained import train  # imports torch, which takes seconds: split the list first

    stream = vocabulary.encode(parts.fitted)
    counts = count(transitions(stream, ARCHITECTURES[name].order, positions))
    trained = train(name, vocabulary, counts, positions, recipe_name)
    return predict(compile_chain(trained.model), vocabulary, parts.held_out)


def predict(chain: Chain, vocabulary: Vocabulary, names: list[str]) -> Evaluation:
    """How well a chain predicts names, at least one, in the characters of its vocabulary."""
    steps = transitions(vocabulary.encode(names), chain.suffixes.order)
    positions, nats = steps.contexts.positions, -chain.log_likelihoods(steps)
    sizes = np.bincount(positions)
    return Evaluation(float(nats.mean()), np.bincount(positions, nats) / sizes, sizes)
