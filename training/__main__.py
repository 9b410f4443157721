"""python -m training: read a list of names, count it, fit each model, write its checkpoint."""

import math
import sys
from collections.abc import Sequence
from datetime import UTC, datetime
from time import perf_counter

from models.chain import compile_chain
from models.checkpoint import Record, dump
from models.counts import clamp, shorten
from models.features import ARCHITECTURES, Layout
from models.linear import LinearModel
from models.scoring import nll
from training.arguments import Arguments, parse
from training.counting import DEEPEST, Counted, count_names
from training.files import write_whole
from training.names import NameListError, read_names
from training.report import HEADER, row, summary, versions


def run(job: Arguments) -> None:
    """Do the job. Raises NameListError or OSError, each naming a file."""
    order = max(feature.last for name in job.models for feature in ARCHITECTURES[name])
    counted = _read(job, DEEPEST if job.write_counts else order)
    if job.write_counts:
        from training.tables import write_table  # imports pyarrow, which takes a while

        write_table(job.write_counts, counted)
    from models.fitting import POST, fit  # imports torch, which takes seconds: read the list first

    vocabulary, source = counted.vocabulary, counted.source
    layouts = {
        name: Layout(ARCHITECTURES[name], len(vocabulary), job.positions) for name in job.models
    }
    counts = clamp(shorten(counted.counts, order), job.positions)
    print(summary(source, vocabulary), HEADER, sep="\n")

    job.out.mkdir(parents=True, exist_ok=True)
    for name, layout in layouts.items():
        started = perf_counter()
        fitted = fit(counts, layout, POST)
        seconds = perf_counter() - started
        model = LinearModel(name, vocabulary, job.positions, fitted.weights)
        record = Record(
            recipe=POST.name,
            loss=fitted.losses[-1],
            nll=nll(compile_chain(model), counts),
            source=source,
            trained_at=datetime.now(UTC).isoformat(timespec="seconds"),
            trained_with=versions(),
        )
        path = job.out / f"{name}.safetensors"
        write_whole(path, dump(model, record))
        print(row(model, record, seconds, path))
        if record.nll > math.log(len(vocabulary)):
            print(f"warning: {name} predicts worse than chance", file=sys.stderr)


def _read(job: Arguments, order: int) -> Counted:
    """The counts of the list, or those of the table in its place."""
    if job.counts is None:
        return count_names(read_names(job.data, job.keep_case), order)
    from training.tables import read_table

    return read_table(job.counts, job.keep_case)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the job; the exit status is 2 for a command, a list or a folder that cannot be used."""
    try:
        run(parse(arguments))
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
    sys.exit(main())
