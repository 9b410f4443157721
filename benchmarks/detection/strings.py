"""Strings that are no names, each beside a held-out name of the same length."""

import random
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeAlias

from training.evaluation.held_out import Split

SHUFFLED, FREQUENCIES, UNIFORM = "shuffled", "same frequencies", "uniform"
SEED = 0
TRIES = 100  # strings that are drawn beside a name before it is left out

Draw: TypeAlias = Callable[[random.Random, str], str]


@dataclass(frozen=True)
class Trial:
    """Held-out names and as many strings that are no names, pair by pair of the same length."""

    kind: str
    names: list[str]
    strings: list[str]


def trials(parts: Split) -> list[Trial]:
    """A trial of each kind, the hardest first, where any string is no name of the list.

    shuffled: the letters of the held-out name in random order
    same frequencies: the letters are as likely as in the fitted names
    uniform: each letter of the list is as likely
    """
    known = {*parts.fitted, *parts.held_out}
    alphabet, letters = sorted(set().union(*known)), "".join(parts.fitted)
    kinds: dict[str, Draw] = {
        SHUFFLED: lambda generator, name: "".join(generator.sample(name, k=len(name))),
        FREQUENCIES: lambda generator, name: "".join(generator.choices(letters, k=len(name))),
        UNIFORM: lambda generator, name: "".join(generator.choices(alphabet, k=len(name))),
    }
    made = (_trial(kind, draw, parts.held_out, known) for kind, draw in kinds.items())
    return [trial for trial in made if trial.names]


def _trial(kind: str, draw: Draw, held_out: list[str], known: set[str]) -> Trial:
    """Strings drawn anew while they are names; a name without any such string is left out."""
    generator = random.Random(SEED)  # noqa: S311  # the same strings everywhere, no secret
    pairs = []
    for name in held_out:
        drawn = (draw(generator, name) for _ in range(TRIES))
        string = next((string for string in drawn if string not in known), None)
        if string is not None:
            pairs.append((name, string))
    return Trial(kind, [name for name, _ in pairs], [string for _, string in pairs])
