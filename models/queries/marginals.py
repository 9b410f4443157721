"""Forward-backward marginals of a conditioned chain, exact (Rabiner, 1989, section III).

`condition` runs the backward pass, after which each transition takes the constraints into
account. The forward pass here computes the probability of each state at each length. The product
of the two is the marginal probability of each transition. All functions take time in proportion to
`ConditionedChain.num_transitions`.
"""

from collections.abc import Iterator

import numpy as np

from models.arrays import Floats, Ints, array_dataclass
from models.chain.conditioning import ConditionedChain
from models.counts.context_trie import START
from models.text.vocabulary import BOUNDARY


@array_dataclass
class BigramMarginals:
    """Marginal probabilities of the bigrams of n tokens at a position.

    tokens: (n,), ascending; BOUNDARY as the first token of a bigram is the start of the name, as
        the second one its end
    reached: the probability that a name has a character or its end at the position
    ended: the probability that a name ends at the position
    joint: (n, n), the probability of the first token before the position and the second one at
        the position; bigrams with other tokens are not included
    previous: (n,), the probability that the token precedes the position: `joint` summed over all
        next tokens, also those that are not in `tokens`
    """

    tokens: Ints
    reached: float
    ended: float
    joint: Floats
    previous: Floats


def forward_marginals(conditioned: ConditionedChain) -> Iterator[tuple[int, Ints, Floats]]:
    """Yield the marginal probabilities of all transitions: length, states and probabilities.

    length: the number of characters before the transition, ascending from 0 to max_length; a
        length with many states is split into several items
    states: (n,), distinct states of the product
    probabilities: (n, tokens), the probability of being in the state and taking the token next;
        valid until the next item is requested

    The probabilities of a length add up to the probability that a name has at least this length.
    """
    conditioned = conditioned.expanded
    present = np.zeros(len(conditioned.product) + 1)
    present[START] = 1.0
    for length in range(conditioned.constraints.max_length + 1):
        after = np.zeros(len(present))
        reachable = present.nonzero()[0]
        for part in conditioned.chain.parts(stop=len(reachable)):
            states = reachable[part]
            probabilities = conditioned.transition_probabilities(length, states)
            probabilities *= present[states, np.newaxis]
            yield length, states, probabilities
            probabilities[:, BOUNDARY] = 0.0
            next_states = conditioned.product.next_states_of(states).ravel()
            after += np.bincount(next_states, probabilities.ravel(), len(after))
        present = after


def length_distribution(conditioned: ConditionedChain) -> Floats:
    """Return the probability of each length from 0 to max_length, (max_length + 1,).

    The probabilities add up to 1; that of length 0 is 0.

    >>> from models.chain.conditioning import condition
    >>> from models.chain.markov_chain import bigram_chain
    >>> from models.constraints.constraints import Constraints
    >>> from models.text.vocabulary import Vocabulary
    >>> logits = np.log([[2, 4, 4], [6, 2, 2], [6, 2, 2]])  # rows: start, after a, after b
    >>> chain = bigram_chain(Vocabulary("ab"), logits)
    >>> length_distribution(condition(chain, Constraints(max_length=2))).round(4)
    array([0.    , 0.7143, 0.2857])
    """
    distribution = np.zeros(conditioned.constraints.max_length + 1)
    for length, _, probabilities in forward_marginals(conditioned):
        distribution[length] += probabilities[:, BOUNDARY].sum()
    return distribution


def bigram_marginals(conditioned: ConditionedChain, position: int, tokens: Ints) -> BigramMarginals:
    """Return the marginal probabilities of the bigrams of the tokens, (n,), at a position.

    position: the number of characters before the second token, from 0 to max_length
    """
    joint, previous = np.zeros((len(tokens), len(tokens))), np.zeros(len(tokens))
    reached = ended = 0.0
    last_tokens = conditioned.chain.trie.ancestors[conditioned.product.chain_states, 0]
    for length, states, probabilities in forward_marginals(conditioned):
        if length > position:
            break
        if length == position:
            is_last = (tokens[:, np.newaxis] == last_tokens[states]).astype(float)  # (n, states)
            joint += is_last @ probabilities[:, tokens]
            previous += is_last @ probabilities.sum(axis=1)
            reached += float(probabilities.sum())
            ended += float(probabilities[:, BOUNDARY].sum())
    reached = min(1.0, reached)  # rounding may take it above 1
    return BigramMarginals(tokens, reached, ended, joint, previous)


def expected_counts(conditioned: ConditionedChain) -> Floats:
    """Return the expected number of occurrences of each token in a name, (tokens,).

    BOUNDARY counts as the end of the name, which occurs once.
    """
    counts = np.zeros(len(conditioned.chain.vocabulary))
    for _, _, probabilities in forward_marginals(conditioned):
        counts += probabilities.sum(axis=0)
    return counts


def support_size(conditioned: ConditionedChain) -> float:
    """Return the number of distinct names with a positive probability; exact up to 2^53.

    A backward pass counts the paths through the chain instead of adding up their probabilities.
    """
    conditioned = conditioned.expanded
    paths = np.zeros(len(conditioned.product) + 1)
    for length in reversed(range(conditioned.constraints.max_length + 1)):
        # As a next state START is the end of the name, which completes one path.
        paths[START] = 1.0
        layer, after = conditioned.layers[length], paths
        paths = np.zeros(len(after))
        for part in conditioned.chain.parts(stop=len(layer)):
            possible = conditioned.joint_log_probabilities(length, layer[part]) > -np.inf
            completions = after.take(conditioned.product.next_states_of(layer[part]))
            paths[layer[part]] = np.where(possible, completions, 0.0).sum(axis=-1)
    return float(paths[START])
