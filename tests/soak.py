"""python -m tests.soak [SECONDS]: check that a service in use does not grow.

Clients send valid and invalid requests of all kinds to a real service, while its checkpoints are
replaced. After a warm-up its memory, descriptors, threads and metric series must stay constant. No
reply may be a 5xx other than a refusal under overload, and the log must have no traceback.
"""

import http.client
import io
import json
import random
import shutil
import socket
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable
from contextlib import redirect_stdout
from dataclasses import dataclass, field
from itertools import cycle
from pathlib import Path
from statistics import median
from typing import TypeAlias

from tests.support.http.server import THRIFTY, Server
from tests.support.versions import DAMAGES, versions
from training.__main__ import main as train
from training.atomic_files import write_atomically
from training.cli import EMBEDDED_LIST

NAMES = 2_000  # of the list: with small models a leak is not hidden by the noise
CLIENTS = 4
PAUSE = 0.02  # seconds between two requests of a client: the service is busy, but not overloaded
IDLE = 1.0  # seconds after which the service may be about to close a connection
REPLACE_INTERVAL = 2.0  # seconds between two changes of checkpoint files
PARTS = 5  # of the time; the first is the warm-up, and the second is compared with the last
TEXT = {"Accept": "text/plain"}
LINES = {"Content-Type": "text/plain"}
SETTINGS = {
    "MONIKER_CACHE_MB": "16",  # full after the warm-up
    "MONIKER_HEADER_SECONDS": "2",
    "MONIKER_BODY_SECONDS": "2",
    **THRIFTY,
}
# Quantity -> its allowed growth: relative, and absolute.
ALLOWED_GROWTH = {
    "resident memory, MB": (0.05, 16.0),
    "descriptors": (0.0, 3.0),
    "threads": (0.0, 1.0),
    "series of /metrics": (0.0, 6 * 17.0),  # those of rare statuses
}


Send: TypeAlias = Callable[[], object]


@dataclass
class Outcomes:
    """The replies and faults that the clients have seen."""

    statuses: Counter[int] = field(default_factory=Counter)
    faults: list[str] = field(default_factory=list)
    over: threading.Event = field(default_factory=threading.Event)

    def reply(self, path: str, reply: http.client.HTTPResponse) -> None:
        """Count a reply. A 5xx is a fault, unless it is a refusal under overload."""
        self.statuses[reply.status] += 1
        shed = reply.status == http.client.SERVICE_UNAVAILABLE and reply.getheader("Retry-After")
        if reply.status >= http.client.INTERNAL_SERVER_ERROR and not shed:
            self.faults.append(f"{reply.status} of {path}")


