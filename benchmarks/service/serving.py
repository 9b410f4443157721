"""Latency of requests over one connection: `fivegram` against `positional`."""

import http.client
import json
import os
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from benchmarks.measure import Row, interleaved

POSITIONAL, FIVEGRAM = "positional", "fivegram"
ROUNDS = 500
MANY = 10_000
LINES = 100_000  # of a list that is scored as text


def compare(checkpoints: Path) -> Iterator[Row]:
    """Yield seconds from a request to its reply. /healthz shows the overhead of any request."""
    with service(checkpoints) as (connection, _):
        names = json.loads(send(connection, "/sample?n=1000&seed=1"))["names"]

        def sample(number: int, model: str) -> Callable[[], bytes]:
            return lambda: send(connection, f"/sample?n={number}&model={model}")

        def new_constraints(model: str) -> Callable[[], bytes]:
            longest = iter(range(32, 64))
            return lambda: send(connection, f"{_constrained(model)}&max_length={next(longest)}")

        def cached_constraints(model: str) -> Callable[[], bytes]:
            return lambda: send(connection, _constrained(model))

        def score(model: str) -> Callable[[], bytes]:
            body = json.dumps({"names": names, "model": model})
            return lambda: send(connection, "/score", body)

        def score_lines(model: str) -> Callable[[], bytes]:
            lines = "\n".join(names * (LINES // len(names)))
            return lambda: send(connection, f"/score?model={model}", lines, "text/plain")

        for _ in range(ROUNDS):  # warm-up
            sample(10, FIVEGRAM)()
        (bare,) = interleaved(lambda: send(connection, "/healthz"), rounds=ROUNDS)
        yield Row("/healthz", bare, bare, "s")
        first, second = interleaved(sample(10, POSITIONAL), sample(10, FIVEGRAM), rounds=ROUNDS)
        yield Row("/sample of 10 names", first, second, "s")
        first, second = interleaved(
            new_constraints(POSITIONAL), new_constraints(FIVEGRAM), rounds=20
        )
        yield Row("the same with new constraints", first, second, "s")
        first, second = interleaved(
            cached_constraints(POSITIONAL), cached_constraints(FIVEGRAM), rounds=ROUNDS
        )
        yield Row("the same with cached constraints", first, second, "s")
        first, second = interleaved(sample(MANY, POSITIONAL), sample(MANY, FIVEGRAM), rounds=20)
        yield Row("/sample of 10,000 names", MANY / first, MANY / second, "names/s")
        first, second = interleaved(score(POSITIONAL), score(FIVEGRAM), rounds=50)
        yield Row("/score of 1,000 names", len(names) / first, len(names) / second, "names/s")
        first, second = interleaved(score_lines(POSITIONAL), score_lines(FIVEGRAM), rounds=20)
        yield Row(f"/score of {LINES:,} as text", LINES / first, LINES / second, "names/s")


def _constrained(model: str) -> str:
    return f"/sample?n=10&model={model}&pattern=ka*lyn"


def send(
    connection: http.client.HTTPConnection,
    path: str,
    body: str | None = None,
    media: str = "application/json",
) -> bytes:
    """Return the body of a reply. Raises RuntimeError if its status is not 200."""
    headers = {"Content-Type": media} if body else {}
    connection.request("POST" if body else "GET", path, body, headers)
    reply = connection.getresponse()
    content = reply.read()
    if reply.status != http.client.OK:
        raise RuntimeError(content.decode())
    return content


@contextmanager
def service(checkpoints: Path) -> Iterator[tuple[http.client.HTTPConnection, int]]:
    """Yield a connection to a service with these checkpoints, and its port."""
    settings = {"MONIKER_CHECKPOINTS": str(checkpoints), "MONIKER_PORT": "0"}
    # A file, not a pipe, which would fill up.
    with tempfile.NamedTemporaryFile() as log:
        command = [sys.executable, "-m", "service"]
        with subprocess.Popen(command, env=os.environ | settings, stderr=log) as process:
            try:
                port = _port(process, Path(log.name))
                yield http.client.HTTPConnection("127.0.0.1", port), port
            finally:
                process.terminate()


def _port(process: "subprocess.Popen[bytes]", log: Path) -> int:
    """Wait until a service listens, and return its port from its log."""
    while not (match := re.search(r"running on http://[\d.]+:(\d+)", log.read_text())):
        if process.poll() is not None:
            raise RuntimeError(log.read_text())
        time.sleep(0.01)
    return int(match[1])
