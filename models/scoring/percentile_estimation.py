"""The distributions of the log-likelihoods of a chain's names, one for each length.

Sequential Monte Carlo: weighted prefixes of names grow by one character at a time. While
they are few they grow by every character. Later each step takes two systematic samples
(optimal resampling, Fearnhead and Clifford 2003): `resample` keeps some prefixes, spread evenly
over log-likelihoods and last characters, and `grow` draws some of the characters that follow
them. The cost of a step hardly depends on the size of the alphabet, and the error is far
smaller than that of as many random names. Improbable prefixes are kept more often than they
occur, so that a distribution is known far into its tail. No random numbers are used: the
same chain always gives the same table.
"""

from collections.abc import Callable
from typing import TypeAlias

import numpy as np

from models.arrays import Floats, Ints, array_dataclass
from models.chain.markov_chain import MarkovChain
from models.chain.product import Product, multiply
from models.constraints.spelling import spelling_automata
from models.counts.context_trie import START
from models.scoring.percentile_table import PercentileTable, quantile_grid
from models.text.vocabulary import BOUNDARY

LONGEST = 256  # characters of the longest names that have a distribution of their own
NONE = 1e-4  # of the names are longer still: reason to stop
LONG, NONE_LONG = 32, 1e-3  # characters, from which on this share is reason enough
FEW = 1e-2  # of the names are longer still: from here on fewer prefixes are kept, in proportion
LEAST_KEPT = 1 / 8  # of the prefixes are kept at least, and from LONG characters on
KEPT = 2**14  # prefixes after thinning
KEPT_OF_STATES = 2  # prefixes for each state, if that is more
MOST_KEPT = 2**16  # prefixes after thinning, for any number of states
CELLS = 2**24  # prefixes after thinning times characters: bounds the time, not the memory
ALL = 2**5  # times the prefixes after thinning: up to here prefixes grow by every character
BRANCHES = 6  # characters drawn for a prefix that is kept, on average
LEAST = 1e-300  # in place of a probability of zero where one is divided by
LEVELS = 2**9  # of log-likelihood over which the prefixes that are kept are spread evenly
# The proposal mixes the probabilities, their square roots and a uniform distribution: the
# share of each of the three, and the power of the probability.
MIXTURE = [(0.8, 1.0), (0.1, 0.5), (0.1, 0.0)]
UNIFORM = 0.2  # share of a uniform distribution in the proposal of the next character
GOLDEN = (5**0.5 - 1) / 2  # its multiples modulo 1 are spread evenly: a low-discrepancy sequence

# Which prefix grows, by which token, to which state, with which log-probability, and the
# logarithm of what its weight is multiplied by beyond that: five arrays of (n,).
Children: TypeAlias = tuple[Ints, Ints, Ints, Floats, Floats]


@array_dataclass
class WeightedPrefixes:
    """Weighted prefixes of names, n of them, all of one length.

    states: (n,), where the product of the chain and the spelling is after them
    log_likelihoods: (n,), of the prefixes
    log_weights: (n,), logarithms of the probability that each represents
    """

    states: Ints
    log_likelihoods: Floats
    log_weights: Floats

    def __len__(self) -> int:
        """How many there are."""
        return len(self.states)

    @property
    def chances(self) -> Floats:
        """How often a sample takes each of them, (n,): adds up to 1."""
        chances = np.zeros(len(self))
        for share, power in MIXTURE:
            part = self.log_weights + (power - 1) * self.log_likelihoods
            part = np.exp(part - part.max())
            chances += part * (share / part.sum())
        return chances


