"""How well a score tells names from strings: the higher it is, the more it is like a name.

A threshold rejects all that score less. The more of the strings it catches, the more names
it rejects too: the curve of the one over the other is the ROC curve.
"""

import numpy as np

from models.arrays import Floats


def area(names: Floats, strings: Floats) -> float:
    """Area under the curve: how often a name scores more than a string, ties by half."""
    ordered = np.sort(strings)
    lower, not_higher = (np.searchsorted(ordered, names, side) for side in ("left", "right"))
    return float((lower + not_higher).mean() / 2 / len(strings))


def caught(names: Floats, strings: Floats, rejected: float) -> float:
    """The share of strings that the highest threshold catches that rejects so many names at most.

    rejected: share of the names. The threshold is the score of a name; those that score as
    much are not rejected, so that with ties fewer than so many names are.
    """
    threshold = np.sort(names)[min(int(rejected * len(names)), len(names) - 1)]
    return float((strings < threshold).mean())


def below(scores: Floats, thresholds: Floats) -> Floats:
    """The share of the scores below each threshold, (thresholds,)."""
    return np.searchsorted(np.sort(scores), thresholds) / len(scores)


def curve(names: Floats, strings: Floats) -> tuple[Floats, Floats]:
    """The shares of names and of strings that are rejected, at every threshold worth a look."""
    thresholds = np.append(np.unique(names), np.inf)
    return below(names, thresholds), below(strings, thresholds)
