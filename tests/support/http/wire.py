"""HTTP byte by byte, for clients that no library would be."""

import json
import re
import socket
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from types import TracebackType

from tests.support.http.server import PATIENCE, Server

ASK = b"GET /healthz HTTP/1.1\r\nHost: moniker\r\n\r\n"


class Reply:
    """The head of a reply, and its body as it came."""

    def __init__(self, head: bytes, body: bytes) -> None:
        lines = head.decode("latin-1").split("\r\n")
        self.status = int(lines[0].split()[1])
        self.headers = dict(line.lower().split(": ", 1) for line in lines[1:])
        self.body = body

    @property
    def problem(self) -> dict[str, object]:
        """What a problem tells."""
        assert self.headers["content-type"] == "application/problem+json"
        told: dict[str, object] = json.loads(self.body)
        return told


class Wire:
    """A connection to a service."""

    def __init__(self, server: Server, buffer: int = 0) -> None:
        self.socket = socket.socket()
        if buffer:  # before it is connected, or the other side may already send more
            self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, buffer)
        self.socket.settimeout(PATIENCE)
        self.socket.connect((server.host, server.port))
        self.rest = b""

    def __enter__(self) -> "Wire":
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.socket.close()

    def send(self, *parts: bytes, pause: float = 0) -> None:
        """Send parts, as far as the service takes them, with so many seconds in between."""
        with suppress(ConnectionError):  # what it says of them is still to be read
            for part in parts:
                self.socket.sendall(part)
                time.sleep(pause)

    def receive(self) -> bytes:
        """What comes; nothing if the service has closed."""
        try:
            return self.socket.recv(2**16)
        except ConnectionError:
            return b""

    def reply(self, has_body: bool = True) -> Reply:
        """The next reply, of a length that it tells."""
        while b"\r\n\r\n" not in self.rest:
            self.more()
        head, _, self.rest = self.rest.partition(b"\r\n\r\n")
        if not has_body:
            return Reply(head, b"")
        length = int(re.search(rb"(?i)content-length: (\d+)", head)[1])  # type: ignore[index]
        while len(self.rest) < length:
            self.more()
        body, self.rest = self.rest[:length], self.rest[length:]
        return Reply(head, body)

    def all(self) -> bytes:
        """Everything until the service closes."""
        while some := self.receive():
            self.rest += some
        return self.rest

    def more(self) -> None:
        """Wait for more to come."""
        some = self.receive()
        if not some:
            raise ConnectionError(f"the service closed after {self.rest!r}")
        self.rest += some


def until(holds: Callable[[], object], patience: float = PATIENCE) -> float:
    """Wait until something holds, and tell for how many seconds."""
    began = time.monotonic()
    while not holds():
        if time.monotonic() - began > patience:
            raise TimeoutError("it does not come to hold")
        time.sleep(0.02)
    return time.monotonic() - began


def counted(server: Server, metric: str) -> float:
    """The value of a metric, 0 if it is not there; given with its labels as it is shown."""
    shown = server.get("/metrics").text
    found = re.search(rf"^{re.escape(metric)} (\S+)$", shown, re.MULTILINE)
    return float(found[1]) if found else 0


def refused(server: Server, reason: str) -> float:
    """How many connections have been closed for a reason."""
    return counted(server, f'moniker_connections_refused_total{{reason="{reason}"}}')


@contextmanager
def wires(server: Server, count: int, buffer: int = 0) -> Iterator[list[Wire]]:
    """So many connections at a time."""
    opened = [Wire(server, buffer) for _ in range(count)]
    try:
        yield opened
    finally:
        for wire in opened:
            wire.socket.close()
