"""python -m training: read a list of names, count it, fit each model, write its checkpoint."""

import gc
import math
import sys
from collections.abc import Sequence
from datetime import UTC, datetime
from importlib import import_module
from pathlib import Path
from time import perf_counter
from typing import TYPE_CHECKING

import training
from models.chain.markov_chain import MarkovChain, compile_chain
from models.checkpoint import dump, load
from models.counts.context_counts import ContextCounts, clamp, shorten
from models.linear.features import ARCHITECTURES
from models.provenance import Provenance, TrainingList, size_warnings
from models.scoring.likelihoods import nll
from models.scoring.percentile_estimation import estimate_percentiles
from training.atomic_files import checkpoint_path, write_atomically
from training.cli import Options, parse_options
from training.console import header, list_line, model_row, phase_row
from training.counts.counting import CountedList
from training.dataset import Dataset, load_dataset
from training.evaluation.held_out import evaluate
from training.lists.name_list import NameListError
from training.progress import progress
from training.stopwatch import Stopwatch
from training.up_to_date import outdated_models, software_versions

if TYPE_CHECKING:
    from training.evaluation.figures import ListFigures, ModelFigures
    from training.train import TrainedModel


def run(options: Options, stopwatch: Stopwatch) -> None:
    """Run the job. Raises NameListError or OSError; the message of each names a file."""
    start_seconds = stopwatch.lap()
    with progress("reading the list"):
        dataset = load_dataset(options)
    if options.write_counts:
        _write_counts(options.write_counts, dataset.counted)
    models = _models_to_train(options, dataset.counted.source)
    if not models:
        return
    list_seconds = stopwatch.lap()
    # Takes seconds, so errors in the list are reported before.
    _import_torch(options.evaluate)
    start_seconds += stopwatch.lap()
    list_figures = _list_figures(options, dataset)
    _print_list(options, dataset)
    print(phase_row("start", options.evaluate, start_seconds))
    print(phase_row("list", options.evaluate, list_seconds + stopwatch.lap()), flush=True)
    options.out.mkdir(parents=True, exist_ok=True)
    figures = [_train_model(name, options, dataset, list_figures, stopwatch) for name in models]
    if list_figures:
        path = _write_report(options.out, list_figures, figures)
        print(phase_row("report", options.evaluate, stopwatch.lap(), path))
    print(phase_row("total", options.evaluate, stopwatch.total))


def _write_counts(path: Path, counted: CountedList) -> None:
    from training.counts.counts_table import write_table  # imports pyarrow, which is slow

    with progress("writing the counts"):
        write_table(path, counted)


def _models_to_train(options: Options, source: TrainingList) -> list[str]:
    """Return the models of the job, without those that are up to date with --if-changed."""
    models = outdated_models(options, source) if options.if_changed else options.models
    for name in options.models:
        if name not in models:
            print(f"{name}: {checkpoint_path(options.out, name)} is up to date, not trained again")
    return models


def _import_torch(evaluate: bool) -> None:
    """Import the modules that import PyTorch, so that no model is charged for the time."""
    modules = ["evaluation.report", "evaluation.figures"] if evaluate else []
    gc.disable()  # the import creates many objects and frees few
    with progress("loading PyTorch"):
        for module in [*modules, "train"]:
            import_module(f"training.{module}")
    gc.enable()


def _list_figures(options: Options, dataset: Dataset) -> "ListFigures | None":
    """Return the figures of the list for --evaluate; None without that option."""
    if dataset.split is None:
        return None
    from training.evaluation.figures import ListFigures  # imports torch

    return ListFigures.of(dataset.counted, dataset.split, options.positions)


def _print_list(options: Options, dataset: Dataset) -> None:
    """Print the warnings about the list, its size, and the header of the table."""
    source = dataset.counted.source
    for warning in [*size_warnings(source, dataset.lexicon), *dataset.warnings]:
        print(f"warning: {dataset.counted.name}: {warning}", file=sys.stderr)
    print(list_line(source, dataset.counted.vocabulary), header(options.evaluate), sep="\n")


