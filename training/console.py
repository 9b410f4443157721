"""Console output of the job: one line about the list, and a table with a row for each model."""

from pathlib import Path

from models.linear.model import LinearModel
from models.provenance import Provenance, TrainingList
from models.text.vocabulary import Vocabulary


def list_line(source: TrainingList, vocabulary: Vocabulary) -> str:
    """Return the line about the size of the list."""
    return (
        f"{source.name}: {source.names:,} names, "
        f"{source.transitions:,} transitions, {len(vocabulary):,} tokens"
    )


def header(evaluated: bool) -> str:
    """Return the header of the table, with a column `held-out` if the models are evaluated."""
    held_out = f"{'held-out':>11}" if evaluated else ""
    return (
        f"{'model':<12}{'parameters':>11}{'loss':>11}{'NLL':>11}{held_out}"
        f"{'seconds':>9}  checkpoint"
    )


def phase_row(name: str, evaluated: bool, seconds: float, path: Path | str = "") -> str:
    """Return the row of a phase that is not the training of a model."""
    width = len(header(evaluated).partition("  checkpoint")[0]) - len(f"{name:<12}")
    return f"{name:<12}{seconds:>{width}.3f}  {path}".rstrip()


def model_row(
    model: LinearModel, provenance: Provenance, held_out: float | None, seconds: float, path: Path
) -> str:
    """Return the row of a model. Loss, NLL and held-out NLL are in nats per character."""
    held_out_column = "" if held_out is None else f"{held_out:>11.7f}"
    return (
        f"{model.feature_map.architecture:<12}{model.weights.size:>11,}"
        f"{provenance.loss:>11.7f}{provenance.nll:>11.7f}{held_out_column}{seconds:>9.3f}  {path}"
    )
