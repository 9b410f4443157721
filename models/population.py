"""The names that a chain makes of each length, and how likely they are.

Beginnings of names grow by a letter at a time, all of them as long as they are few. When
they are too many they are thinned: some stand for the others, each for a known share of
probability. Those that are kept are spread evenly over the range of likelihoods and over
the last letters, which makes the error far smaller than that of as many random names; and
unlikely ones are kept more often than they occur, so that the law is known far into its tail.
Nothing is random: the same chain always gives the same laws.
"""

from dataclasses import dataclass

import numpy as np

from models.arrays import Floats, Ints
from models.chain import Chain
from models.conditioning import spelling
from models.percentiles import KNOTS, Percentiles, as_compared
from models.product import Product, multiply
from models.suffixes import START
from models.vocabulary import BOUNDARY

LONGEST = 256  # characters of the longest names that are looked at
FEW, NONE = 1e-2, 1e-4  # of the names, that are longer still: reason to follow fewer, or to stop
LONG = 32  # characters, from which on fewer are followed too, for the sake of time
KEPT = 2**14  # beginnings that are followed, at least, where the last limit allows it
KEPT_OF_STATES = 2  # times as many beginnings as states: what follows depends on the state
KEPT_OF_FEW = 0.25  # so much less, where there are few names
CELLS = 2**21  # beginnings one letter longer than those: bounds the memory, to some 200 MB
LEAST = 1e-300  # probability, beside that of the most probable name
LEVELS = 2**10  # of likelihood over which those that are kept are spread
# How often beginnings are kept: as they occur, as the square roots of their probabilities
# tell, and all alike. The shares of those three, and the powers of the probability.
MIXTURE = [(0.8, 1.0), (0.1, 0.5), (0.1, 0.0)]


@dataclass(frozen=True, eq=False)  # arrays have no truth value to compare by
class Beginnings:
    """Some beginnings of names, n of them, all of one length.

    states: (n,), where the product of the chain and the spelling is after them
    log_likelihoods: (n,), of the beginnings
    log_weights: (n,), logarithms of the probability that each stands for
    """

    states: Ints
    log_likelihoods: Floats
    log_weights: Floats

    def __len__(self) -> int:
        """How many there are."""
        return len(self.states)


def percentiles(chain: Chain) -> Percentiles:
    """The laws of the log-likelihoods of the chain's names, of each length."""
    product = multiply(chain, spelling(chain.vocabulary), LONGEST)
    most = max(KEPT, KEPT_OF_STATES * len(product))
    most = min(most, CELLS // len(chain.vocabulary))
    beginnings = Beginnings(np.array([START]), np.zeros(1), np.zeros(1))
    laws: list[Floats] = []
    left = 1.0
    while len(laws) < LONGEST and left > NONE:
        many = left > FEW and len(laws) < LONG
        count = most if many else int(most * KEPT_OF_FEW)
        if len(beginnings) > count:
            beginnings = thin(beginnings, count)
        beginnings = grow(chain, product, len(laws), beginnings)
        laws.append(_law(*_ended(chain, product, len(laws) + 1, beginnings)))
        left = np.exp(beginnings.log_weights).sum()
    return Percentiles(np.array(laws))


def grow(chain: Chain, product: Product, length: int, beginnings: Beginnings) -> Beginnings:
    """All beginnings with one character more than these, of which each has so many."""
    present, which = np.unique(beginnings.states, return_inverse=True)
    steps = chain.log_probabilities(length, product.chain_states[present]).T[1:, which]
    states = product.successors.T[1:, beginnings.states]  # (characters, n)
    some = states < len(product)  # the others are beginnings of no name
    return Beginnings(
        states[some],
        (beginnings.log_likelihoods + steps)[some],
        (beginnings.log_weights + steps)[some],
    )


def thin(beginnings: Beginnings, count: int) -> Beginnings:
    """As many beginnings at most, which stand for all: a systematic sample by likelihood."""
    likelihoods, weights = beginnings.log_likelihoods, beginnings.log_weights
    chance = np.zeros(len(beginnings))
    for share, power in MIXTURE:
        part = weights + (power - 1) * likelihoods
        part = np.exp(part - part.max())
        chance += part * (share / part.sum())
    lowest = likelihoods.min()
    unit = max(likelihoods.max() - lowest, np.finfo(float).tiny) / (LEVELS - 1)
    # Stable: on the same level they stay in the order of their last letters. Of 16 bits: fast.
    order = np.argsort(((likelihoods - lowest) / unit).astype(np.uint16), kind="stable")
    line = chance[order].cumsum()
    marks = (np.arange(count) + 0.5) * (line[-1] / count)
    kept, times = np.unique(order[np.searchsorted(line, marks)], return_counts=True)
    return Beginnings(
        beginnings.states[kept],
        likelihoods[kept],
        weights[kept] + np.log(times / count) - np.log(chance[kept]),
    )


def _ended(
    chain: Chain, product: Product, length: int, beginnings: Beginnings
) -> tuple[Floats, Floats]:
    """The log-likelihoods of beginnings of so many characters as whole names, and their weights.

    Of those that are whole names: some may not end as they do.
    """
    end = np.full(len(product), BOUNDARY)
    ends = chain.step_log_likelihoods(length, product.chain_states, end)[beginnings.states]
    whole = (product.successors[:, BOUNDARY] == START)[beginnings.states]
    likelihoods, weights = beginnings.log_likelihoods + ends, beginnings.log_weights + ends
    return likelihoods[whole], weights[whole]


def _law(log_likelihoods: Floats, log_weights: Floats) -> Floats:
    """The law of log-likelihoods as knots, (KNOTS, 2); those as likely count half."""
    values, weights = as_compared(log_likelihoods), np.exp(log_weights - log_weights.max())
    some = weights > LEAST  # less is as good as nothing, and nothing has no logarithm
    values, weights = values[some], weights[some]
    order = np.argsort(values)
    values, weights = values[order], weights[order]
    first = np.flatnonzero(np.diff(values, prepend=-np.inf))
    values, weights = values[first], np.add.reduceat(weights, first)
    sums = weights.cumsum()
    logs = np.log((sums - weights / 2) / sums[-1])
    chosen = _chosen(logs) if len(logs) > KNOTS else np.arange(len(logs))
    chosen = np.pad(chosen, (0, KNOTS - len(chosen)), mode="edge")
    return np.column_stack([values[chosen], logs[chosen]])


def _chosen(logs: Floats) -> Ints:
    """Which of the logarithms of shares become knots, at most KNOTS.

    They are closer together where the share rises, or its logarithm does, which is for the
    tail; where it jumps they are before and after the jump.
    """
    height = 4 * np.exp(logs) - logs / logs[0]  # to 4 by the share, of 1 by its logarithm
    targets = np.linspace(height[0], height[-1], KNOTS // 2)
    before = np.searchsorted(height, targets, side="right") - 1
    chosen: Ints = np.unique([before, np.minimum(before + 1, len(logs) - 1)])
    return chosen
