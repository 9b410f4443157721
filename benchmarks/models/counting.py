"""python -m benchmarks.models.counting [FILE]: the training job on 10 million names.

The names are drawn from the positional model of the list in FILE, by default the embedded one. The
job reads them and fits in a process of its own. Takes half a minute.
"""

import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

from models.chain.conditioning import condition
from models.chain.markov_chain import compile_chain
from models.checkpoint import load
from models.constraints.constraints import Constraints
from models.queries.sampling import Sampler
from training.cli import EMBEDDED_LIST
from training.counts.counting import MAX_ORDER, count_names
from training.lists.name_list import read_names

NAMES = 10_000_000
BATCH_NAMES = 100_000  # drawn and written at once


def main() -> None:
    """Print names per second on one core, and the memory of the job, torch included."""
    with tempfile.TemporaryDirectory() as folder:
        data, out = str(Path(folder, "names.txt")), str(Path(folder, "out"))
        source = sys.argv[1] if len(sys.argv) > 1 else str(EMBEDDED_LIST)
        _train("--data", source, "--out", out, "--models", "positional")
        _write_names(Path(data), Path(out, "positional.safetensors"))
        seconds = _train("--data", data, "--out", out, "--models", "positional")
        # The maximum of both children: this one, and the smaller one on the short list.
        peak = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss * 1024
        print(f"the job, start to end: {seconds:.1f} s, at most {peak / 1e6:,.0f} MB")
        for order in (1, MAX_ORDER):
            started = time.process_time()
            counted = count_names(read_names(data), order)
            seconds = time.process_time() - started
            rows = len(counted.counts.counts)
            print(
                f"read and count {NAMES:,} names, history of {order}: "
                f"{NAMES / seconds:,.0f} per second, {rows:,} distinct transitions"
            )


def _train(*arguments: str) -> float:
    """Run the job and return its seconds."""
    started = time.perf_counter()
    subprocess.run(
        [sys.executable, "-m", "training", *arguments], check=True, stdout=subprocess.DEVNULL
    )
    return time.perf_counter() - started


def _write_names(data: Path, checkpoint: Path) -> None:
    """Write NAMES names of a checkpoint, one per line."""
    model = load(checkpoint.read_bytes()).model
    sampler = Sampler(condition(compile_chain(model), Constraints()))
    generator = np.random.default_rng(1)
    with data.open("w", encoding="utf-8") as file:
        for _ in range(0, NAMES, BATCH_NAMES):
            file.writelines(f"{name}\n" for name in sampler.draw(BATCH_NAMES, generator))


if __name__ == "__main__":
    main()
