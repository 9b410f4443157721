"""ROC curve of a score that is higher for names than for other strings.

A string below a threshold is detected: a true positive if it is not a name, a false positive if it
is one. A higher threshold increases both rates (Fawcett, 2006: An introduction to ROC analysis).
"""

import numpy as np

from models.arrays import Floats


def auc(names: Floats, strings: Floats) -> float:
    """Return the area under the curve: how often a name scores higher than a string; ties half."""
    ordered = np.sort(strings)
    lower, not_higher = (np.searchsorted(ordered, names, side) for side in ("left", "right"))
    return float((lower + not_higher).mean() / 2 / len(strings))


def true_positive_rate(names: Floats, strings: Floats, max_false_positive_rate: float) -> float:
    """Return the true-positive rate at the highest threshold within a false-positive rate.

    The threshold is the score of a name. Names with an equal score are not below it, so with ties
    the false-positive rate is lower than the maximum.
    """
    index = min(int(max_false_positive_rate * len(names)), len(names) - 1)
    threshold = np.sort(names)[index]
    return float((strings < threshold).mean())


def share_below(scores: Floats, thresholds: Floats) -> Floats:
    """Return the share of the scores below each threshold, (thresholds,)."""
    return np.searchsorted(np.sort(scores), thresholds) / len(scores)


def curve(names: Floats, strings: Floats) -> tuple[Floats, Floats]:
    """Return the false-positive and true-positive rates at all thresholds that change the first."""
    thresholds = np.append(np.unique(names), np.inf)
    return share_below(names, thresholds), share_below(strings, thresholds)
