"""What the job tells about the list and the models it made of it."""

import platform
from importlib.metadata import version
from pathlib import Path

import models
from models.linear.model import LinearModel
from models.provenance import Provenance, TrainingList
from models.text.vocabulary import Vocabulary


def header(evaluated: bool) -> str:
    """The first line of the table, with a column `held-out` if the models are evaluated."""
    held_out = f"{'held-out':>11}" if evaluated else ""
    return (
        f"{'model':<12}{'parameters':>11}{'loss':>11}{'NLL':>11}{held_out}"
        f"{'seconds':>9}  checkpoint"
    )


def summary(source: TrainingList, vocabulary: Vocabulary) -> str:
    """One line about the list."""
    return (
        f"{source.name}: {source.names:,} names, "
        f"{source.transitions:,} transitions, {len(vocabulary):,} tokens"
    )


def phase(name: str, evaluated: bool, seconds: float, path: Path | str = "") -> str:
    """A line of the table for what the job did besides the models, and how long it took."""
    width = len(header(evaluated).partition("  checkpoint")[0]) - len(f"{name:<12}")
    return f"{name:<12}{seconds:>{width}.3f}  {path}".rstrip()


def row(
    model: LinearModel, provenance: Provenance, held_out: float | None, seconds: float, path: Path
) -> str:
    """One line of the table. Loss, NLL and held-out NLL are in nats a character."""
    evaluated = "" if held_out is None else f"{held_out:>11.7f}"
    return (
        f"{model.feature_map.architecture:<12}{model.weights.size:>11,}"
        f"{provenance.loss:>11.7f}{provenance.nll:>11.7f}{evaluated}{seconds:>9.3f}  {path}"
    )


def versions() -> dict[str, str]:
    """The software that makes a checkpoint what it is."""
    return {
        "moniker": models.__version__,
        "python": platform.python_version(),
        "numpy": version("numpy"),
        "torch": version("torch"),
    }
