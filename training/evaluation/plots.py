"""The plots of the report, in SVG (matplotlib)."""

import io
from collections.abc import Iterator, Sequence
from typing import TypedDict

import numpy as np
from matplotlib import rc_context
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator, PercentFormatter

from models.linear.features import ARCHITECTURES
from training.evaluation.figures import ListFigures, ModelFigures

INCHES = (7.6, 4.2)
# Okabe and Ito's colours, told apart with any colour vision; the markers say it once more.
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9")
MARKERS = ("o", "s", "^", "D", "v", "P")
OF_THE_LIST = "#4D4D4D"
SHADE = "#E6E6E6"
LONGEST = 64  # names that are shown


class Line(TypedDict):
    """The look of a line; sizes in points."""

    color: str
    marker: str
    linewidth: float
    markersize: float


def held_out(findings: Sequence[ModelFigures], positions: int) -> bytes:
    """Held-out NLL at each of the first positions."""
    figure, axes = _blank("characters before", "held-out NLL, nats a character")
    for finding, style in _styled(findings):
        axes.plot(finding.evaluation.by_position[:positions], label=finding.name, **style)
    axes.set_ylim(bottom=0)
    return _svg(figure, axes)


def losses(findings: Sequence[ModelFigures]) -> bytes:
    """The loss at each step, from the first to the last."""
    figure, axes = _blank("step (logarithmic)", "loss, nats a character")
    for finding, style in _styled(findings):
        curve = finding.trained.losses
        steps = np.arange(1, len(curve) + 1)
        # A marker at every step would hide the line.
        shown = np.unique(np.geomspace(1, len(curve), 12).astype(int)) - 1
        axes.plot(steps, curve, label=finding.name, markevery=shown.tolist(), **style)
    axes.set_xscale("log")
    axes.xaxis.set_major_formatter("{x:,.0f}")
    return _svg(figure, axes)


def lengths(facts: ListFigures, findings: Sequence[ModelFigures]) -> bytes:
    """The law of lengths: the list as bars, each model as a line."""
    figure, axes = _blank("length of a name, characters", "share of names")
    distributions = [facts.lengths, *(finding.lengths for finding in findings)]
    enough = max(int(np.searchsorted(law.cumsum(), 0.995)) for law in distributions)
    shown = slice(1, min(enough, LONGEST) + 1)
    of_list = facts.lengths[shown]
    axes.bar(
        np.arange(1, len(of_list) + 1), of_list, color=SHADE, edgecolor="#999999", label="list"
    )
    for finding, style in _styled(findings):
        law = finding.lengths[shown]
        axes.plot(np.arange(1, len(law) + 1), law, label=finding.name, **style)
    axes.yaxis.set_major_formatter(PercentFormatter(1, decimals=0))
    return _svg(figure, axes)


def endings(facts: ListFigures, findings: Sequence[ModelFigures], positions: int) -> bytes:
    """The probability of ending at each of the first positions, those unseen shaded."""
    figure, axes = _blank("characters so far", "probability that the name ends here")
    of_list = facts.endings[1:positions]
    axes.plot(
        np.arange(1, len(of_list) + 1), of_list, label="list", color=OF_THE_LIST, marker="x", ls=":"
    )
    for finding, style in _styled(findings):
        curve = finding.endings[1:positions]
        axes.plot(np.arange(1, len(curve) + 1), curve, label=finding.name, **style)
    start, stop = facts.unseen.start, min(facts.unseen.stop, positions)
    if start < stop:
        axes.axvspan(start - 0.5, stop - 0.5, color=SHADE, zorder=0, label="never seen")
    axes.set_ylim(0, 1.03)
    axes.yaxis.set_major_formatter(PercentFormatter(1, decimals=0))
    return _svg(figure, axes)


def _blank(x: str, y: str) -> tuple[Figure, Axes]:
    """A figure with labelled axes and nothing on them."""
    figure = Figure(figsize=INCHES, layout="constrained")
    axes = figure.add_subplot()
    axes.set(xlabel=x, ylabel=y)
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    axes.grid(axis="y", color="#DDDDDD", linewidth=0.6)
    axes.set_axisbelow(True)
    axes.spines[["top", "right"]].set_visible(False)
    return figure, axes


def _styled(findings: Sequence[ModelFigures]) -> Iterator[tuple[ModelFigures, Line]]:
    """Each finding with its architecture's colour, thinner than those it is drawn over."""
    for over, finding in enumerate(findings, start=1):
        number = list(ARCHITECTURES).index(finding.name)
        thickness = 1 + 0.7 * (len(findings) - over)
        yield (
            finding,
            Line(
                color=COLOURS[number % len(COLOURS)],
                marker=MARKERS[number % len(MARKERS)],
                linewidth=thickness,
                markersize=3.5 + 1.5 * thickness,
            ),
        )


def _svg(figure: Figure, axes: Axes) -> bytes:
    """The figure, with a legend beside it."""
    axes.legend(loc="center left", bbox_to_anchor=(1.01, 0.5), frameon=False)
    file = io.BytesIO()
    # Without a time, and with ids that chance has no part in: the same figures, the same bytes.
    with rc_context({"svg.hashsalt": "moniker"}):
        figure.savefig(file, format="svg", metadata={"Date": None})
    return file.getvalue()