def _train_model(
    name: str,
    options: Options,
    dataset: Dataset,
    list_figures: "ListFigures | None",
    stopwatch: Stopwatch,
) -> "ModelFigures | None":
    """Train a model, write its checkpoint, print its row, and return its figures, if any."""
    from training.train import train

    vocabulary, counts = dataset.counted.vocabulary, dataset.counted.counts
    trained = train(name, vocabulary, counts, options.positions, options.recipe)
    clamped_counts = clamp(shorten(counts, ARCHITECTURES[name].order), options.positions)
    chain = compile_chain(trained.model)
    with progress(f"{name}, likelihood of the list"):
        provenance = _provenance(trained, chain, clamped_counts, dataset.counted.source)
    with progress(f"{name}, percentiles", "lengths") as phase:
        percentiles = estimate_percentiles(chain, phase)
    path = checkpoint_path(options.out, name)
    payload = dump(trained.model, provenance, dataset.lexicon, percentiles)
    write_atomically(path, payload)
    figures = None
    if list_figures:
        figures = _evaluate_model(
            options, dataset, list_figures, trained, chain, clamped_counts, payload
        )
    held_out = figures.evaluation.nll if figures else None
    print(model_row(trained.model, provenance, held_out, stopwatch.lap(), path), flush=True)
    if provenance.nll > math.log(len(vocabulary)):
        print(
            f"warning: {name} predicts worse than a uniform guess; use --recipe converged",
            file=sys.stderr,
        )
    return figures


def _provenance(
    trained: "TrainedModel", chain: MarkovChain, counts: ContextCounts, source: TrainingList
) -> Provenance:
    return Provenance(
        recipe=trained.recipe.name,
        penalty=trained.recipe.penalty,
        loss=trained.losses[-1],
        nll=nll(chain, counts),
        source=source,
        trained_at=datetime.now(UTC).isoformat(timespec="seconds"),
        trained_with=software_versions(),
    )


def _evaluate_model(
    options: Options,
    dataset: Dataset,
    list_figures: "ListFigures",
    trained: "TrainedModel",
    chain: MarkovChain,
    counts: ContextCounts,
    payload: bytes,
) -> "ModelFigures":
    """Predict held-out names by a model fitted on the others, and compute all figures."""
    from training.evaluation.figures import ModelFigures

    assert dataset.split is not None
    name, vocabulary = trained.model.feature_map.architecture, dataset.counted.vocabulary
    evaluation = evaluate(name, dataset.split, vocabulary, options.positions, options.recipe)
    with progress(f"{name}, samples for the report"):
        return ModelFigures.of(trained, load(payload), chain, evaluation, list_figures, counts)


def _write_report(
    folder: Path, list_figures: "ListFigures", figures: "Sequence[ModelFigures | None]"
) -> Path:
    from training.evaluation.report import write_report

    with progress("report"):
        return write_report(folder, list_figures, [each for each in figures if each])


def main(arguments: Sequence[str] | None = None, started: float | None = None) -> int:
    """Run the job and return its exit status.

    2 for an invalid command, list or folder, or too little memory; 130 for Ctrl+C

    started: when the job began, by `time.perf_counter`; None for now
    """
    try:
        run(parse_options(arguments), Stopwatch(perf_counter() if started is None else started))
    except NameListError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    except OSError as error:
        path = f"{error.filename}: " if error.filename else ""
        print(f"error: {path}{error.strerror}", file=sys.stderr)
        return 2
    except MemoryError:
        print("error: not enough memory for this list", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        return 130
    return 0


if __name__ == "__main__":
    status = main(started=training.START_TIME)
    gc.freeze()  # saves 0.4 s at exit: the interpreter does not scan all objects of torch
    sys.exit(status)
