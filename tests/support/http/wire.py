"""Raw HTTP connections, for clients that misbehave as no library does."""

import json
import re
import socket
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress

from tests.support.http.server import PATIENCE, Server

ASK = b"GET /healthz HTTP/1.1\r\nHost: moniker\r\n\r\n"


class Reply:
    """A response: status, lower-case headers and raw body."""

    def __init__(self, head: bytes, body: bytes) -> None:
        lines = head.decode("latin-1").split("\r\n")
        self.status = int(lines[0].split()[1])
        self.headers = dict(line.lower().split(": ", 1) for line in lines[1:])
        self.body = body

    @property
    def problem(self) -> dict[str, object]:
        """The content of a problem response."""
        assert self.headers["content-type"] == "application/problem+json"
        content: dict[str, object] = json.loads(self.body)
        return content


class Wire:
    """A TCP connection to a service.

    buffer: size of the receive buffer in bytes, 0 for the default
    rest: received bytes that no method has returned yet
    """

    def __init__(self, server: Server, buffer: int = 0) -> None:
        self.socket = socket.socket()
        if buffer:  # set before connecting, so that it limits the first window
            self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, buffer)
        self.socket.settimeout(PATIENCE)
        self.socket.connect((server.host, server.port))
        self.rest = b""

    def __enter__(self) -> "Wire":
        return self

    def __exit__(self, *error: object) -> None:
        self.socket.close()

    def send(self, *parts: bytes, pause: float = 0) -> None:
        """Send parts with a pause in seconds after each, until the service closes."""
        with suppress(ConnectionError):  # the response can still be read
            for part in parts:
                self.socket.sendall(part)
                time.sleep(pause)

    def receive(self) -> bytes:
        """Receive bytes; empty if the service has closed the connection."""
        try:
            return self.socket.recv(2**16)
        except ConnectionError:
            return b""

    def reply(self, has_body: bool = True) -> Reply:
        """Receive the next response, which must have a Content-Length."""
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

    def until(self, ending: bytes) -> bytes:
        """Receive until the bytes end with `ending`, and return them.

        Raises ConnectionError if the service closes before.
        """
        while not self.rest.endswith(ending):
            self.more()
        received, self.rest = self.rest, b""
        return received

    def all(self) -> bytes:
        """Receive everything until the service closes the connection."""
        while part := self.receive():
            self.rest += part
        return self.rest

    def more(self) -> None:
        """Receive more bytes into `rest`. Raises ConnectionError if the service has closed."""
        part = self.receive()
        if not part:
            raise ConnectionError(f"the service closed after {self.rest!r}")
        self.rest += part


def until(condition: Callable[[], object], patience: float = PATIENCE) -> float:
    """Wait until a condition holds, and return how many seconds that took.

    Raises TimeoutError after `patience` seconds.
    """
    began = time.monotonic()
    while not condition():
        if time.monotonic() - began > patience:
            raise TimeoutError(f"the condition does not hold after {patience} s")
        time.sleep(0.02)
    return time.monotonic() - began


def counted(server: Server, metric: str) -> float:
    """Return the value of a metric, written with its labels as in `/metrics`; 0 if it is absent."""
    text = server.get("/metrics").text
    match = re.search(rf"^{re.escape(metric)} (\S+)$", text, re.MULTILINE)
    return float(match[1]) if match else 0


def refused(server: Server, reason: str) -> float:
    """Return how many connections the service has closed for a reason."""
    return counted(server, f'moniker_connections_refused_total{{reason="{reason}"}}')


@contextmanager
def wires(server: Server, count: int, buffer: int = 0) -> Iterator[list[Wire]]:
    """Open several connections at the same time."""
    opened = [Wire(server, buffer) for _ in range(count)]
    try:
        yield opened
    finally:
        for wire in opened:
            wire.socket.close()
