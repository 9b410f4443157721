"""The distribution of the next character after the beginning of a name, or of its end."""

import numpy as np

from models.arrays import Flags, Ints
from models.chain.exponentials import log_sum_exp
from models.chain.markov_chain import MarkovChain
from models.constraints.automaton import DEAD
from models.constraints.constraints import ConstraintError
from models.constraints.spelling import spelling_automata
from models.text.vocabulary import BOUNDARY, UNKNOWN, Vocabulary


def next_character_distribution(chain: MarkovChain, prefix: str) -> list[tuple[str | None, float]]:
    """What can follow the beginning of a name, None for its end, with its log-probability.

    The most probable first. A step that normalisation would undo, such as a space before the
    end, has no probability and is left out; the other steps are in proportion as before.
    Raises ConstraintError if the vocabulary lacks a character of the prefix, or if no normalised
    name begins with it.
    """
    tokens = chain.vocabulary.encode([prefix])  # with an end, in the place of what follows
    for place in np.flatnonzero(tokens == UNKNOWN):
        raise ConstraintError(f"The model does not know character {place + 1}", "prefix")
    *_, (position, state, _) = chain.walk(tokens)
    likelihoods = chain.log_probabilities(position, state)
    possible = _possible(chain.vocabulary, tokens[:-1])
    if not possible.all():
        likelihoods[~possible] = -np.inf
        likelihoods -= log_sum_exp(likelihoods)
    order = np.argsort(-likelihoods, kind="stable")[: possible.sum()]
    following = [None, *chain.vocabulary.characters]
    return [(following[token], float(likelihoods[token])) for token in order]


def _possible(vocabulary: Vocabulary, prefix: Ints) -> Flags:
    """Which tokens can follow a prefix in a normalised name, (tokens,).

    After no characters that includes the end, which has its probability there as in `/score`.
    """
    possible = np.ones(len(vocabulary), dtype=bool)
    for automaton in spelling_automata(vocabulary):
        state = 0
        for token in prefix:
            state = int(automaton.next_states[state, automaton.classes[token]])
            if state == DEAD:
                raise ConstraintError("No name begins with this prefix", "prefix")
        possible[1:] &= automaton.next_states[state, automaton.classes[1:]] != DEAD
        possible[BOUNDARY] &= not len(prefix) or automaton.accepting[state]
    return possible
