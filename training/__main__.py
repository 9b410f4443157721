"""python -m training: read a list of names, count it, fit each model, write its checkpoint."""

import math
import sys
from collections.abc import Sequence
from datetime import UTC, datetime
from time import perf_counter

from models.chain import compile_chain
from models.checkpoint import Record, Source, dump
from models.counts import clamp
from models.features import ARCHITECTURES, Layout
from models.linear import LinearModel
from models.scoring import nll
from training.arguments import Arguments, parse
from training.files import write_whole
from training.names import NameListError, read_names
from training.report import HEADER, row, summary, versions


def run(job: Arguments) -> None:
    """Do the job. Raises NameListError or OSError, each naming a file."""
    names = read_names(job.data, job.keep_case)
    from models.fitting import POST, fit  # imports torch, which takes seconds: read the list first

    vocabulary = names.vocabulary
    layouts = {
        name: Layout(ARCHITECTURES[name], len(vocabulary), job.positions) for name in job.models
    }
    order = max(layout.order for layout in layouts.values())
    counts = clamp(names.counts(order), job.positions)
    source = Source(names.name, len(names), counts.total, names.sha256)
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
