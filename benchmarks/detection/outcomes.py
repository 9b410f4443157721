"""Scores of detectors for names and strings, and the tables that compare them."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from benchmarks.detection import roc
from benchmarks.detection.peers import PER_CHARACTER, TOTAL, YES_OR_NO
from models.arrays import Floats

PERCENTILE = "percentile"
SCORES = (TOTAL, PER_CHARACTER, PERCENTILE)
MAX_FALSE_POSITIVE_RATE = 0.01  # of held-out names
THRESHOLDS = (0.001, 0.01, 0.05, 0.1)  # on the percentile


@dataclass(frozen=True, eq=False)  # arrays have no truth value to compare by
class Outcome:
    """One kind of score of a detector, for n names and n strings of a kind.

    names, strings: (n,) each
    """

    detector: str
    kind: str
    score: str
    names: Floats
    strings: Floats

    @cached_property
    def auc(self) -> float:
        """The area under the ROC curve."""
        return roc.auc(self.names, self.strings)

    @cached_property
    def true_positive_rate(self) -> float:
        """The true-positive rate within MAX_FALSE_POSITIVE_RATE."""
        return roc.true_positive_rate(self.names, self.strings, MAX_FALSE_POSITIVE_RATE)


@dataclass(frozen=True, eq=False)
class Results:
    """All outcomes of a run.

    held_out, fitted: model -> the percentiles of the held-out and of the fitted names
    missing: a line for each peer that is not installed
    """

    outcomes: list[Outcome]
    held_out: dict[str, Floats]
    fitted: dict[str, Floats]
    missing: list[str]

    @property
    def kinds(self) -> list[str]:
        """The kinds of strings, in the order of the trials."""
        return list(dict.fromkeys(outcome.kind for outcome in self.outcomes))

    @property
    def detectors(self) -> list[str]:
        """The models, then the peers that return scores, without those that answer yes or no."""
        names = (outcome.detector for outcome in self.outcomes if outcome.score in SCORES)
        return list(dict.fromkeys(names))

    def get(self, detector: str, kind: str, score: str) -> Outcome | None:
        """Return the outcome, None if the detector does not have this score."""
        key = (detector, kind, score)
        return next((o for o in self.outcomes if (o.detector, o.kind, o.score) == key), None)


def tables(results: Results) -> Iterator[str]:
    """Yield all tables in Markdown, each below its title, then a line for each missing peer."""
    for kind in results.kinds:
        yield f"### Strings: {kind}\n\n{_detection(results, kind)}"
    yes_or_no = (outcome for outcome in results.outcomes if outcome.score == YES_OR_NO)
    verdicts = [verdict for verdict in yes_or_no if not np.isnan(verdict.names).all()]
    if verdicts:
        yield f"### {verdicts[0].detector}\n\n{_verdicts(results, verdicts)}"
    yield f"### Held-out names below a threshold\n\n{_calibration(results.held_out)}"
    yield f"### Fitted names below a threshold\n\n{_calibration(results.fitted)}"
    yield from results.missing


def _detection(results: Results, kind: str) -> str:
    """Return the table of the AUC and the true-positive rate of each detector and score."""
    header = ["", *(f"AUC, {score}" for score in SCORES), *(f"TPR, {score}" for score in SCORES)]

    def row(detector: str) -> Iterator[str]:
        outcomes = [results.get(detector, kind, score) for score in SCORES]
        yield f"`{detector}`" if detector in results.held_out else detector
        yield from (f"{outcome.auc:.3f}" if outcome else "" for outcome in outcomes)
        yield from (percent(outcome.true_positive_rate) if outcome else "" for outcome in outcomes)

    return _table(header, [list(row(detector)) for detector in results.detectors])


def _verdicts(results: Results, verdicts: Sequence[Outcome]) -> str:
    """Return the rates of a yes-or-no detector, and the TPR of percentiles at the same FPR."""
    models = list(results.held_out)
    header = ["strings", "pairs", "FPR", "TPR", *(f"TPR, `{name}`" for name in models)]

    def row(verdict: Outcome) -> Iterator[str]:
        answered = ~np.isnan(verdict.names)  # depends on the length, which is equal in a pair
        noes = (scores[answered] == 0 for scores in (verdict.names, verdict.strings))
        false_positives, true_positives = (float(no.mean()) for no in noes)
        yield from (verdict.kind, f"{answered.sum():,}")
        yield from map(percent, (false_positives, true_positives))
        for model in models:
            if outcome := results.get(model, verdict.kind, PERCENTILE):
                names, strings = outcome.names[answered], outcome.strings[answered]
                yield percent(roc.true_positive_rate(names, strings, false_positives))

    return _table(header, [list(row(verdict)) for verdict in verdicts])


def _calibration(percentiles: Mapping[str, Floats]) -> str:
    """Return the table of the shares of names below thresholds on the percentile."""
    header = ["threshold", *(f"{threshold:g}" for threshold in THRESHOLDS)]
    rows = [
        [f"`{name}`", *map(percent, roc.share_below(shares, np.array(THRESHOLDS)))]
        for name, shares in percentiles.items()
    ]
    return _table(header, rows)


def _table(header: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Return a Markdown table; all columns but the first are aligned to the right."""
    marks = ["---", *["---:"] * (len(header) - 1)]
    return "\n".join(f"| {' | '.join(cells)} |" for cells in (header, marks, *rows))


def percent(share: float) -> str:
    """Return a share as the tables show it."""
    return f"{100 * share:.1f} %"
