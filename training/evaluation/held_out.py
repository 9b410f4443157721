"""Held-out evaluation: fit on nine tenths of the distinct names, then predict the others.

All copies of a repeated name are on the same side of the split.
"""

import random
from dataclasses import dataclass

import numpy as np

from models.arrays import Floats, Ints, array_dataclass
from models.chain.markov_chain import MarkovChain, compile_chain
from models.counts.context_counts import count
from models.counts.transitions import transitions
from models.text.vocabulary import Vocabulary
from training.counts.counting import MAX_ORDER
from training.lists.name_list import NameList, NameListError

HELD_OUT_SHARE = 0.1  # of the distinct names
MIN_DISTINCT_NAMES = 10  # with fewer names the held-out tenth would be empty
SEED = 0


@dataclass(frozen=True)
class Split:
    """A list in two parts.

    fitted: names to fit on, repeated and ordered as in the list
    held_out: distinct names to predict
    """

    fitted: list[str]
    held_out: list[str]


@array_dataclass
class Evaluation:
    """Negative log-likelihood (NLL) of held-out names, ends included, in nats per character.

    nll: mean over all transitions
    nll_by_position: mean at each position, (length of the longest held-out name + 1,)
    transitions_by_position: number of transitions at each position, same shape
    """

    nll: float
    nll_by_position: Floats
    transitions_by_position: Ints


def split(name_list: NameList) -> Split:
    """Hold out a tenth of the distinct names, chosen by a shuffle with a fixed seed.

    Raises NameListError if there are fewer than MIN_DISTINCT_NAMES distinct names.
    """
    distinct = sorted(set(name_list.names))
    if len(distinct) < MIN_DISTINCT_NAMES:
        raise NameListError(
            f"{name_list.name}: --evaluate needs at least {MIN_DISTINCT_NAMES} distinct names,"
            f" but the list has {len(distinct)}; add names, or remove --evaluate"
        )
    random.Random(SEED).shuffle(distinct)  # noqa: S311  # reproducible, not secret
    held_out = distinct[: int(len(distinct) * HELD_OUT_SHARE)]
    excluded = set(held_out)
    return Split([name for name in name_list.names if name not in excluded], held_out)


def evaluate(
    name: str,
    parts: Split,
    vocabulary: Vocabulary,
    positions: int,
    recipe_name: str | None = None,
) -> Evaluation:
    """Fit an architecture on one part of a list, as `train` does, and predict the other part."""
    from training.train import train  # imports torch, which takes seconds, after the split

    counts = count(transitions(vocabulary.encode(parts.fitted), MAX_ORDER))
    trained = train(name, vocabulary, counts, positions, recipe_name)
    return measure(compile_chain(trained.model), vocabulary, parts.held_out)


def measure(chain: MarkovChain, vocabulary: Vocabulary, names: list[str]) -> Evaluation:
    """Return the negative log-likelihood of one or more names over the vocabulary of a chain."""
    predicted = transitions(vocabulary.encode(names), chain.trie.order)
    positions, nlls = predicted.contexts.positions, -chain.log_probabilities_in_context(predicted)
    sizes = np.bincount(positions)
    return Evaluation(float(nlls.mean()), np.bincount(positions, nlls) / sizes, sizes)
