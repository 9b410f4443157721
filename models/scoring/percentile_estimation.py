"""Estimation of a chain's percentile table by sequential Monte Carlo.

Weighted prefixes of names are extended by one character at a time, up to each length. While there
are few prefixes, they are extended by every character, which is exact. Later each step takes two
systematic samples (optimal resampling, Fearnhead and Clifford, 2003): `resample` selects prefixes,
spread evenly over log-likelihoods and last characters, and `extend` selects next characters. So
the cost of a step hardly depends on the size of the alphabet, and the error is far smaller than
that of independent names. Improbable prefixes are selected more often than they occur, so that
the tail of a distribution is known too. No random numbers are used: a chain always has the same
table.
"""

from collections.abc import Callable
from typing import TypeAlias

import numpy as np

from models.arrays import Floats, Ints, array_dataclass
from models.chain.markov_chain import MarkovChain
from models.chain.product import Product, multiply
from models.constraints.spelling import spelling_automata
from models.counts.context_trie import START
from models.scoring.percentile_table import MAX_TABLE_LENGTH, PercentileTable, quantile_grid
from models.text.vocabulary import BOUNDARY

# Stop when the share of longer names is at most STOP_SHARE (up to LONG_NAME characters) or
# STOP_SHARE_OF_LONG (beyond).
LONG_NAME, STOP_SHARE, STOP_SHARE_OF_LONG = 32, 1e-4, 1e-3
# If a smaller share of all names is longer, fewer prefixes are kept, in proportion, but at least
# this fraction of them; for long names always this fraction.
FULL_SIZE_SHARE, MIN_FRACTION = 1e-2, 1 / 8
MIN_PREFIXES = 2**14  # kept by `resample` at full size
PREFIXES_PER_STATE = 2  # kept for each state of the product, if that is more
MAX_PREFIXES = 2**16  # kept for any number of states
MAX_PREFIX_CELLS = 2**24  # kept prefixes times tokens: bounds the time, not the memory
EXHAUSTIVE_CHILDREN = 2**5  # all children are kept if there are at most this many a kept prefix
CHILDREN_PER_PREFIX = 6  # sampled for a kept prefix, on average
TINY = 1e-300  # replaces a probability of zero in a divisor
LEVELS = 2**9  # of log-likelihood, over which the kept prefixes are spread evenly
# Selection probabilities of prefixes: (share, power) of a mixture of powers of the probability.
SELECTION_MIXTURE = [(0.8, 1.0), (0.1, 0.5), (0.1, 0.0)]
UNIFORM_SHARE = 0.2  # of a uniform distribution in the selection probabilities of characters
GOLDEN_RATIO = (5**0.5 - 1) / 2  # its multiples modulo 1 are a low-discrepancy sequence

# Children of prefixes, five arrays of (n,): the index of the parent, the last token, the state,
# the log-probability of the token, and the logarithm of the additional factor of the weight.
Children: TypeAlias = tuple[Ints, Ints, Ints, Floats, Floats]


@array_dataclass
class WeightedPrefixes:
    """n weighted prefixes of names, all of the same length.

    states: (n,), of the product of the chain and the spelling automata
    log_likelihoods: (n,), of the prefixes
    log_weights: (n,), logarithms of the probability that each prefix represents
    """

    states: Ints
    log_likelihoods: Floats
    log_weights: Floats

    def __len__(self) -> int:
        """The number of prefixes."""
        return len(self.states)

    @property
    def selection_probabilities(self) -> Floats:
        """The probability of each prefix in a sample of one, (n,)."""
        probabilities = np.zeros(len(self))
        for share, power in SELECTION_MIXTURE:
            part = self.log_weights + (power - 1) * self.log_likelihoods
            part = np.exp(part - part.max())
            probabilities += part * (share / part.sum())
        return probabilities


