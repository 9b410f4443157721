"""python -m benchmarks [FILE]: speed on a list of names, by default the embedded one."""

import io
import os
import sys
import tempfile
from collections.abc import Iterator
from contextlib import redirect_stdout
from itertools import chain
from pathlib import Path

from benchmarks.detection import peers
from benchmarks.measure import HEADER, Row
from benchmarks.models import fitting, sampling
from benchmarks.service import (
    constraints,
    layers,
    overload,
    rates,
    serving,
    startup,
    streaming,
)
from benchmarks.service.load import CONNECTIONS
from models.checkpoint import load
from training.__main__ import main as train
from training.cli import EMBEDDED_LIST
from training.lists.name_list import read_names


def main() -> None:
    """Print the tables, each row as soon as it is measured."""
    data = sys.argv[1] if len(sys.argv) > 1 else str(EMBEDDED_LIST)
    names = read_names(data)
    print(f"{names.name}, {os.cpu_count()} cores")
    with tempfile.TemporaryDirectory() as folder:
        with redirect_stdout(io.StringIO()):
            train(["--data", data, "--out", folder])
        bigram, model, fivegram = (
            load(Path(folder, f"{name}.safetensors").read_bytes()).model
            for name in ("bigram", "positional", "fivegram")
        )
        tables: dict[str, tuple[Iterator[Row], ...]] = {
            "The baseline is the post's code": (
                startup.compare(Path(folder)),
                sampling.compare(model, names.names),
                fitting.compare(names.names),
            ),
            "Constrained names; the baseline is rejection sampling": (
                constraints.compare(model, fivegram),
            ),
            "The service with fivegram; the baseline is the service with positional": (
                serving.compare(Path(folder)),
                streaming.compare(Path(folder)),
            ),
            f"POST /sample over {CONNECTIONS} connections, log and metrics on; the baseline is a "
            "route that computes nothing": (rates.compare(Path(folder)),),
            "What each layer adds to GET /sample; the baseline is all of them": (
                layers.compare(Path(folder)),
            ),
            f"A flood of GET {overload.BIG}, {overload.FACTOR} times as many as can be answered; "
            "the baseline is before it": (overload.compare(Path(folder)),),
        }
        if missing := peers.missing("kenlm"):
            print(f"KenLM is left out: {missing}.")
        else:
            title = "Log-likelihoods of positional; the baseline is KenLM with those of bigram"
            tables[title] = (sampling.against_kenlm(bigram, model, names.names),)
        for title, parts in tables.items():
            print(f"\n{title}\n\n{HEADER}")
            for row in chain.from_iterable(parts):
                print(row, flush=True)


if __name__ == "__main__":
    main()
