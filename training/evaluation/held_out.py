"""Held-out evaluation: fit on nine tenths of the distinct names, then predict the others.

A name that is repeated stays so among the names fitted on; no copy of a held-out name does.
"""

import random
from dataclasses import dataclass

import numpy as np

from models.arrays import Floats, Ints, array_dataclass
from models.chain.markov_chain import MarkovChain, compile_chain
from models.counts.context_counts import count
from models.counts.transitions import transitions
from models.text.vocabulary import Vocabulary
from training.counts.counting import DEEPEST
from training.lists.name_list import NameList, NameListError

SHARE = 0.1  # of the distinct names, held out
LEAST = 10  # distinct names: of fewer none would be held out
SEED = 0


@dataclass(frozen=True)
class Split:
    """A list in two parts: what is fitted on, repeated as in the list, and distinct names.

    fitted: the list without the names held out
    held_out: distinct names
    """

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
    """Hold out a tenth of the distinct names, sorted and shuffled.

    Raises NameListError if they are too few.
    """
    distinct = sorted(set(names.names))
    if len(distinct) < LEAST:
        raise NameListError(
            f"{names.name}: --evaluate needs at least {LEAST} distinct names, not {len(distinct)}"
        )
    random.Random(SEED).shuffle(distinct)  # noqa: S311  # the same split everywhere, no secret
    held_out = distinct[: int(len(distinct) * SHARE)]
    aside = set(held_out)
    return Split([name for name in names.names if name not in aside], held_out)


def evaluate(
    name: str,
    parts: Split,
    vocabulary: Vocabulary,
    positions: int,
    recipe_name: str | None = None,
) -> Evaluation:
    """Fit an architecture on one part as `train` does and predict the other, each name once."""
    from training.train import train  # imports torch, which takes seconds: split the list first

    counts = count(transitions(vocabulary.encode(parts.fitted), DEEPEST))
    trained = train(name, vocabulary, counts, positions, recipe_name)
    return predict(compile_chain(trained.model), vocabulary, parts.held_out)


def predict(chain: MarkovChain, vocabulary: Vocabulary, names: list[str]) -> Evaluation:
    """How well a chain predicts names, at least one, in the characters of its vocabulary."""
    steps = transitions(vocabulary.encode(names), chain.trie.order)
    positions, nats = steps.contexts.positions, -chain.log_likelihoods(steps)
    sizes = np.bincount(positions)
    return Evaluation(float(nats.mean()), np.bincount(positions, nats) / sizes, sizes)
