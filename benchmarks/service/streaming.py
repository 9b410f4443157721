"""A million names in a stream, and one name for somebody else meanwhile."""

import http.client
import time
from collections.abc import Iterator
from multiprocessing import Queue, get_context
from pathlib import Path
from statistics import quantiles

from benchmarks.measure import Row
from benchmarks.service.serving import FIVEGRAM, POSITIONAL, ask, service

MANY = 1_000_000
PAUSE = 0.002  # seconds between two of the requests for one name
READ = 2**20  # bytes at once


def compare(checkpoints: Path) -> Iterator[Row]:
    """Names a second for the one, the 99th percentile of the seconds for the other."""
    with service(checkpoints) as (connection, _):
        runs = [_run(connection, model) for model in (POSITIONAL, FIVEGRAM)]
    (one, one_alongside), (other, other_alongside) = runs
    yield Row(f"/sample of {MANY:,} as text", MANY / one, MANY / other, "names/s")
    yield Row("a name meanwhile, 99th percentile", one_alongside, other_alongside, "s")


def _run(connection: http.client.HTTPConnection, model: str) -> tuple[float, float]:
    """Seconds that the stream takes, and the 99th percentile of those for a name meanwhile."""
    ask(connection, f"/sample?model={model}")  # so that the wish is known
    context = get_context("spawn")  # a process of its own, not to hold up this one
    told: Queue[float] = context.Queue()
    reader = context.Process(target=_read, args=(connection.host, connection.port, model, told))
    reader.start()
    told.get()  # the reader is about to ask
    seconds = []
    while told.empty():
        started = time.perf_counter()
        ask(connection, "/sample?n=1")
        seconds.append(time.perf_counter() - started)
        time.sleep(PAUSE)
    reader.join()
    return told.get(), quantiles(seconds, n=100)[-1]


def _read(host: str, port: int, model: str, told: "Queue[float]") -> None:
    connection = http.client.HTTPConnection(host, port)
    told.put(0.0)
    started, lines = time.perf_counter(), 0
    connection.request("GET", f"/sample?n={MANY}&model={model}", headers={"Accept": "text/plain"})
    reply = connection.getresponse()
    while block := reply.read(READ):
        lines += block.count(b"\n")
    if lines != MANY:
        raise RuntimeError(f"{lines} names came")
    told.put(time.perf_counter() - started)
