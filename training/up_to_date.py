"""Checkpoints of an earlier run: which of them the job would only write again."""

from pathlib import Path

from models.checkpoint import Checkpoint, CheckpointError, load
from models.linear.features import ARCHITECTURES
from models.provenance import TrainingList
from training.atomic_files import checkpoint_path, report_path
from training.cli import Options
from training.console import versions


def outdated(job: Options, source: TrainingList) -> list[str]:
    """The models of the job whose checkpoint is missing, damaged, or made in another way.

    The same way is the same list, options and software. A report covers all models of a run, so
    with `evaluate` the result is all models or none.
    """
    current = {name: found for name in job.models if (found := _current(job, name, source))}
    missing = [name for name in job.models if name not in current]
    if job.evaluate and (missing or not _covers(report_path(job.out), current)):
        return job.models
    return missing


def _current(job: Options, name: str, source: TrainingList) -> Checkpoint | None:
    """The checkpoint of a model if the job would make it in the same way."""
    try:
        checkpoint = load(checkpoint_path(job.out, name).read_bytes())
    except (OSError, CheckpointError):
        return None
    model, provenance = checkpoint.model, checkpoint.provenance
    vocabulary = model.vocabulary
    case, wanted_case = (vocabulary.keep_case, vocabulary.turkish), (job.keep_case, job.turkish)
    options = (model.feature_map.architecture, model.feature_map.positions, case, provenance.recipe)
    recipe = job.recipe or ARCHITECTURES[name].recipe_for(len(vocabulary))
    wanted = (name, job.positions, wanted_case, recipe)
    same = (options, provenance.source, provenance.trained_with) == (wanted, source, versions())
    return checkpoint if same else None


def _covers(report: Path, checkpoints: dict[str, Checkpoint]) -> bool:
    """Whether the report is about these checkpoints; it states their versions."""
    try:
        text = report.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError):
        return False
    return all(checkpoint.version in text for checkpoint in checkpoints.values())
