"""python -m benchmarks [FILE]: measure on a list of names, the embedded one by default."""

import io
import os
import sys
import tempfile
from contextlib import redirect_stdout
from pathlib import Path

from benchmarks import fitting, naming, rates, serving, startup
from benchmarks.load import CONNECTIONS
from benchmarks.measure import HEADER
from models.checkpoint import load
from training.__main__ import main as train
from training.arguments import EMBEDDED_LIST
from training.names import read_names


def main() -> None:
    """Print the table, each row when it is measured."""
    data = sys.argv[1] if len(sys.argv) > 1 else str(EMBEDDED_LIST)
    names = read_names(data)
    print(f"{names.name}, {os.cpu_count()} cores; the baseline is the post's code\n\n{HEADER}")
    with tempfile.TemporaryDirectory() as folder:
        with redirect_stdout(io.StringIO()):
            train(["--data", data, "--out", folder])
        model = load(Path(folder, "positional.safetensors").read_bytes()).model
        for rows in (
            startup.compare(Path(folder)),
            naming.compare(model, names.names),
            fitting.compare(names.names),
        ):
            for row in rows:
                print(row, flush=True)
        print(
            f"\nThe same service, the baseline is positional and in its place fivegram\n\n{HEADER}"
        )
        for row in serving.compare(Path(folder)):
            print(row, flush=True)
        print(
            f"\nPOST /sample over {CONNECTIONS} connections; the baseline is a plain route"
            f" of the same app\n\n{HEADER}"
        )
        for row in rates.compare(Path(folder)):
            print(row, flush=True)


if __name__ == "__main__":
    main()
