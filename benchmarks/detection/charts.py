"""Plots of the detection results, as PNG files (matplotlib)."""

import io

import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, MaxNLocator, PercentFormatter

from benchmarks.detection import roc
from benchmarks.detection.outcomes import PERCENTILE, SCORES, Outcome, Results
from benchmarks.detection.peers import PER_CHARACTER
from benchmarks.detection.strings import SHUFFLED
from models.linear.features import ARCHITECTURES
from training.evaluation.plots import COLOURS, INCHES, MARKERS

DPI = 100
PEER_COLOUR = "#4D4D4D"
MIN_SHARE = 1e-3  # of names or strings, the lower end of an axis
MIN_PERCENTILE = 1e-12
COMPARED = ("positional", "fivegram")


def draw(results: Results) -> dict[str, bytes]:
    """Return name -> plot."""
    return {
        "roc": curves(results),
        "areas": areas(results),
        "percentiles": distributions(results),
    }


def curves(results: Results) -> bytes:
    """Return ROC curves for shuffled strings: models by percentile, peers by their score."""
    figure, (axes,) = _blank(1)
    for detector in results.detectors:
        score = PERCENTILE if detector in results.held_out else PER_CHARACTER
        outcome = results.get(detector, SHUFFLED, score)
        if outcome:
            false_positives, true_positives = roc.curve(outcome.names, outcome.strings)
            axes.plot(
                false_positives,
                true_positives,
                label=f"{detector},\n{score}",
                color=_colour(detector),
                linewidth=1.6,
                linestyle="-" if detector in results.held_out else _dashes(results, detector),
            )
    axes.set_xscale("log")
    axes.set(xlim=(MIN_SHARE, 1), ylim=(0, 1.01))
    axes.set(xlabel="false-positive rate (held-out names)")
    axes.set(ylabel="true-positive rate (shuffled strings)")
    axes.xaxis.set_major_formatter(FuncFormatter(_percent))
    axes.yaxis.set_major_formatter(PercentFormatter(1, decimals=0))
    return _png(figure, axes)


def areas(results: Results) -> bytes:
    """Return the area under the curve for each kind of strings, detector and score."""
    figure, panels = _blank(len(results.kinds))
    detectors = results.detectors
    for axes, kind in zip(panels, results.kinds, strict=True):
        for number, score in enumerate(SCORES):
            outcomes = _outcomes(results, kind, score)
            axes.plot(
                [outcome.auc for outcome in outcomes],
                [detectors.index(outcome.detector) for outcome in outcomes],
                label=score,
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


def distributions(results: Results) -> bytes:
    """Return the shares of held-out names and of shuffled strings below each threshold."""
    figure, (axes,) = _blank(1)
    thresholds = np.geomspace(MIN_PERCENTILE, 1, 481)
    for outcome in _outcomes(results, SHUFFLED, PERCENTILE):
        if outcome.detector in COMPARED:
            for scores, label, style in (
                (outcome.strings, "shuffled", "--"),
                (outcome.names, "held out", "-"),
            ):
                axes.plot(
                    thresholds,
                    roc.share_below(scores, thresholds),
                    label=f"{outcome.detector}, {label}",
                    color=_colour(outcome.detector),
                    linestyle=style,
                    linewidth=1.6,
                )
    axes.plot(
        thresholds, thresholds, label="share equal to\nthe threshold", color=PEER_COLOUR, ls=":"
    )
    axes.set_xscale("log")
    axes.set_yscale("log")
    axes.set(xlim=(MIN_PERCENTILE, 1), ylim=(MIN_SHARE, 1.1))
    axes.set(xlabel="threshold on the percentile", ylabel="share below the threshold")
    axes.yaxis.set_major_formatter(FuncFormatter(_percent))
    return _png(figure, axes)


def _outcomes(results: Results, kind: str, score: str) -> list[Outcome]:
    outcomes = (results.get(detector, kind, score) for detector in results.detectors)
    return [outcome for outcome in outcomes if outcome]


def _colour(detector: str) -> str:
    names = list(ARCHITECTURES)
    return COLOURS[names.index(detector)] if detector in names else PEER_COLOUR


def _dashes(results: Results, peer: str) -> str:
    """Return the line style of a peer; all peers have one colour."""
    return ("--", ":", "-.")[results.detectors.index(peer) - len(results.held_out)]


def _percent(share: float, _: object) -> str:
    return f"{100 * share:g}%"


def _blank(panels: int) -> tuple[Figure, list[Axes]]:
    """Return a figure with empty axes side by side."""
    figure = Figure(figsize=INCHES, dpi=DPI, layout="constrained")
    FigureCanvasAgg(figure)
    row = [figure.add_subplot(1, panels, number + 1) for number in range(panels)]
    for axes in row:
        axes.grid(axis="y", color="#DDDDDD", linewidth=0.6)
        axes.set_axisbelow(True)
        axes.spines[["top", "right"]].set_visible(False)
    return figure, row


def _png(figure: Figure, axes: Axes) -> bytes:
    """Return the figure as PNG, with a legend beside the axes."""
    axes.legend(loc="center left", bbox_to_anchor=(1.01, 0.5), frameon=False)
    file = io.BytesIO()
    figure.savefig(file, format="png")
    return file.getvalue()
