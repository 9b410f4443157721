"""Plots of the report, drawn by matplotlib as SVG."""

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
# Colours of Okabe and Ito (2008), distinct with any colour vision; markers are distinct too.
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9")
MARKERS = ("o", "s", "^", "D", "v", "P")
LIST_COLOUR = "#4D4D4D"
SHADE = "#E6E6E6"
MAX_LENGTH = 64  # characters, on the axis of lengths
SHOWN_SHARE = 0.995  # of the names of each distribution, on the axis of lengths


class LineStyle(TypedDict):
    """Style of a line; sizes are in points."""

    color: str
    marker: str
    linewidth: float
    markersize: float


def held_out(models: Sequence[ModelFigures], positions: int) -> bytes:
    """Plot the held-out NLL at each of the first positions."""
    figure, axes = _axes("characters before", "held-out NLL, nats per character")
    for model, style in _styled(models):
        axes.plot(model.evaluation.nll_by_position[:positions], label=model.name, **style)
    axes.set_ylim(bottom=0)
    return _svg(figure, axes)


def losses(models: Sequence[ModelFigures]) -> bytes:
    """Plot all losses of the training, on a logarithmic axis of steps."""
    figure, axes = _axes("step (logarithmic)", "loss, nats per character")
    for model, style in _styled(models):
        curve = model.trained.losses
        steps = np.arange(1, len(curve) + 1)
        # A marker at every step would hide the line.
        marked = np.unique(np.geomspace(1, len(curve), 12).astype(int)) - 1
        axes.plot(steps, curve, label=model.name, markevery=marked.tolist(), **style)
    axes.set_xscale("log")
    axes.xaxis.set_major_formatter("{x:,.0f}")
    return _svg(figure, axes)


def lengths(list_figures: ListFigures, models: Sequence[ModelFigures]) -> bytes:
    """Plot the distribution of lengths: of the list as bars, of each model as a line."""
    figure, axes = _axes("length of a name, characters", "share of names")
    distributions = [list_figures.lengths, *(model.lengths for model in models)]
    longest = max(int(np.searchsorted(each.cumsum(), SHOWN_SHARE)) for each in distributions)
    shown = slice(1, min(longest, MAX_LENGTH) + 1)
    bars = list_figures.lengths[shown]
    axes.bar(np.arange(1, len(bars) + 1), bars, color=SHADE, edgecolor="#999999", label="list")
    for model, style in _styled(models):
        curve = model.lengths[shown]
        axes.plot(np.arange(1, len(curve) + 1), curve, label=model.name, **style)
    axes.yaxis.set_major_formatter(PercentFormatter(1, decimals=0))
    return _svg(figure, axes)


def end_probabilities(
    list_figures: ListFigures, models: Sequence[ModelFigures], positions: int
) -> bytes:
    """Plot the probability that a name ends at each of the first positions; unseen ones shaded."""
    figure, axes = _axes("characters so far", "probability that the name ends here")
    points = list_figures.end_probabilities[1:positions]
    axes.plot(
        np.arange(1, len(points) + 1), points, label="list", color=LIST_COLOUR, marker="x", ls=":"
    )
    for model, style in _styled(models):
        curve = model.end_probabilities[1:positions]
        axes.plot(np.arange(1, len(curve) + 1), curve, label=model.name, **style)
    unseen = list_figures.unseen_positions
    start, stop = unseen.start, min(unseen.stop, positions)
    if start < stop:
        axes.axvspan(start - 0.5, stop - 0.5, color=SHADE, zorder=0, label="not in the list")
    axes.set_ylim(0, 1.03)
    axes.yaxis.set_major_formatter(PercentFormatter(1, decimals=0))
    return _svg(figure, axes)


def _axes(x: str, y: str) -> tuple[Figure, Axes]:
    """Return an empty figure with labelled axes."""
    figure = Figure(figsize=INCHES, layout="constrained")
    axes = figure.add_subplot()
    axes.set(xlabel=x, ylabel=y)
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    axes.grid(axis="y", color="#DDDDDD", linewidth=0.6)
    axes.set_axisbelow(True)
    axes.spines[["top", "right"]].set_visible(False)
    return figure, axes


def _styled(models: Sequence[ModelFigures]) -> Iterator[tuple[ModelFigures, LineStyle]]:
    """Yield each model with the style of its architecture; later lines, on top, are thinner."""
    for number, model in enumerate(models, start=1):
        index = list(ARCHITECTURES).index(model.name)
        linewidth = 1 + 0.7 * (len(models) - number)
        style = LineStyle(
            color=COLOURS[index % len(COLOURS)],
            marker=MARKERS[index % len(MARKERS)],
            linewidth=linewidth,
            markersize=3.5 + 1.5 * linewidth,
        )
        yield model, style


def _svg(figure: Figure, axes: Axes) -> bytes:
    """Return the figure, with a legend beside it, as SVG. Equal figures give equal bytes."""
    axes.legend(loc="center left", bbox_to_anchor=(1.01, 0.5), frameon=False)
    file = io.BytesIO()
    # A fixed salt in place of random ids, and no date.
    with rc_context({"svg.hashsalt": "moniker"}):
        figure.savefig(file, format="svg", metadata={"Date": None})
    return file.getvalue()
