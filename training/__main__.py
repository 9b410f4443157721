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
from models.arrays import array_dataclass
from models.chain.markov_chain import MarkovChain, compile_chain
from models.checkpoint import dump, load
from models.counts.context_counts import ContextCounts, clamp, shorten
from models.linear.features import ARCHITECTURES, MAX_TOKENS
from models.provenance import Provenance, TrainingList, size_warnings
from models.scoring.likelihoods import nll
from models.scoring.percentile_estimation import estimate_percentiles
from models.text.lexicon import Lexicon
from training.atomic_files import checkpoint_path, write_whole
from training.cli import Options, parse
from training.console import header, phase, row, summary, versions
from training.counts.counting import DEEPEST, Counted, count_names
from training.evaluation.held_out import Split, evaluate, split
from training.lists.name_list import NameList, NameListError, read_names
from training.progress import progress
from training.stopwatch import Stopwatch
from training.up_to_date import outdated

if TYPE_CHECKING:
    from training.evaluation.figures import ListFigures, ModelFigures
    from training.train import TrainedModel


@array_dataclass
class ListRead:
    """A list that was read.

    roster: its distinct names, none where they are not known
    parts: what --evaluate fits on and what it predicts; None without it
    warnings: about the list, each one line
    """

    counted: Counted
    lexicon: Lexicon
    parts: Split | None
    warnings: Sequence[str]


def run(job: Options, stopwatch: Stopwatch) -> None:
    """Do the job. Raises NameListError or OSError, each naming a file."""
    starting = stopwatch.lap()
    read = _read(job)
    if job.write_counts:
        _write_counts(job.write_counts, read.counted)
    models = _models_to_train(job, read.counted)
    if not models:
        return
    reading = stopwatch.lap()
    # Last, because it takes seconds: an error in the list is reported before.
    _load_torch()
    starting += stopwatch.lap()
    from training.evaluation.figures import ListFigures

    facts = ListFigures.of(read.counted, read.parts, job.positions) if read.parts else None
    _print_list(job, read)
    print(phase("start", job.evaluate, starting))
    print(phase("list", job.evaluate, reading + stopwatch.lap()), flush=True)
    job.out.mkdir(parents=True, exist_ok=True)
    findings = [_train(job, read, facts, name, stopwatch) for name in models]
    if facts:
        path = _write_report(job, facts, findings)
        print(phase("report", job.evaluate, stopwatch.lap(), path))
    print(phase("total", job.evaluate, stopwatch.total))


def _read(job: Options) -> ListRead:
    """Read and count the list."""
    with progress("reading the list"):
        names = read_names(job.data, job.keep_case, job.turkish) if job.counts is None else None
        parts = split(names) if names and job.evaluate else None
        # Gathered before the counts, which then take up the memory that this leaves free.
        lexicon = Lexicon.of_lines(names.vocabulary, names.text) if names else None
        counted = _count(job, names)
    # A table of counts has no names.
    lexicon = lexicon or Lexicon.of(counted.vocabulary, [])
    return ListRead(counted, lexicon, parts, names.warnings if names else ())


def _write_counts(path: Path, counted: Counted) -> None:
    from training.counts.counts_table import write_table  # imports pyarrow, which takes a while

    with progress("writing the counts"):
        write_table(path, counted)


def _load_torch() -> None:
    """Import the modules that need PyTorch, so that the time is not charged to a model."""
    gc.disable()  # while thousands of objects are made that stay
    with progress("loading PyTorch"):
        for module in (
            "training.evaluation.report",
            "training.evaluation.figures",
            "training.train",
        ):
            import_module(module)
    gc.enable()


def _print_list(job: Options, read: ListRead) -> None:
    """Print the warnings about the list, its size, and the header of the table."""
    source = read.counted.source
    for warning in [*size_warnings(source, read.lexicon), *read.warnings]:
        print(f"warning: {read.counted.name}: {warning}", file=sys.stderr)
    print(summary(source, read.counted.vocabulary), header(job.evaluate), sep="\n")


