"""Reference implementation of automata: runs one name at a time."""

from models.constraints.automaton import DEAD, Automaton
from models.text.vocabulary import Vocabulary


def allows(automaton: Automaton, vocabulary: Vocabulary, name: str) -> bool:
    """Return whether an automaton accepts a name."""
    return bool(allowed(automaton, vocabulary, [name]))


def allowed(automaton: Automaton, vocabulary: Vocabulary, names: list[str]) -> list[str]:
    """Return the names that an automaton accepts."""
    next_states, classes = automaton.next_states.tolist(), automaton.classes.tolist()
    accepting = automaton.accepting.tolist()

    def state_after(name: str) -> int:
        state = 0
        for character in name:
            state = next_states[state][classes[vocabulary.characters.index(character) + 1]]
            if state == DEAD:
                break
        return state

    states = [state_after(name) for name in names]
    return [
        name for name, state in zip(names, states, strict=True) if state >= 0 and accepting[state]
    ]
