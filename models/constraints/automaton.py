"""Deterministic finite automata over the characters of a name.

An automaton reads a name from left to right. It rejects the name if a character has no
transition, or if the name does not end in an accepting state.
"""

from models.arrays import Flags, Ints, array_dataclass

DEAD = -1  # in place of a next state: no accepted name continues with this character


@array_dataclass
class Automaton:
    """A deterministic finite automaton whose initial state is 0.

    classes: (tokens,), the character class of each token; all tokens of a class have the same
        transitions
    next_states: (states, classes), the next state, or DEAD
    accepting: (states,), whether a name may end in the state
    """

    classes: Ints
    next_states: Ints
    accepting: Flags

    def __len__(self) -> int:
        """Return the number of states."""
        return len(self.next_states)