def _train(
    job: Options, read: ListRead, facts: "ListFigures | None", name: str, stopwatch: Stopwatch
) -> "ModelFigures | None":
    """Train a model, write its checkpoint and print its row; returns what --evaluate found."""
    from training.train import train

    vocabulary, counts = read.counted.vocabulary, read.counted.counts
    trained = train(name, vocabulary, counts, job.positions, job.recipe)
    shown = clamp(shorten(counts, ARCHITECTURES[name].order), job.positions)
    chain = compile_chain(trained.model)
    with progress(f"{name}, likelihood of the list"):
        provenance = _provenance(trained, chain, shown, read.counted.source)
    with progress(f"{name}, percentiles", "lengths") as watch:
        table = estimate_percentiles(chain, watch)
    path = checkpoint_path(job.out, name)
    payload = dump(trained.model, provenance, read.lexicon, table)
    write_whole(path, payload)
    finding = _evaluate(job, read, facts, trained, payload, shown) if facts else None
    held_out = finding.evaluation.nll if finding else None
    print(row(trained.model, provenance, held_out, stopwatch.lap(), path), flush=True)
    if provenance.nll > math.log(len(vocabulary)):
        print(f"warning: {name} predicts worse than chance", file=sys.stderr)
    return finding


def _evaluate(
    job: Options,
    read: ListRead,
    facts: "ListFigures",
    trained: "TrainedModel",
    payload: bytes,
    shown: ContextCounts,
) -> "ModelFigures":
    """Fit the architecture on a part of the list, predict the rest, and sample its names."""
    from training.evaluation.figures import find

    assert read.parts is not None
    name, vocabulary = trained.model.feature_map.architecture, read.counted.vocabulary
    evaluation = evaluate(name, read.parts, vocabulary, job.positions, job.recipe)
    with progress(f"{name}, samples for the report"):
        return find(trained, load(payload), evaluation, facts, shown)


def _write_report(
    job: Options, facts: "ListFigures", findings: "list[ModelFigures | None]"
) -> Path:
    from training.evaluation.report import write_report

    with progress("report"):
        return write_report(job.out, facts, [finding for finding in findings if finding])


def _models_to_train(job: Options, counted: Counted) -> list[str]:
    """The models of the job, without those that are up to date with --if-changed."""
    models = outdated(job, counted.source) if job.if_changed else job.models
    for name in job.models:
        if name not in models:
            print(f"{name}: {checkpoint_path(job.out, name)} is up to date, not trained again")
    return models


def _count(job: Options, names: NameList | None) -> Counted:
    """The counts of the names or, if there are none, those of the table."""
    if names:
        counted = count_names(names, _order(job, len(names.vocabulary)))
    else:
        from training.counts.counts_table import read_table

        assert job.counts is not None
        counted = read_table(job.counts, job.keep_case, job.turkish)
    if len(counted.vocabulary) > MAX_TOKENS:
        characters, most = len(counted.vocabulary) - 1, MAX_TOKENS - 1
        raise NameListError(
            f"{counted.name}: {characters:,} different characters, a model takes {most:,} at most"
        )
    return counted


def _order(job: Options, tokens: int) -> int:
    """How many of the last characters the counts show."""
    recipes = [job.recipe or ARCHITECTURES[name].recipe_for(tokens) for name in job.models]
    # A recipe that chooses its penalty takes the counts apart into names again.
    if job.write_counts or "converged" in recipes:
        return DEEPEST
    return max(ARCHITECTURES[name].order for name in job.models)


def _provenance(
    trained: "TrainedModel", chain: MarkovChain, counts: ContextCounts, source: TrainingList
) -> Provenance:
    """How a model came about."""
    return Provenance(
        recipe=trained.recipe.name,
        penalty=trained.recipe.penalty,
        loss=trained.losses[-1],
        nll=nll(chain, counts),
        source=source,
        trained_at=datetime.now(UTC).isoformat(timespec="seconds"),
        trained_with=versions(),
    )


def main(arguments: Sequence[str] | None = None, started: float | None = None) -> int:
    """Run the job; the exit status is 2 for a command, a list or a folder that cannot be used.

    started: when the job began, by `time.perf_counter`; now if None
    """
    try:
        run(parse(arguments), Stopwatch(perf_counter() if started is None else started))
    except NameListError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    except OSError as error:
        where = f"{error.filename}: " if error.filename else ""
        print(f"error: {where}{error.strerror}", file=sys.stderr)
        return 2
    except MemoryError:
        print("error: there is not enough memory for this list", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        return 130
    return 0


if __name__ == "__main__":
    status = main(started=training.STARTED)
    gc.freeze()  # else the interpreter goes through all objects of torch before it ends: 0.4 s
    sys.exit(status)