def estimate_percentiles(
    chain: MarkovChain, on_length: Callable[[], object] = lambda: None
) -> PercentileTable:
    """Return the percentile table of a chain.

    on_length: called after each length
    """
    tokens = len(chain.vocabulary)
    product = multiply(chain, spelling_automata(chain.vocabulary), MAX_TABLE_LENGTH)
    full_size = min(max(MIN_PREFIXES, PREFIXES_PER_STATE * len(product)), MAX_PREFIXES)
    full_size = min(full_size, MAX_PREFIX_CELLS // tokens)
    prefixes = WeightedPrefixes(np.array([START]), np.zeros(1), np.zeros(1))
    grids: list[Floats] = []
    longer = 1.0  # the share of all names that are longer than the last grid's
    while len(grids) < MAX_TABLE_LENGTH and longer > (
        STOP_SHARE if len(grids) < LONG_NAME else STOP_SHARE_OF_LONG
    ):
        fraction = MIN_FRACTION
        if len(grids) < LONG_NAME:
            fraction = min(1.0, max(MIN_FRACTION, longer / FULL_SIZE_SHARE))
        count, max_children = int(full_size * fraction), None
        if len(prefixes) * tokens > EXHAUSTIVE_CHILDREN * count:
            prefixes, max_children = resample(prefixes, count), CHILDREN_PER_PREFIX * count
        prefixes = extend(chain, product, len(grids), prefixes, max_children)
        grids.append(quantile_grid(*_complete_names(chain, product, len(grids) + 1, prefixes)))
        longer = np.exp(prefixes.log_weights).sum()
        on_length()
    return PercentileTable(np.array(grids))


def resample(prefixes: WeightedPrefixes, count: int) -> WeightedPrefixes:
    """Return at most `count` prefixes that represent all of them: a systematic sample.

    The sample is spread evenly over the log-likelihoods and, within a level of these, over
    the order of the prefixes. Each prefix is selected at most once.
    """
    if len(prefixes) <= count:
        return prefixes
    likelihoods = prefixes.log_likelihoods
    inclusion = _inclusion_probabilities(prefixes.selection_probabilities, count)
    lowest = likelihoods.min()
    unit = max(likelihoods.max() - lowest, np.finfo(float).tiny) / (LEVELS - 1)
    # Stable, to keep the order within a level. A sort of 16-bit integers is fast.
    order = np.argsort(((likelihoods - lowest) / unit).astype(np.uint16), kind="stable")
    cumulative = inclusion[order].cumsum()
    selected = order[np.diff(np.floor(cumulative + 0.5), prepend=0.0) > 0]
    return WeightedPrefixes(
        prefixes.states[selected],
        likelihoods[selected],
        prefixes.log_weights[selected] - np.log(inclusion[selected]),
    )


def _inclusion_probabilities(probabilities: Floats, count: int) -> Floats:
    """Return min(1, c * probability) with the c for which they add up to `count` < n, (n,)."""
    probabilities = np.maximum(probabilities, TINY)
    uncertain = np.ones(len(probabilities), dtype=bool)  # below 1
    while True:
        scale = (count - len(probabilities) + uncertain.sum()) / probabilities[uncertain].sum()
        still_uncertain = probabilities * scale < 1.0
        if still_uncertain.sum() == uncertain.sum():
            inclusion: Floats = np.minimum(probabilities * scale, 1.0)
            return inclusion
        uncertain = still_uncertain


def extend(
    chain: MarkovChain,
    product: Product,
    length: int,
    prefixes: WeightedPrefixes,
    max_children: int | None = None,
) -> WeightedPrefixes:
    """Return all children of the prefixes, or a systematic sample of about `max_children`.

    A child has one character more. The children are in the order of their last characters.
    """
    states, which = np.unique(prefixes.states, return_inverse=True)
    order = np.argsort(which, kind="stable")  # groups prefixes that use the same row of the chain
    starts = np.searchsorted(which[order], np.arange(len(states) + 1))
    if max_children is None or len(order) * (len(chain.vocabulary) - 1) <= max_children:
        branches = np.full(len(order), np.inf)
    else:
        branches = max_children * prefixes.selection_probabilities[order]
    extended = []
    for part in chain.parts(stop=len(states)):
        group = slice(starts[part.start], starts[part.stop])
        rows = which[order[group]] - part.start
        parents, *children = _children(chain, product, length, states[part], rows, branches[group])
        extended.append((order[group][parents], *children))
    parents, tokens, next_states, logs, factors = map(np.concatenate, zip(*extended, strict=True))
    by_token = np.argsort(tokens.astype(np.uint16), kind="stable")
    parents, logs = parents[by_token], logs[by_token]
    return WeightedPrefixes(
        next_states[by_token],
        prefixes.log_likelihoods[parents] + logs,
        prefixes.log_weights[parents] + logs + factors[by_token],
    )


def _children(
    chain: MarkovChain, product: Product, length: int, states: Ints, rows: Ints, branches: Floats
) -> Children:
    """Return about `branches` children of each of n prefixes, (n,), or all.

    rows: (n,), the index of each prefix's state in the distinct states, ascending
    """
    logs = chain.log_probabilities(length, product.chain_states[states])
    next_states = product.next_states[states]
    logs[:, BOUNDARY] = -np.inf
    logs[next_states == len(product)] = -np.inf  # no name has this prefix
    tokens = logs.shape[1]
    all_children = branches >= tokens - 1
    exhaustive, sampled = np.flatnonzero(all_children), np.flatnonzero(~all_children)
    index, token = np.nonzero(logs[rows[exhaustive]] > -np.inf)
    parents = exhaustive[index]
    cells, factors = rows[parents] * tokens + token, np.zeros(len(index))
    if len(sampled):
        index, drawn, weights = _sample(_proposal(logs), rows[sampled], branches[sampled])
        parents, cells = np.append(parents, sampled[index]), np.append(cells, drawn)
        factors = np.append(factors, weights)
    return parents, cells % tokens, next_states.take(cells), logs.take(cells), factors


def _proposal(logs: Floats) -> Floats:
    """Return the selection probabilities of characters, (states, tokens), from log-probabilities.

    They mix the probabilities with a uniform distribution over the possible characters. A row
    without possible characters is 0.
    """
    peaks = logs.max(axis=1, keepdims=True, initial=-np.finfo(float).max)
    possible = logs > -np.inf
    proposal: Floats = np.exp(logs - peaks)
    proposal *= (1 - UNIFORM_SHARE) / np.maximum(proposal.sum(axis=1, keepdims=True), TINY)
    proposal += possible * (UNIFORM_SHARE / np.maximum(possible.sum(axis=1, keepdims=True), 1))
    return proposal


def _sample(proposal: Floats, rows: Ints, branches: Floats) -> tuple[Ints, Ints, Floats]:
    """Return a systematic sample of each of n rows, of about `branches` cells, (n,).

    Returns the index of the row in `rows`, the index of the cell in the flat proposal, and the
    logarithm of the number of times it was selected divided by the expected number.
    """
    width = proposal.shape[1]
    cumulative = proposal.cumsum()
    ends = cumulative[width - 1 :: width]
    starts = np.append(0.0, ends[:-1])
    starts, ends = starts[rows], ends[rows]
    # Marks at equal distances select cells. Each of the n samples has another offset.
    offsets = (np.arange(len(rows)) + 0.5) * GOLDEN_RATIO % 1.0
    marks = np.where(ends > starts, np.ceil(branches - offsets), 0).astype(np.intp)
    index = np.repeat(np.arange(len(rows)), marks)
    units = np.arange(len(index)) - np.repeat(marks.cumsum() - marks, marks) + offsets[index]
    marked = starts[index] + units * ((ends - starts) / branches)[index]
    marked = np.minimum(marked, np.nextafter(ends, 0.0)[index])  # rounding may exceed the row
    cells = np.searchsorted(cumulative, marked, side="right")
    first = np.flatnonzero((np.diff(cells, prepend=-1) != 0) | (np.diff(index, prepend=-1) != 0))
    times = np.diff(first, append=len(cells))
    index, cells = index[first], cells[first]
    expected = branches[index] * proposal.take(cells) / (ends - starts)[index]
    return index, cells, np.log(times / expected)


def _complete_names(
    chain: MarkovChain, product: Product, length: int, prefixes: WeightedPrefixes
) -> tuple[Floats, Floats]:
    """Return the log-likelihoods and log-weights of the prefixes that may end, as names."""
    end = np.full(len(product), BOUNDARY)
    ends = chain.transition_log_probabilities(length, product.chain_states, end)[prefixes.states]
    complete = (product.next_states[:, BOUNDARY] == START)[prefixes.states]
    likelihoods, weights = prefixes.log_likelihoods + ends, prefixes.log_weights + ends
    return likelihoods[complete], weights[complete]