class Client:
    """A client that sends valid and invalid requests, and sometimes disconnects."""

    def __init__(self, port: int, outcomes: Outcomes, number: int) -> None:
        self._port, self._outcomes = port, outcomes
        self._random = random.Random(number)
        self._connection = self._connect()
        self._last_request = 0.0  # monotonic time

    def run(self) -> None:
        """Send requests until the end."""
        others = [
            self._send_new_constraints, self._stream, self._score_list, self._disconnect,
            self._send_half,
        ]  # fmt: skip
        for send in (*self._valid(), *self._invalid(), *others):  # creates all series
            self._try(send)
        while not self._outcomes.over.wait(PAUSE):
            kinds = (self._valid(), self._valid(), self._invalid(), others)
            self._try(self._random.choice(self._random.choice(kinds)))
        self._connection.close()

    def _try(self, send: Send) -> None:
        try:
            send()
        except Exception as error:
            self._outcomes.faults.append(repr(error))
            self._connection.close()

    def _connect(self) -> http.client.HTTPConnection:
        return http.client.HTTPConnection("127.0.0.1", self._port, timeout=30)

    def _send(
        self,
        path: str,
        body: object = None,
        headers: dict[str, str] | None = None,
        method: str | None = None,
    ) -> bytes:
        defaults = {"Content-Type": "application/json"} if body is not None else {}
        raw = body if isinstance(body, bytes) or body is None else json.dumps(body)
        method = method or ("GET" if body is None else "POST")
        if time.monotonic() - self._last_request > IDLE:
            self._connection.close()  # the next request connects again
        self._connection.request(method, path, raw, defaults | (headers or {}))
        reply = self._connection.getresponse()
        content = reply.read()
        self._outcomes.reply(f"{method} {path}", reply)
        if reply.will_close:
            self._connection.close()
        self._last_request = time.monotonic()
        return content

    def _model(self) -> str:
        return self._random.choice(["bigram", "positional", "sinusoidal", "fivegram"])

    def _valid(self) -> list[Send]:
        model, n = self._model(), self._random.choice([1, 10, 300])
        names = ["emma", "Olivia", "xqzwv", "zoë"]
        return [
            lambda: self._send(f"/sample?n={n}&model={model}"),
            lambda: self._send(f"/sample?n={n}&model={model}&unique=true", headers=TEXT),
            lambda: self._send("/sample", {"n": n, "model": model, "temperature": 0.8}),
            lambda: self._send(f"/top?n=5&model={model}&pattern=ka*"),
            lambda: self._send(f"/lengths?model={model}"),
            lambda: self._send(f"/score?name=emma&name=xqzwv&model={model}"),
            lambda: self._send("/score", {"names": names * 100, "model": model}),
            lambda: self._send("/score", {"names": names, "model": model, "explain": True}),
            lambda: self._send(f"/next?prefix=em&model={model}"),
            lambda: self._send("/models"),
            lambda: self._send(f"/models/{model}"),
            lambda: self._send("/healthz"),
            lambda: self._send("/readyz"),
            lambda: self._send("/openapi.json"),
        ]

    def _invalid(self) -> list[Send]:
        invalid = f"{self._random.random()}"
        return [
            lambda: self._send(f"/{invalid}"),
            lambda: self._send(f"/models/{invalid}"),
            lambda: self._send(f"/sample?{invalid}=1"),
            lambda: self._send(f"/sample?model={invalid}"),
            lambda: self._send("/sample?n=-1"),
            lambda: self._send("/sample?pattern=%3F%3F&min_length=9"),
            lambda: self._send("/sample", method="DELETE"),
            lambda: self._send("/sample", method=f"X{invalid[2:]}"),
            lambda: self._send("/sample", b"{", method="POST"),
            lambda: self._send("/score", b"\xff\xfe", LINES),
            lambda: self._send("/score", b"x", {"Content-Type": invalid}),
            lambda: self._send("/score", {"names": ["x" * 300]}),
            lambda: self._send("/score?name=emma", headers={"Accept": invalid}),
        ]

    def _send_new_constraints(self) -> None:
        letters = "".join(self._random.choices("aeioulmnrs", k=3))
        temperature = 0.5 + self._random.random()
        self._send(f"/sample?model={self._model()}&pattern=*{letters}*&temperature={temperature}")

    def _stream(self) -> None:
        lines = self._send(f"/sample?n=20000&model={self._model()}", headers=TEXT).count(b"\n")
        if lines not in (0, 20_000):  # none if the stream is refused
            self._outcomes.faults.append(f"a stream had {lines} lines")

    def _score_list(self) -> None:
        self._send(f"/score?model={self._model()}", b"emma\nolivia\nxqzwv\n" * 2_000, LINES)

    def _disconnect(self) -> None:
        connection = self._connect()
        try:
            connection.request("GET", "/sample?n=1000000", headers=TEXT)
            reply = connection.getresponse()
            self._outcomes.reply("a stream", reply)
            reply.read(1000)
            if reply.fp:
                reply.close()
        finally:
            connection.close()

    def _send_half(self) -> None:
        half = self._random.choice(
            [
                b"",
                b"GET /sam",
                b"GET /sample HTTP/1.1\r\nHost: x\r\nX-",
                b"POST /score HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
                b'Content-Length: 100\r\n\r\n{"names"',
                b"POST /score HTTP/1.1\r\nHost: x\r\nContent-Type: text/plain\r\n"
                b"Content-Length: 100\r\n\r\nemma\nol",
            ]
        )
        with socket.create_connection(("127.0.0.1", self._port), timeout=30) as connection:
            connection.sendall(half)
            if self._random.random() < 0.1:  # else disconnect
                while connection.recv(4096):
                    pass


