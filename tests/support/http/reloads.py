"""How often a service has loaded checkpoints, and waiting until it has."""

import time
from collections.abc import Callable

from tests.support.http.server import PATIENCE, Server


def comes_true(what: Callable[[], object]) -> bool:
    """Whether something holds before patience ends."""
    deadline = time.monotonic() + PATIENCE
    while not (holds := what()) and time.monotonic() < deadline:
        time.sleep(0.02)
    return bool(holds)


def metric(server: Server, series: str) -> float:
    for line in server.get("/metrics").text.splitlines():
        if line.startswith(f"{series} "):
            return float(line.rpartition(" ")[2])
    raise AssertionError(f"there is no {series}")


def loaded(server: Server) -> float:
    return metric(server, 'moniker_reloads_total{result="loaded"}')


def failed(server: Server) -> float:
    return metric(server, 'moniker_reloads_total{result="failed"}')
