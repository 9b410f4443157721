"""Strings that are not names, paired with held-out names of the same length."""

import random
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeAlias

from training.evaluation.held_out import Split

SHUFFLED, FREQUENCIES, UNIFORM = "shuffled", "same frequencies", "uniform"
SEED = 0
MAX_DRAWS = 100  # strings drawn for a name before the name is left out

Draw: TypeAlias = Callable[[random.Random, str], str]


@dataclass(frozen=True)
class Trial:
    """Held-out names and as many strings that are not names; pairs have the same length."""

    kind: str
    names: list[str]
    strings: list[str]


def trials(parts: Split) -> list[Trial]:
    """Return a trial of each kind, the hardest first; no string is a name of the list.

    shuffled: the letters of the held-out name in random order
    same frequencies: random letters with the frequencies of the fitted names
    uniform: random letters of the list, all equally probable

    A kind without any pair is left out.
    """
    known = {*parts.fitted, *parts.held_out}
    alphabet, letters = sorted(set().union(*known)), "".join(parts.fitted)
    kinds: dict[str, Draw] = {
        SHUFFLED: lambda generator, name: "".join(generator.sample(name, k=len(name))),
        FREQUENCIES: lambda generator, name: "".join(generator.choices(letters, k=len(name))),
        UNIFORM: lambda generator, name: "".join(generator.choices(alphabet, k=len(name))),
    }
    all_trials = (_trial(kind, draw, parts.held_out, known) for kind, draw in kinds.items())
    return [trial for trial in all_trials if trial.names]


def _trial(kind: str, draw: Draw, held_out: list[str], known: set[str]) -> Trial:
    """Draw strings until one is not a name; leave out names without such a string."""
    generator = random.Random(SEED)  # noqa: S311  # reproducible, not secret
    pairs = []
    for name in held_out:
        drawn = (draw(generator, name) for _ in range(MAX_DRAWS))
        string = next((string for string in drawn if string not in known), None)
        if string is not None:
            pairs.append((name, string))
    return Trial(kind, [name for name, _ in pairs], [string for _, string in pairs])