def estimate_percentiles(
    chain: MarkovChain, watch: Callable[[], object] = lambda: None
) -> PercentileTable:
    """The distributions of the log-likelihoods of the chain's names, of each length.

    watch: called once for each length
    """
    spelling = spelling_automata(chain.vocabulary)
    tokens, product = len(chain.vocabulary), multiply(chain, spelling, LONGEST)
    kept = min(max(KEPT, KEPT_OF_STATES * len(product)), MOST_KEPT, CELLS // tokens)
    beginnings = WeightedPrefixes(np.array([START]), np.zeros(1), np.zeros(1))
    distributions: list[Floats] = []
    left = 1.0
    while len(distributions) < LONGEST and left > (
        NONE if len(distributions) < LONG else NONE_LONG
    ):
        watch()
        share = min(1.0, max(LEAST_KEPT, left / FEW)) if len(distributions) < LONG else LEAST_KEPT
        count, most = int(kept * share), None
        if len(beginnings) * tokens > ALL * count:
            beginnings, most = resample(beginnings, count), BRANCHES * count
        beginnings = grow(chain, product, len(distributions), beginnings, most)
        distributions.append(
            quantile_grid(*_ended(chain, product, len(distributions) + 1, beginnings))
        )
        left = np.exp(beginnings.log_weights).sum()
    return PercentileTable(np.array(distributions))


def resample(beginnings: WeightedPrefixes, count: int) -> WeightedPrefixes:
    """At most `count` prefixes, which represent all: a systematic sample.

    They are spread evenly over log-likelihoods and, on the same level of these, over their
    order. Each is kept at most once, and for certain if its chance is large.
    """
    if len(beginnings) <= count:
        return beginnings
    likelihoods, chances = beginnings.log_likelihoods, _certain(beginnings.chances, count)
    lowest = likelihoods.min()
    unit = max(likelihoods.max() - lowest, np.finfo(float).tiny) / (LEVELS - 1)
    # Stable: in their order on the same level. A sort of 16-bit integers is fast.
    order = np.argsort(((likelihoods - lowest) / unit).astype(np.uint16), kind="stable")
    line = chances[order].cumsum()
    kept = order[np.diff(np.floor(line + 0.5), prepend=0.0) > 0]
    return WeightedPrefixes(
        beginnings.states[kept],
        likelihoods[kept],
        beginnings.log_weights[kept] - np.log(chances[kept]),
    )


def _certain(chances: Floats, count: int) -> Floats:
    """Multiples of the chances, at most 1, that add up to a count; less than there are chances."""
    chances = np.maximum(chances, LEAST)
    some = np.ones(len(chances), dtype=bool)  # that are not certain
    while True:
        scale = (count - len(chances) + some.sum()) / chances[some].sum()
        fewer = chances * scale < 1.0
        if fewer.sum() == some.sum():
            certain: Floats = np.minimum(chances * scale, 1.0)
            return certain
        some = fewer


def grow(
    chain: MarkovChain,
    product: Product,
    length: int,
    beginnings: WeightedPrefixes,
    most: int | None = None,
) -> WeightedPrefixes:
    """All prefixes with one character more than these, or a systematic sample of about `most`.

    They are in the order of their last characters.
    """
    states, which = np.unique(beginnings.states, return_inverse=True)
    order = np.argsort(which, kind="stable")  # those in the same state grow from the same row
    starts = np.searchsorted(which[order], np.arange(len(states) + 1))
    if most is None or len(order) * (len(chain.vocabulary) - 1) <= most:
        branches = np.full(len(order), np.inf)
    else:
        branches = most * beginnings.chances[order]
    grown = []
    for part in chain.parts(stop=len(states)):
        some = slice(starts[part.start], starts[part.stop])
        rows = which[order[some]] - part.start
        parents, *children = _children(chain, product, length, states[part], rows, branches[some])
        grown.append((order[some][parents], *children))
    parents, tokens, after, steps, factors = map(np.concatenate, zip(*grown, strict=True))
    last = np.argsort(tokens.astype(np.uint16), kind="stable")
    parents, steps = parents[last], steps[last]
    return WeightedPrefixes(
        after[last],
        beginnings.log_likelihoods[parents] + steps,
        beginnings.log_weights[parents] + steps + factors[last],
    )


def _children(
    chain: MarkovChain, product: Product, length: int, states: Ints, rows: Ints, branches: Floats
) -> Children:
    """How n prefixes grow: about `branches` of the characters that can follow, (n,), or all.

    rows: (n,), which of the distinct states each prefix is in, in ascending order
    """
    steps = chain.log_probabilities(length, product.chain_states[states])
    after = product.next_states[states]
    steps[:, BOUNDARY] = -np.inf
    steps[after == len(product)] = -np.inf  # a prefix of no name
    tokens = steps.shape[1]
    whole = branches >= tokens - 1
    every, some = np.flatnonzero(whole), np.flatnonzero(~whole)
    at, token = np.nonzero(steps[rows[every]] > -np.inf)
    parents, cells, factors = every[at], rows[every[at]] * tokens + token, np.zeros(len(at))
    if len(some):
        at, drawn, weights = _draw(_proposal(steps), rows[some], branches[some])
        parents, cells = np.append(parents, some[at]), np.append(cells, drawn)
        factors = np.append(factors, weights)
    return parents, cells % tokens, after.take(cells), steps.take(cells), factors


def _proposal(steps: Floats) -> Floats:
    """How often a sample takes each step, (states, tokens), from the log-probabilities.

    A mixture of the probabilities and a uniform distribution over the steps that are
    possible; 0 everywhere if none is.
    """
    peaks = steps.max(axis=1, keepdims=True, initial=-np.finfo(float).max)
    possible = steps > -np.inf
    proposal: Floats = np.exp(steps - peaks)
    proposal *= (1 - UNIFORM) / np.maximum(proposal.sum(axis=1, keepdims=True), LEAST)
    proposal += possible * (UNIFORM / np.maximum(possible.sum(axis=1, keepdims=True), 1))
    return proposal


def _draw(proposal: Floats, rows: Ints, branches: Floats) -> tuple[Ints, Ints, Floats]:
    """A systematic sample of each of n rows, of about `branches` cells, (n,).

    Returns which of the n each is of, the cell as an index of the flat proposal, and the
    logarithm of its number of marks divided by the number expected.
    """
    width = proposal.shape[1]
    line = proposal.cumsum()
    ends = line[width - 1 :: width]
    starts = np.append(0.0, ends[:-1])
    starts, ends = starts[rows], ends[rows]
    # Marks one unit apart, moved by another fraction of a unit in each of the n.
    shifts = (np.arange(len(rows)) + 0.5) * GOLDEN % 1.0
    marks = np.where(ends > starts, np.ceil(branches - shifts), 0).astype(np.intp)
    at = np.repeat(np.arange(len(rows)), marks)
    units = np.arange(len(at)) - np.repeat(marks.cumsum() - marks, marks) + shifts[at]
    marked = starts[at] + units * ((ends - starts) / branches)[at]
    marked = np.minimum(marked, np.nextafter(ends, 0.0)[at])  # rounding may reach the next row
    cells = np.searchsorted(line, marked, side="right")
    first = np.flatnonzero((np.diff(cells, prepend=-1) != 0) | (np.diff(at, prepend=-1) != 0))
    times = np.diff(first, append=len(cells))
    at, cells = at[first], cells[first]
    expected = branches[at] * proposal.take(cells) / (ends - starts)[at]
    return at, cells, np.log(times / expected)


def _ended(
    chain: MarkovChain, product: Product, length: int, beginnings: WeightedPrefixes
) -> tuple[Floats, Floats]:
    """The log-likelihoods of beginnings of so many characters as whole names, and their weights.

    Of those that are whole names: some may not end as they do.
    """
    end = np.full(len(product), BOUNDARY)
    ends = chain.transition_log_probabilities(length, product.chain_states, end)[beginnings.states]
    whole = (product.next_states[:, BOUNDARY] == START)[beginnings.states]
    likelihoods, weights = beginnings.log_likelihoods + ends, beginnings.log_weights + ends
    return likelihoods[whole], weights[whole]
