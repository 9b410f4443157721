"""Metrics of a running service: reloads of checkpoints, and waiting for a condition."""

import time
from collections.abc import Callable

from tests.support.http.server import PATIENCE, Server


def comes_true(condition: Callable[[], object]) -> bool:
    """Poll a condition until it holds; return whether it did within PATIENCE seconds."""
    deadline = time.monotonic() + PATIENCE
    while not (holds := condition()) and time.monotonic() < deadline:
        time.sleep(0.02)
    return bool(holds)


def metric(server: Server, series: str) -> float:
    """Return the value of a series, written with its labels as in `/metrics`."""
    for line in server.get("/metrics").text.splitlines():
        if line.startswith(f"{series} "):
            return float(line.rpartition(" ")[2])
    raise AssertionError(f"no series {series}")


def loaded(server: Server) -> float:
    """Return the number of checkpoint files loaded since the start."""
    return metric(server, 'moniker_reloads_total{result="loaded"}')


def failed(server: Server) -> float:
    """Return the number of checkpoint files that could not be loaded since the start."""
    return metric(server, 'moniker_reloads_total{result="failed"}')
