"""The plots of what detectors made of names and strings, as PNG files (matplotlib)."""

import io

import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, MaxNLocator, PercentFormatter

from benchmarks.detection import roc
from benchmarks.detection.outcomes import PERCENTILE, WAYS, Findings, Outcome
from benchmarks.detection.peers import PER_CHARACTER
from benchmarks.detection.strings import SHUFFLED
from models.linear.features import ARCHITECTURES
from training.evaluation.plots import COLOURS, INCHES, MARKERS

DPI = 100
OF_PEERS = "#4D4D4D"
LEAST = 1e-3  # share of names or strings
LEAST_PERCENTILE = 1e-12
COMPARED = ("positional", "fivegram")


def draw(findings: Findings) -> dict[str, bytes]:
    """Each plot by its name."""
    return {
        "roc": curves(findings),
        "areas": areas(findings),
        "percentiles": distributions(findings),
    }


def curves(findings: Findings) -> bytes:
    """ROC curves against shuffled strings: models by percentile, peers by their score."""
    figure, (axes,) = _blank(1)
    for detector in findings.detectors:
        way = PERCENTILE if detector in findings.held_out else PER_CHARACTER
        outcome = findings.get(detector, SHUFFLED, way)
        if outcome:
            rejected, caught = roc.curve(outcome.names, outcome.strings)
            axes.plot(
                rejected,
                caught,
                label=f"{detector},\n{way}",
                color=_colour(detector),
                linewidth=1.6,
                linestyle="-" if detector in findings.held_out else _dashes(findings, detector),
            )
    axes.set_xscale("log")
    axes.set(xlim=(LEAST, 1), ylim=(0, 1.01))
    axes.set(xlabel="share of held-out names rejected", ylabel="share of shuffled strings caught")
    axes.xaxis.set_major_formatter(FuncFormatter(_percent))
    axes.yaxis.set_major_formatter(PercentFormatter(1, decimals=0))
    return _png(figure, axes)


def areas(findings: Findings) -> bytes:
    """The area under the curve for each kind of strings, detector and way to score."""
    figure, panels = _blank(len(findings.kinds))
    detectors = findings.detectors
    for axes, kind in zip(panels, findings.kinds, strict=True):
        for number, way in enumerate(WAYS):
            outcomes = _outcomes(findings, kind, way)
            axes.plot(
                [outcome.area for outcome in outcomes],
                [detectors.index(outcome.detector) for outcome in outcomes],
                label=way,
                color=COLOURS[number],
                marker=MARKERS[number],
                linestyle="none",
                markeredgecolor="white",
                markersize=8,
            )
        axes.set_title(kind, fontsize="medium")
        axes.set_yticks(range(len(detectors)), detectors)
        axes.tick_params(axis="y", labelleft=axes is panels[0])
        axes.set_ylim(len(detectors) - 0.5, -0.5)
        axes.xaxis.set_major_formatter("{x:g}")
        axes.xaxis.set_major_locator(MaxNLocator(4, steps=[1, 2, 5, 10], prune="both"))
        axes.grid(axis="x", color="#DDDDDD", linewidth=0.6)
    figure.supxlabel("area under the ROC curve", fontsize="medium")
    return _png(figure, panels[-1])


def distributions(findings: Findings) -> bytes:
    """How many held-out names and shuffled strings are below each threshold."""
    figure, (axes,) = _blank(1)
    thresholds = np.geomspace(LEAST_PERCENTILE, 1, 481)
    for outcome in _outcomes(findings, SHUFFLED, PERCENTILE):
        if outcome.detector in COMPARED:
            for scores, what, style in (
                (outcome.strings, "shuffled", "--"),
                (outcome.names, "held out", "-"),
            ):
                axes.plot(
                    thresholds,
                    roc.below(scores, thresholds),
                    label=f"{outcome.detector}, {what}",
                    color=_colour(outcome.detector),
                    linestyle=style,
                    linewidth=1.6,
                )
    axes.plot(
        thresholds, thresholds, label="as many as the\nthreshold says", color=OF_PEERS, ls=":"
    )
    axes.set_xscale("log")
    axes.set_yscale("log")
    axes.set(xlim=(LEAST_PERCENTILE, 1), ylim=(LEAST, 1.1))
    axes.set(xlabel="threshold on the percentile", ylabel="share below the threshold")
    axes.yaxis.set_major_formatter(FuncFormatter(_percent))
    return _png(figure, axes)


def _outcomes(findings: Findings, kind: str, way: str) -> list[Outcome]:
    found = (findings.get(detector, kind, way) for detector in findings.detectors)
    return [outcome for outcome in found if outcome]


def _colour(detector: str) -> str:
    names = list(ARCHITECTURES)
    return COLOURS[names.index(detector)] if detector in names else OF_PEERS


def _dashes(findings: Findings, peer: str) -> str:
    """Peers have one colour and are told apart by their lines."""
    return ("--", ":", "-.")[findings.detectors.index(peer) - len(findings.held_out)]


def _percent(share: float, _: object) -> str:
    return f"{100 * share:g}%"


def _blank(panels: int) -> tuple[Figure, list[Axes]]:
    """A figure with axes side by side and nothing on them."""
    figure = Figure(figsize=INCHES, dpi=DPI, layout="constrained")
    FigureCanvasAgg(figure)
    row = [figure.add_subplot(1, panels, number + 1) for number in range(panels)]
    for axes in row:
        axes.grid(axis="y", color="#DDDDDD", linewidth=0.6)
        axes.set_axisbelow(True)
        axes.spines[["top", "right"]].set_visible(False)
    return figure, row


def _png(figure: Figure, axes: Axes) -> bytes:
    """The figure as PNG, with a legend beside these axes."""
    axes.legend(loc="center left", bbox_to_anchor=(1.01, 0.5), frameon=False)
    file = io.BytesIO()
    figure.savefig(file, format="png")
    return file.getvalue()
