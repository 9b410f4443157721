"""What the job tells about the list and the models it made of it."""

import platform
from importlib.metadata import version
from pathlib import Path

import models
from models.checkpoint import Record, Source
from models.linear import LinearModel
from models.vocabulary import Vocabulary

HEADER = f"{'model':<12}{'parameters':>11}{'loss':>11}{'NLL':>11}{'seconds':>9}  checkpoint"


def summary(source: Source, vocabulary: Vocabulary) -> str:
    """One line about the list."""
    return (
        f"{source.name}: {source.names:,} names, "
        f"{source.transitions:,} transitions, {len(vocabulary):,} tokens"
    )


def row(model: LinearModel, record: Record, seconds: float, path: Path) -> str:
    """One line of the table under HEADER. Loss and NLL are in nats a character."""
    return (
        f"{model.architecture:<12}{model.weights.size:>11,}"
        f"{record.loss:>11.7f}{record.nll:>11.7f}{seconds:>9.3f}  {path}"
    )


def versions() -> dict[str, str]:
    """The software that makes a checkpoint what it is."""
    return {
        "moniker": models.__version__,
        "python": platform.python_version(),
        "numpy": version("numpy"),
        "torch": version("torch"),
    }
