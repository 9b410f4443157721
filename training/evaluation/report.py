"""HTML report of a list and its models, rendered from the template report.html."""

import math
import os
import re
from base64 import b64encode
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from models.linear.features import ARCHITECTURES, Sines
from training.atomic_files import report_path, write_atomically
from training.evaluation.figures import SAMPLES, ListFigures, ModelFigures, mean_length

MAX_SHOWN = 32  # positions in a table or a plot
# Control characters, line ends, and characters that change the direction of the text around them.
UNPRINTABLE = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069]")


def write_report(folder: Path, list_figures: ListFigures, models: Sequence[ModelFigures]) -> Path:
    """Write report.html to a folder atomically, and return its path.

    Raises OSError naming the file if it cannot be written.
    """
    path = report_path(folder)
    html = render(list_figures, models, _plots(folder, list_figures, models))
    write_atomically(path, html.encode())
    return path


def render(
    list_figures: ListFigures, models: Sequence[ModelFigures], plots: Mapping[str, bytes]
) -> str:
    """Return the HTML of the report with plots in SVG."""
    environment = Environment(
        loader=FileSystemLoader(Path(__file__).parent),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    environment.filters |= {
        "visible": _visible,
        "format_as": format,
        "log": math.log,
        "exp": math.exp,
        "mean_length": mean_length,
    }
    return environment.get_template("report.html").render(
        list_figures=list_figures,
        models=models,
        best=min(models, key=lambda model: model.evaluation.nll),
        features={
            name: [each.name for each in ARCHITECTURES[name].features] for name in ARCHITECTURES
        },
        behaviours={model.name: _behaviour(model.name) for model in models},
        plots={name: _data_uri(svg) for name, svg in plots.items()},
        samples=SAMPLES,
        shown=MAX_SHOWN,
    )


def _plots(
    folder: Path, list_figures: ListFigures, models: Sequence[ModelFigures]
) -> dict[str, bytes]:
    """Return the plots of the report in SVG."""
    with _matplotlib_cache(folder):
        from training.evaluation import plots  # imports matplotlib, which only the report needs
    positions = min(len(list_figures.all_positions), MAX_SHOWN)
    return {
        "held_out": plots.held_out(models, MAX_SHOWN),
        "losses": plots.losses(models),
        "lengths": plots.lengths(list_figures, models),
        "end_probabilities": plots.end_probabilities(list_figures, models, positions),
    }


@contextmanager
def _matplotlib_cache(folder: Path) -> Iterator[None]:
    """While matplotlib is imported, give it a cache in `folder` if the home is not writable."""
    home = os.path.expanduser("~")  # noqa: PTH111  # Path.expanduser raises if there is no home
    if "MPLCONFIGDIR" in os.environ or os.access(home, os.W_OK):
        yield
        return
    with TemporaryDirectory(dir=folder, prefix=".matplotlib.") as cache:
        os.environ["MPLCONFIGDIR"] = cache
        try:
            yield
        finally:
            del os.environ["MPLCONFIGDIR"]


def _behaviour(name: str) -> str:
    """Return what an architecture does at positions without training data."""
    features = ARCHITECTURES[name].position_features
    if not features:
        return "does not use the position"
    if any(isinstance(feature, Sines) for feature in features):
        return "continues the sines and cosines that it fitted to the other positions"
    return "uses the one-hot row of the last position in the training data"


def _data_uri(svg: bytes) -> str:
    return f"data:image/svg+xml;base64,{b64encode(svg).decode()}"


def _visible(text: str) -> str:
    """Return the text on one line, with invisible characters replaced by U+FFFD."""
    return UNPRINTABLE.sub("\N{REPLACEMENT CHARACTER}", text)
