"""Log-likelihood of names under a chain: the sum over their transitions, the end included.

The chain is the only source of log-probabilities. Three of its forms agree to the last digit:

- `MarkovChain.transition_log_probabilities`: many transitions at once. `log_likelihoods` adds
  them up by name, `nll` averages them over counted transitions.
- `MarkovChain.log_probability`: one transition. `NameScorer` caches it, because numpy is slow for
  a single name.
- `MarkovChain.log_probabilities`: all tokens of a state. `models/scoring/explanation.py` needs the
  whole distribution.

The fourth form is `MarkovChain.unnormalized_probabilities`, which `log_normalizers` and
`BackwardRecursion` add up without an exponential for each transition. It agrees with the others up
to rounding.

Only fitting computes a likelihood of its own, `models.fitting.objective.Objective`: it needs the
gradient by the weights, from which a chain is compiled later.
"""

import math
from collections.abc import Sequence
from typing import TypeAlias

import numpy as np

from models.arrays import Floats
from models.chain.markov_chain import MarkovChain
from models.counts.context_counts import ContextCounts
from models.counts.context_trie import START
from models.counts.transitions import name_starts
from models.text.vocabulary import UNKNOWN

END = ""  # the key of the end of a name, where the other keys are characters
CACHED_TRANSITIONS = 2**15  # of each of the two generations of the cache, about 8 MB

# The transitions of a state at a position: character -> its log-probability, the next node.
Node: TypeAlias = "dict[str, tuple[float, Node]]"
NodeKey: TypeAlias = tuple[int, int]  # position and state
LEAF: Node = {}


def log_likelihoods(chain: MarkovChain, names: Sequence[str]) -> Floats:
    """Return the natural log-likelihoods of n normalised names, (n,).

    nan stands for a name with a character that the vocabulary lacks.

    >>> from models.chain.markov_chain import bigram_chain
    >>> from models.text.vocabulary import Vocabulary
    >>> logits = np.log([[2, 5, 3], [5, 1, 4], [5, 4, 1]])  # rows: start, after a, after b
    >>> chain = bigram_chain(Vocabulary("ab"), logits)
    >>> np.exp(log_likelihoods(chain, ["a", "ab", "c"])).round(3)
    array([0.25, 0.1 ,  nan])
    """
    stream = chain.vocabulary.encode(names)
    starts = name_starts(stream)
    lengths = np.diff(starts, append=len(stream))  # in transitions
    longest_first = np.argsort(-lengths, kind="stable")
    sorted_starts, lengths = starts[longest_first], lengths[longest_first]
    totals, states = np.zeros(len(sorted_starts)), np.full(len(sorted_starts), START)
    next_states = chain.trie.next_states
    # The number of names that have a transition at each position.
    alive = np.searchsorted(-lengths, -np.arange(lengths.max(initial=0)))
    for position, count in enumerate(alive.tolist()):
        tokens, states = stream.take(sorted_starts[:count] + position), states[:count]
        totals[:count] += chain.transition_log_probabilities(position, states, tokens)
        states = next_states[states, tokens]
    likelihoods = np.empty(len(totals))
    likelihoods[longest_first] = totals
    # UNKNOWN, a negative index, has looked up the transition of another token.
    likelihoods[np.minimum.reduceat(stream, starts) == UNKNOWN] = np.nan
    return likelihoods


def nll(chain: MarkovChain, counts: ContextCounts) -> float:
    """Return the mean negative log-likelihood of counted transitions, in nats per character.

    The end of a name counts as a character.
    """
    return -float(
        np.average(chain.log_probabilities_in_context(counts.transitions), weights=counts.counts)
    )


class NameScorer:
    """Log-likelihoods of single names, most of them in less than a microsecond.

    A trie of transitions caches their log-probabilities. Thread-safe: threads that compute the
    same transition at the same time compute the same number.
    """

    def __init__(self, chain: MarkovChain) -> None:
        self.chain = chain
        self._tokens = {c: token for token, c in enumerate((END, *chain.vocabulary.characters))}
        self._young, self._old = _Generation(), _Generation()

    def log_likelihood(self, name: str) -> float:
        """Return the log-likelihood of a normalised name, nan if it has unknown characters."""
        total, node = 0.0, self._young.root
        try:
            for character in name:
                log_probability, node = node[character]
                total += log_probability
            return total + node[END][0]
        except KeyError:
            return self._compute(name)

    def _compute(self, name: str) -> float:
        """Return the same for a name with a transition that the young generation lacks."""
        chain, young, old = self.chain, self._young, self._old
        total, position, state = 0.0, 0, START
        node = young.root
        for character in (*name, END):
            token = self._tokens.get(character)
            if token is None:
                return math.nan
            cached = node.get(character) or old.nodes.get((position, state), LEAF).get(character)
            log_probability = cached[0] if cached else chain.log_probability(position, state, token)
            total += log_probability
            position = min(position + 1, chain.positions - 1)
            state = chain.trie.next_states.item(state, token)
            node = young.add(node, character, log_probability, (position, state))
        if young.size >= CACHED_TRANSITIONS and young is self._young:
            self._old, self._young = young, _Generation()
        return total


class _Generation:
    """Cached transitions, by the position and the state that they start from.

    There are two generations. A full young one replaces the old one, so a transition is evicted
    if no name has used it while a whole generation was filled.
    """

    def __init__(self) -> None:
        self.root: Node = {}
        self.nodes: dict[NodeKey, Node] = {(0, START): self.root}
        self.size = 0  # transitions

    def add(self, node: Node, character: str, log_probability: float, key: NodeKey) -> Node:
        """Add a transition if it is new and there is room; return the node after it, of `key`."""
        cached = node.get(character)
        if cached:
            return cached[1]
        if self.size >= CACHED_TRANSITIONS:
            return self.nodes.get(key, {})
        next_node = self.nodes.get(key)
        if next_node is None:
            next_node = self.nodes.setdefault(key, {})
        node[character] = log_probability, next_node
        self.size += 1
        return next_node
