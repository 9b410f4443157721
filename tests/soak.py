"""python tests/soak.py [SECONDS]: whether a service that is used for long stays as small as it is.

A real service is asked everything there is to ask, well and badly, while its checkpoints are
replaced. After a warm-up its memory, descriptors, threads and series are to stay as they are,
no reply is to be a fault of the service, and nothing is to end in a traceback.
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
from training.atomic_files import write_whole
from training.cli import EMBEDDED_LIST

NAMES = 2_000  # of the list: with small models a leak is not lost in what comes and goes
USERS = 4  # at a time
PAUSE = 0.02  # seconds between two requests of a user: the service is to be busy, not full
IDLE = 1.0  # seconds after which the service may be about to close a connection
RELOAD = 2.0  # seconds between two files that change
PARTS = 5  # of the time; the first is the warm-up, and the second is compared with the last
TEXT = {"Accept": "text/plain"}
LINES = {"Content-Type": "text/plain"}
SETTINGS = {
    "MONIKER_CACHE_MB": "16",  # full when the warm-up is over
    "MONIKER_HEADER_SECONDS": "2",
    "MONIKER_BODY_SECONDS": "2",
    **THRIFTY,
}
# quantity -> what it may grow by: a share, and so many besides
SLACK = {
    "resident memory, MB": (0.05, 16.0),
    "descriptors": (0.0, 3.0),
    "threads": (0.0, 1.0),
    "series of /metrics": (0.0, 6 * 17.0),  # of some statuses that are rare
}


Ask: TypeAlias = Callable[[], object]


@dataclass
class Seen:
    """What the users have come across."""

    statuses: Counter[int] = field(default_factory=Counter)
    faults: list[str] = field(default_factory=list)
    over: threading.Event = field(default_factory=threading.Event)

    def reply(self, path: str, reply: http.client.HTTPResponse) -> None:
        """Count a reply; a 5xx that is not to make clients wait a little is a fault."""
        self.statuses[reply.status] += 1
        shed = reply.status == http.client.SERVICE_UNAVAILABLE and reply.getheader("Retry-After")
        if reply.status >= http.client.INTERNAL_SERVER_ERROR and not shed:
            self.faults.append(f"{reply.status} of {path}")


class User:
    """Somebody who asks one thing after another, now well, now badly, and sometimes leaves."""

    def __init__(self, port: int, seen: Seen, number: int) -> None:
        self._port, self._seen = port, seen
        self._random = random.Random(number)
        self._connection = self._connected()
        self._asked = 0.0  # when, last

    def run(self) -> None:
        """Ask until it is over."""
        others = [
            self._wish_anew, self._stream, self._pipe, self._leave_in_the_middle, self._ask_half,
        ]  # fmt: skip
        for ask in (*self._well(), *self._badly(), *others):  # so that all series are there
            self._try(ask)
        while not self._seen.over.wait(PAUSE):
            kinds = (self._well(), self._well(), self._badly(), others)
            self._try(self._random.choice(self._random.choice(kinds)))
        self._connection.close()

    def _try(self, ask: Ask) -> None:
        try:
            ask()
        except Exception as error:
            self._seen.faults.append(repr(error))
            self._connection.close()

    def _connected(self) -> http.client.HTTPConnection:
        return http.client.HTTPConnection("127.0.0.1", self._port, timeout=30)

    def _ask(
        self,
        path: str,
        body: object = None,
        headers: dict[str, str] | None = None,
        method: str | None = None,
    ) -> bytes:
        sent = {"Content-Type": "application/json"} if body is not None else {}
        raw = body if isinstance(body, bytes) or body is None else json.dumps(body)
        method = method or ("GET" if body is None else "POST")
        if time.monotonic() - self._asked > IDLE:
            self._connection.close()  # and connect anew
        self._connection.request(method, path, raw, sent | (headers or {}))
        reply = self._connection.getresponse()
        content = reply.read()
        self._seen.reply(f"{method} {path}", reply)
        if reply.will_close:
            self._connection.close()
        self._asked = time.monotonic()
        return content

    def _model(self) -> str:
        return self._random.choice(["bigram", "positional", "sinusoidal", "fivegram"])

    def _well(self) -> list[Ask]:
        model, n = self._model(), self._random.choice([1, 10, 300])
        names = ["emma", "Olivia", "xqzwv", "zoë"]
        return [
            lambda: self._ask(f"/sample?n={n}&model={model}"),
            lambda: self._ask(f"/sample?n={n}&model={model}&unique=true", headers=TEXT),
            lambda: self._ask("/sample", {"n": n, "model": model, "temperature": 0.8}),
            lambda: self._ask(f"/top?n=5&model={model}&pattern=ka*"),
            lambda: self._ask(f"/lengths?model={model}"),
            lambda: self._ask(f"/score?name=emma&name=xqzwv&model={model}"),
            lambda: self._ask("/score", {"names": names * 100, "model": model}),
            lambda: self._ask("/score", {"names": names, "model": model, "explain": True}),
            lambda: self._ask(f"/next?prefix=em&model={model}"),
            lambda: self._ask("/models"),
            lambda: self._ask(f"/models/{model}"),
            lambda: self._ask("/healthz"),
            lambda: self._ask("/readyz"),
            lambda: self._ask("/openapi.json"),
        ]

    def _badly(self) -> list[Ask]:
        something = f"{self._random.random()}"
        return [
            lambda: self._ask(f"/{something}"),
            lambda: self._ask(f"/models/{something}"),
            lambda: self._ask(f"/sample?{something}=1"),
            lambda: self._ask(f"/sample?model={something}"),
            lambda: self._ask("/sample?n=-1"),
            lambda: self._ask("/sample?pattern=%3F%3F&min_length=9"),
            lambda: self._ask("/sample", method="DELETE"),
            lambda: self._ask("/sample", method=f"X{something[2:]}"),
            lambda: self._ask("/sample", b"{", method="POST"),
            lambda: self._ask("/score", b"\xff\xfe", LINES),
            lambda: self._ask("/score", b"x", {"Content-Type": something}),
            lambda: self._ask("/score", {"names": ["x" * 300]}),
            lambda: self._ask("/score?name=emma", headers={"Accept": something}),
        ]

    def _wish_anew(self) -> None:
        letters = "".join(self._random.choices("aeioulmnrs", k=3))
        heat = 0.5 + self._random.random()
        self._ask(f"/sample?model={self._model()}&pattern=*{letters}*&temperature={heat}")

    def _stream(self) -> None:
        lines = self._ask(f"/sample?n=20000&model={self._model()}", headers=TEXT).count(b"\n")
        if lines not in (0, 20_000):  # none if there are too many streams
            self._seen.faults.append(f"a stream of {lines} lines")

    def _pipe(self) -> None:
        self._ask(f"/score?model={self._model()}", b"emma\nolivia\nxqzwv\n" * 2_000, LINES)

    def _leave_in_the_middle(self) -> None:
        connection = self._connected()
        try:
            connection.request("GET", "/sample?n=1000000", headers=TEXT)
            reply = connection.getresponse()
            self._seen.reply("a stream left", reply)
            reply.read(1000)
            if reply.fp:
                reply.close()
        finally:
            connection.close()

    def _ask_half(self) -> None:
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
        with socket.create_connection(("127.0.0.1", self._port), timeout=30) as connected:
            connected.sendall(half)
            if self._random.random() < 0.1:  # in the other cases we leave
                while connected.recv(4096):
                    pass


class Operator:
    """Somebody who puts another version of a checkpoint in place, at times one that is bad."""

    def __init__(self, folder: Path, seen: Seen) -> None:
        self._seen = seen
        files = sorted(folder.glob("*.safetensors"))
        self._versions = {path: cycle(versions(path.read_bytes(), 3)) for path in files}
        self.replaced = 0

    def run(self) -> None:
        """Go on until it is over."""
        bad = cycle(DAMAGES)
        for path in cycle(self._versions):
            if self._seen.over.wait(RELOAD):
                return
            payload = next(self._versions[path])
            self.replaced += 1
            if self.replaced % 3 == 0:
                payload = next(bad)(payload)
            write_whole(path, payload)


def measure(server: Server) -> dict[str, float]:
    """The quantities as they are now."""
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
    return dict(zip(SLACK, now, strict=True))


def soak(server: Server, folder: Path, seconds: float) -> list[str]:
    """Use a service for so long, print how it was, and tell what is wrong with it."""
    seen = Seen()
    operator = Operator(folder, seen)
    port = int(server.url.rpartition(":")[2])
    runs = [operator.run, *(User(port, seen, number).run for number in range(USERS))]
    threads = [threading.Thread(target=run) for run in runs]
    for thread in threads:
        thread.start()
    samples, end = [], time.monotonic() + seconds
    try:
        while time.monotonic() < end:
            samples.append(measure(server))
            time.sleep(min(1.0, seconds / 60))
    finally:
        seen.over.set()
        for thread in threads:
            thread.join()
    replies = ", ".join(f"{count} x {status}" for status, count in sorted(seen.statuses.items()))
    print(f"{seconds:g} s, {operator.replaced} checkpoints replaced; replies: {replies}")
    told = [line for line in server.log.splitlines() if "Traceback" in line]
    return seen.faults + told + grown(samples)


def grown(samples: list[dict[str, float]]) -> list[str]:
    """Print the quantities as they were; those that are too large at the end."""
    part = len(samples) // PARTS
    parts = [samples[at * part : (at + 1) * part] for at in range(PARTS)]
    faults = []
    print(f"{'medians, each fifth':20}" + " " * 8 * PARTS + f" {'at most':>9}")
    for name, (share, more) in SLACK.items():
        medians = [median(sample[name] for sample in some) for some in parts]
        most = medians[1] * (1 + share) + more
        print(f"{name:20}" + "".join(f"{one:8.1f}" for one in medians) + f" {most:9.1f}")
        if medians[-1] > most:
            faults.append(f"{name} grew from {medians[1]:.1f} to {medians[-1]:.1f}")
    return faults


def main() -> int:
    """Train, serve and soak; the exit status."""
    seconds = float(sys.argv[1]) if len(sys.argv) > 1 else 600
    folder = Path(tempfile.mkdtemp(prefix="moniker-soak-"))
    try:
        with redirect_stdout(io.StringIO()):
            names = folder / "names.txt"
            some = EMBEDDED_LIST.read_text(encoding="utf-8").splitlines()[:NAMES]
            names.write_text("\n".join(some), encoding="utf-8")
            train(["--data", str(names), "--out", str(folder)])
        with Server(MONIKER_CHECKPOINTS=str(folder), **SETTINGS) as server:
            faults = soak(server, folder, seconds)
    finally:
        shutil.rmtree(folder)
    for fault in faults[:20]:
        print(f"FAULT: {fault}")
    print(f"{len(faults)} faults" if faults else "all is well")
    return bool(faults)


if __name__ == "__main__":
    sys.exit(main())
