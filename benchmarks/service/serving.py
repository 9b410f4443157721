"""Requests to a running service: `fivegram` against `positional`, over one connection."""

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
    """Seconds from a request to its reply; /healthz tells what any request takes."""
    with service(checkpoints) as (connection, _):
        names = json.loads(ask(connection, "/sample?n=1000&seed=1"))["names"]

        def sample(number: int, model: str) -> Callable[[], bytes]:
            return lambda: ask(connection, f"/sample?n={number}&model={model}")

        def new_wish(model: str) -> Callable[[], bytes]:
            longest = iter(range(32, 64))
            return lambda: ask(connection, f"{_wish(model)}&max_length={next(longest)}")

        def known_wish(model: str) -> Callable[[], bytes]:
            return lambda: ask(connection, _wish(model))

        def score(model: str) -> Callable[[], bytes]:
            body = json.dumps({"names": names, "model": model})
            return lambda: ask(connection, "/score", body)

        def pipe(model: str) -> Callable[[], bytes]:
            lines = "\n".join(names * (LINES // len(names)))
            return lambda: ask(connection, f"/score?model={model}", lines, "text/plain")

        for _ in range(ROUNDS):  # so that the service has been asked before
            sample(10, FIVEGRAM)()
        (bare,) = interleaved(lambda: ask(connection, "/healthz"), rounds=ROUNDS)
        yield Row("/healthz", bare, bare, "s")
        one, other = interleaved(sample(10, POSITIONAL), sample(10, FIVEGRAM), rounds=ROUNDS)
        yield Row("/sample of 10 names", one, other, "s")
        one, other = interleaved(new_wish(POSITIONAL), new_wish(FIVEGRAM), rounds=20)
        yield Row("the same of a new wish", one, other, "s")
        one, other = interleaved(known_wish(POSITIONAL), known_wish(FIVEGRAM), rounds=ROUNDS)
        yield Row("the same of a known wish", one, other, "s")
        one, other = interleaved(sample(MANY, POSITIONAL), sample(MANY, FIVEGRAM), rounds=20)
        yield Row("/sample of 10,000 names", MANY / one, MANY / other, "names/s")
        one, other = interleaved(score(POSITIONAL), score(FIVEGRAM), rounds=50)
        yield Row("/score of 1,000 names", len(names) / one, len(names) / other, "names/s")
        one, other = interleaved(pipe(POSITIONAL), pipe(FIVEGRAM), rounds=20)
        yield Row(f"/score of {LINES:,} as text", LINES / one, LINES / other, "names/s")


def _wish(model: str) -> str:
    return f"/sample?n=10&model={model}&pattern=ka*lyn"


def ask(
    connection: http.client.HTTPConnection,
    path: str,
    body: str | None = None,
    media: str = "application/json",
) -> bytes:
    """The content of a reply that must be good."""
    headers = {"Content-Type": media} if body else {}
    connection.request("POST" if body else "GET", path, body, headers)
    reply = connection.getresponse()
    content = reply.read()
    if reply.status != http.client.OK:
        raise RuntimeError(content.decode())
    return content


@contextmanager
def service(checkpoints: Path) -> Iterator[tuple[http.client.HTTPConnection, int]]:
    """A connection to a service of these checkpoints, and its port."""
    settings = {"MONIKER_CHECKPOINTS": str(checkpoints), "MONIKER_PORT": "0"}
    # A file, not a pipe: nobody reads the lines that each request makes.
    with tempfile.NamedTemporaryFile() as log:
        command = [sys.executable, "-m", "service"]
        with subprocess.Popen(command, env=os.environ | settings, stderr=log) as process:
            try:
                port = _port(process, Path(log.name))
                yield http.client.HTTPConnection("127.0.0.1", port), port
            finally:
                process.terminate()


def _port(process: "subprocess.Popen[bytes]", log: Path) -> int:
    """Where a service that writes this log listens, as soon as it does."""
    while not (found := re.search(r"running on http://[\d.]+:(\d+)", log.read_text())):
        if process.poll() is not None:
            raise RuntimeError(log.read_text())
        time.sleep(0.01)
    return int(found[1])
