"""Check for --if-changed: which checkpoints were made from the same list, options and software."""

import platform
from importlib.metadata import version
from pathlib import Path

import models
from models.checkpoint import Checkpoint, CheckpointError, load
from models.linear.features import ARCHITECTURES
from models.provenance import TrainingList
from training.atomic_files import checkpoint_path, report_path
from training.cli import Options


def outdated_models(options: Options, source: TrainingList) -> list[str]:
    """Return the models that the job must train.

    A model is up to date if its checkpoint is valid and was made from the same list with the same
    options and software. A report covers all models of a run, so with `evaluate` the result is all
    models or none.
    """
    current = {}
    for name in options.models:
        if checkpoint := _current_checkpoint(options, name, source):
            current[name] = checkpoint
    outdated = [name for name in options.models if name not in current]
    if options.evaluate and (outdated or not _covers(report_path(options.out), current)):
        return options.models
    return outdated


def software_versions() -> dict[str, str]:
    """Return the versions of the software that determines the content of a checkpoint."""
    return {
        "moniker": models.__version__,
        "python": platform.python_version(),
        "numpy": version("numpy"),
        "torch": version("torch"),
    }


def _current_checkpoint(options: Options, name: str, source: TrainingList) -> Checkpoint | None:
    """Return the checkpoint of a model, or None if it is not up to date."""
    try:
        checkpoint = load(checkpoint_path(options.out, name).read_bytes())
    except (OSError, CheckpointError):
        return None
    model, provenance = checkpoint.model, checkpoint.provenance
    vocabulary, feature_map = model.vocabulary, model.feature_map
    recipe = options.recipe or ARCHITECTURES[name].recipe_for(len(vocabulary))
    same = (
        (feature_map.architecture, feature_map.positions) == (name, options.positions)
        and (vocabulary.keep_case, vocabulary.turkish) == (options.keep_case, options.turkish)
        and (provenance.recipe, provenance.source) == (recipe, source)
        and provenance.trained_with == software_versions()
    )
    return checkpoint if same else None


def _covers(report: Path, checkpoints: dict[str, Checkpoint]) -> bool:
    """Return whether the report is about these checkpoints: it contains their versions."""
    try:
        text = report.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError):
        return False
    return all(checkpoint.version in text for checkpoint in checkpoints.values())