class Operator:
    """Replaces checkpoints by other versions, some of which are damaged."""

    def __init__(self, folder: Path, outcomes: Outcomes) -> None:
        self._outcomes = outcomes
        files = sorted(folder.glob("*.safetensors"))
        self._versions = {path: cycle(versions(path.read_bytes(), 3)) for path in files}
        self.replaced = 0

    def run(self) -> None:
        """Replace checkpoints until the end."""
        damages = cycle(DAMAGES)
        for path in cycle(self._versions):
            if self._outcomes.over.wait(REPLACE_INTERVAL):
                return
            payload = next(self._versions[path])
            self.replaced += 1
            if self.replaced % 3 == 0:
                payload = next(damages)(payload)
            write_atomically(path, payload)


def measure(server: Server) -> dict[str, float]:
    """Return the current quantities."""
    process = Path("/proc") / str(server.process.pid)
    connection = http.client.HTTPConnection("127.0.0.1", int(server.url.rpartition(":")[2]))
    connection.request("GET", "/metrics")
    exposed = connection.getresponse().read().splitlines()
    connection.close()
    now = (
        server.resident / 1000,
        len(list((process / "fd").iterdir())),
        len(list((process / "task").iterdir())),
        sum(not line.startswith(b"#") for line in exposed),
    )
    return dict(zip(ALLOWED_GROWTH, now, strict=True))


def soak(server: Server, folder: Path, seconds: float) -> list[str]:
    """Use a service, print the measurements, and return its faults."""
    outcomes = Outcomes()
    operator = Operator(folder, outcomes)
    port = int(server.url.rpartition(":")[2])
    runs = [operator.run, *(Client(port, outcomes, number).run for number in range(CLIENTS))]
    threads = [threading.Thread(target=run) for run in runs]
    for thread in threads:
        thread.start()
    samples, end = [], time.monotonic() + seconds
    try:
        while time.monotonic() < end:
            samples.append(measure(server))
            time.sleep(min(1.0, seconds / 60))
    finally:
        outcomes.over.set()
        for thread in threads:
            thread.join()
    replies = ", ".join(
        f"{count} x {status}" for status, count in sorted(outcomes.statuses.items())
    )
    print(f"{seconds:g} s, {operator.replaced} checkpoints replaced; replies: {replies}")
    tracebacks = [line for line in server.log.splitlines() if "Traceback" in line]
    return outcomes.faults + tracebacks + growth(samples)


def growth(samples: list[dict[str, float]]) -> list[str]:
    """Print the medians of each part, and return the quantities that have grown too much."""
    size = len(samples) // PARTS
    parts = [samples[start * size : (start + 1) * size] for start in range(PARTS)]
    faults = []
    print(f"{'medians, each fifth':20}" + " " * 8 * PARTS + f" {'at most':>9}")
    for name, (relative, absolute) in ALLOWED_GROWTH.items():
        medians = [median(sample[name] for sample in part) for part in parts]
        most = medians[1] * (1 + relative) + absolute
        print(f"{name:20}" + "".join(f"{value:8.1f}" for value in medians) + f" {most:9.1f}")
        if medians[-1] > most:
            faults.append(f"{name} grew from {medians[1]:.1f} to {medians[-1]:.1f}")
    return faults


def main() -> int:
    """Train, serve and soak; return the exit status."""
    seconds = float(sys.argv[1]) if len(sys.argv) > 1 else 600
    folder = Path(tempfile.mkdtemp(prefix="moniker-soak-"))
    try:
        with redirect_stdout(io.StringIO()):
            names = folder / "names.txt"
            lines = EMBEDDED_LIST.read_text(encoding="utf-8").splitlines()[:NAMES]
            names.write_text("\n".join(lines), encoding="utf-8")
            train(["--data", str(names), "--out", str(folder)])
        with Server(MONIKER_CHECKPOINTS=str(folder), **SETTINGS) as server:
            faults = soak(server, folder, seconds)
    finally:
        shutil.rmtree(folder)
    for fault in faults[:20]:
        print(f"FAULT: {fault}")
    print(f"{len(faults)} faults" if faults else "no faults")
    return bool(faults)


if __name__ == "__main__":
    sys.exit(main())
