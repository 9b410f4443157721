"""A load generator: one request again and again over connections kept alive.

It parses no more of a reply than it must, so that the server is what is measured.
"""

import asyncio
import json
from typing import cast

import uvloop

CONNECTIONS = 16


def post(path: str, body: object) -> bytes:
    """A POST of JSON as bytes on the wire."""
    content = json.dumps(body).encode()
    head = (
        f"POST {path} HTTP/1.1\r\nHost: localhost\r\nAccept: */*\r\n"
        f"Content-Type: application/json\r\nContent-Length: {len(content)}\r\n\r\n"
    )
    return head.encode() + content


def get(path: str) -> bytes:
    """A GET as bytes on the wire."""
    return f"GET {path} HTTP/1.1\r\nHost: localhost\r\nAccept: */*\r\n\r\n".encode()


def rate(port: int, request: bytes, count: int) -> float:
    """Replies a second to this many requests, CONNECTIONS of them at a time."""
    return uvloop.run(_rate(port, request, count))


async def _rate(port: int, request: bytes, count: int) -> float:
    loop = asyncio.get_running_loop()
    load = _Load(request, count, loop.create_future())
    for _ in range(CONNECTIONS):
        await loop.create_connection(lambda: _Connection(load), "127.0.0.1", port)
    started = loop.time()
    for connection in load.connections:
        connection.ask()
    await load.done
    seconds = loop.time() - started
    for connection in load.connections:
        connection.transport.close()
    return count / seconds


class _Load:
    """What the connections share: the request, how often to send it, and who sends."""

    def __init__(self, request: bytes, count: int, done: asyncio.Future[None]) -> None:
        self.request = request
        self.unsent = self.unanswered = count
        self.done = done
        self.connections: list[_Connection] = []


class _Connection(asyncio.Protocol):
    """Asks, waits for the whole reply, and asks again."""

    transport: asyncio.Transport

    def __init__(self, load: _Load) -> None:
        self._load = load
        self._received = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.Transport, transport)  # uvloop's is none by its class
        self._load.connections.append(self)

    def ask(self) -> None:
        """Send the request, unless it has been sent often enough."""
        if self._load.unsent:
            self._load.unsent -= 1
            self.transport.write(self._load.request)

    def data_received(self, data: bytes) -> None:
        self._received += data
        head, end, body = self._received.partition(b"\r\n\r\n")
        if not end or len(body) < content_length(head):
            return
        if not head.startswith(b"HTTP/1.1 200 "):
            self._fail(self._received.decode())
            return
        self._received = b""
        self._load.unanswered -= 1
        if not self._load.unanswered:
            self._load.done.set_result(None)
        self.ask()

    def connection_lost(self, error: Exception | None) -> None:
        self._fail("The server has closed the connection.")

    def _fail(self, reason: str) -> None:
        if not self._load.done.done():
            self._load.done.set_exception(RuntimeError(reason))


def content_length(head: bytes | bytearray) -> int:
    """What the head of a reply says of its body."""
    return int(head.lower().partition(b"content-length:")[2].split(maxsplit=1)[0])
