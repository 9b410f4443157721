"""The start of the service, against `import torch` alone."""

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from statistics import median

from benchmarks.measure import Row

ROUNDS = 5


def compare(checkpoints: Path) -> Iterator[Row]:
    """Yield seconds and resident memory, as medians of interleaved runs."""
    runs = [(_torch(), _service(checkpoints)) for _ in range(ROUNDS)]
    for task, unit, index in [("import torch / service ready", "s", 0), ("resident", "MB", 1)]:
        baseline = median(torch[index] for torch, _ in runs)
        moniker = median(service[index] for _, service in runs)
        yield Row(task, baseline, moniker, unit)


def _torch() -> tuple[float, float]:
    program = "import torch; print('ready', flush=True); input()"
    return _start([sys.executable, "-c", program], "ready", dict(os.environ))


def _service(checkpoints: Path) -> tuple[float, float]:
    settings = {"MONIKER_CHECKPOINTS": str(checkpoints), "MONIKER_PORT": "0"}
    # The service logs this line when it listens with its models loaded.
    return _start([sys.executable, "-m", "service"], "running on", os.environ | settings)


def _start(command: list[str], ready: str, environment: dict[str, str]) -> tuple[float, float]:
    """Return the seconds until a process prints `ready`, and its resident megabytes then."""
    started = time.perf_counter()
    with subprocess.Popen(
        command,
        env=environment,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    ) as process:
        assert process.stdout is not None
        for line in process.stdout:
            if ready in line:
                break
        seconds = time.perf_counter() - started
        status = Path(f"/proc/{process.pid}/status").read_text(encoding="utf-8")
        process.terminate()
    (resident,) = [line.split()[1] for line in status.splitlines() if line.startswith("VmRSS")]
    return seconds, int(resident) / 1024
