"""Distribution of the next character after a prefix, the end of the name included."""

import numpy as np

from models.arrays import Flags, Ints
from models.chain.factored_exponentials import log_sum_exp
from models.chain.markov_chain import MarkovChain
from models.constraints.automaton import DEAD
from models.constraints.constraints import ConstraintError
from models.constraints.spelling import spelling_automata
from models.text.vocabulary import BOUNDARY, UNKNOWN, Vocabulary


def next_character_distribution(chain: MarkovChain, prefix: str) -> list[tuple[str | None, float]]:
    """Return the characters that can follow a prefix, with their log-probabilities.

    The list is in descending order of probability. None stands for the end of the name. A
    character that normalisation would remove or change, such as a space before the end, is left
    out; the probabilities of the others are renormalised.

    Raises ConstraintError if the vocabulary lacks a character of the prefix, or if no normalised
    name begins with it.

    >>> from models.chain.markov_chain import bigram_chain
    >>> logits = np.log([[2, 5, 3], [5, 1, 4], [5, 4, 1]])  # rows: start, after a, after b
    >>> chain = bigram_chain(Vocabulary("ab"), logits)
    >>> [(c, round(log, 3)) for c, log in next_character_distribution(chain, "a")]
    [(None, -0.693), ('b', -0.916), ('a', -2.303)]
    """
    tokens = chain.vocabulary.encode([prefix])  # its BOUNDARY stands for the next token
    unknown = np.flatnonzero(tokens == UNKNOWN)
    if len(unknown):
        raise ConstraintError(
            f"Character {unknown[0] + 1} is not in the model's vocabulary; leave it out", "prefix"
        )
    *_, (position, state, _) = chain.walk(tokens)
    log_probabilities = chain.log_probabilities(position, state)
    possible = _possible(chain.vocabulary, tokens[:-1])
    if not possible.all():
        log_probabilities[~possible] = -np.inf
        log_probabilities -= log_sum_exp(log_probabilities)
    order = np.argsort(-log_probabilities, kind="stable")[: possible.sum()]
    characters = [None, *chain.vocabulary.characters]
    return [(characters[token], float(log_probabilities[token])) for token in order]


def _possible(vocabulary: Vocabulary, prefix: Ints) -> Flags:
    """Return whether each token can follow the prefix in a normalised name, (tokens,).

    After the empty prefix the end is possible too: the empty name has a score, though no sample is
    empty.
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
