"""What detectors made of names and strings, and the tables that show it."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from benchmarks.detection import roc
from benchmarks.detection.peers import PER_CHARACTER, TOTAL, YES_OR_NO
from models.arrays import Floats

PERCENTILE = "percentile"
WAYS = (TOTAL, PER_CHARACTER, PERCENTILE)
REJECTED = 0.01  # share of held-out names that a detector may reject
THRESHOLDS = (0.001, 0.01, 0.05, 0.1)  # on the percentile


@dataclass(frozen=True, eq=False)  # arrays have no truth value to compare by
class Outcome:
    """The scores that a detector gives, in one way, to n names and to n strings of a kind.

    names, strings: (n,) each
    """

    detector: str
    kind: str
    way: str
    names: Floats
    strings: Floats

    @cached_property
    def area(self) -> float:
        """Area under the ROC curve."""
        return roc.area(self.names, self.strings)

    @cached_property
    def caught(self) -> float:
        """Share of the strings caught by a threshold that rejects few names."""
        return roc.caught(self.names, self.strings, REJECTED)


@dataclass(frozen=True, eq=False)
class Findings:
    """All that was measured.

    held_out, fitted: the percentiles of those names, for each model
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
        """The models, then the peers that give scores, not only yes or no."""
        scoring = (outcome.detector for outcome in self.outcomes if outcome.way in WAYS)
        return list(dict.fromkeys(scoring))

    def get(self, detector: str, kind: str, way: str) -> Outcome | None:
        """The outcome, None if the detector does not score in this way."""
        key = (detector, kind, way)
        return next((o for o in self.outcomes if (o.detector, o.kind, o.way) == key), None)


def tables(findings: Findings) -> Iterator[str]:
    """All tables in Markdown, each below its title, then a line for each missing peer."""
    for kind in findings.kinds:
        yield f"### Strings: {kind}\n\n{_detection(findings, kind)}"
    said = (outcome for outcome in findings.outcomes if outcome.way == YES_OR_NO)
    verdicts = [verdict for verdict in said if not np.isnan(verdict.names).all()]
    if verdicts:
        yield f"### {verdicts[0].detector}\n\n{_verdicts(findings, verdicts)}"
    yield f"### Held-out names below a threshold\n\n{_calibration(findings.held_out)}"
    yield f"### Fitted names below a threshold\n\n{_calibration(findings.fitted)}"
    yield from findings.missing


def _detection(findings: Findings, kind: str) -> str:
    """Area and share caught of each detector, for each way to score."""
    header = ["", *(f"area, {way}" for way in WAYS), *(f"caught, {way}" for way in WAYS)]

    def row(detector: str) -> Iterator[str]:
        outcomes = [findings.get(detector, kind, way) for way in WAYS]
        yield f"`{detector}`" if detector in findings.held_out else detector
        yield from (f"{outcome.area:.3f}" if outcome else "" for outcome in outcomes)
        yield from (percent(outcome.caught) if outcome else "" for outcome in outcomes)

    return _table(header, [list(row(detector)) for detector in findings.detectors])


def _verdicts(findings: Findings, verdicts: Sequence[Outcome]) -> str:
    """What a detector rejects and catches, and what percentiles catch that reject as much."""
    models = list(findings.held_out)
    header = ["strings", "pairs", "names rejected", "caught", *(f"by `{name}`" for name in models)]

    def row(verdict: Outcome) -> Iterator[str]:
        judged = ~np.isnan(verdict.names)  # by the length, which is that of the string too
        noes = (scores[judged] == 0 for scores in (verdict.names, verdict.strings))
        rejected, caught = (float(no.mean()) for no in noes)
        yield from (verdict.kind, f"{judged.sum():,}", percent(rejected), percent(caught))
        for model in models:
            if outcome := findings.get(model, verdict.kind, PERCENTILE):
                names, strings = outcome.names[judged], outcome.strings[judged]
                yield percent(roc.caught(names, strings, rejected))

    return _table(header, [list(row(verdict)) for verdict in verdicts])


def _calibration(percentiles: Mapping[str, Floats]) -> str:
    """How many names a threshold on the percentile rejects."""
    header = ["threshold", *(f"{threshold:g}" for threshold in THRESHOLDS)]
    rows = [
        [f"`{name}`", *map(percent, roc.below(shares, np.array(THRESHOLDS)))]
        for name, shares in percentiles.items()
    ]
    return _table(header, rows)


def _table(header: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A table, its first column to the left and the others to the right."""
    marks = ["---", *["---:"] * (len(header) - 1)]
    return "\n".join(f"| {' | '.join(cells)} |" for cells in (header, marks, *rows))


def percent(share: float) -> str:
    """A share as it stands in a table."""
    return f"{100 * share:.1f} %"
