"""A stream of a million names, and the latency of other requests meanwhile."""

import http.client
import time
from collections.abc import Iterator
from multiprocessing import Queue, get_context
from pathlib import Path
from statistics import quantiles

from benchmarks.measure import Row
from benchmarks.service.serving import FIVEGRAM, POSITIONAL, send, service

MANY = 1_000_000
PAUSE = 0.002  # seconds between two requests for one name
READ = 2**20  # bytes of each read


def compare(checkpoints: Path) -> Iterator[Row]:
    """Yield names per second of the stream, and the 99th percentile latency of the others."""
    with service(checkpoints) as (connection, _):
        runs = [_run(connection, model) for model in (POSITIONAL, FIVEGRAM)]
    (first, first_latency), (second, second_latency) = runs
    yield Row(f"/sample of {MANY:,} as text", MANY / first, MANY / second, "names/s")
    yield Row("a name meanwhile, 99th percentile", first_latency, second_latency, "s")


def _run(connection: http.client.HTTPConnection, model: str) -> tuple[float, float]:
    """Return the seconds of the stream, and the 99th percentile latency of other requests."""
    send(connection, f"/sample?model={model}")  # warm-up
    context = get_context("spawn")  # its own process, so as not to block this one
    results: Queue[float] = context.Queue()
    reader = context.Process(target=_read, args=(connection.host, connection.port, model, results))
    reader.start()
    results.get()  # the reader is about to send its request
    seconds = []
    while results.empty():
        started = time.perf_counter()
        send(connection, "/sample?n=1")
        seconds.append(time.perf_counter() - started)
        time.sleep(PAUSE)
    reader.join()
    return results.get(), quantiles(seconds, n=100)[-1]


def _read(host: str, port: int, model: str, results: "Queue[float]") -> None:
    connection = http.client.HTTPConnection(host, port)
    results.put(0.0)
    started, lines = time.perf_counter(), 0
    connection.request("GET", f"/sample?n={MANY}&model={model}", headers={"Accept": "text/plain"})
    reply = connection.getresponse()
    while block := reply.read(READ):
        lines += block.count(b"\n")
    if lines != MANY:
        raise RuntimeError(f"expected {MANY} names, got {lines}")
    results.put(time.perf_counter() - started)
