"""A load generator that repeats one request over keep-alive connections.

It parses as little of a reply as possible, so that it measures the server.
"""

import asyncio
import json
from typing import cast

import uvloop

CONNECTIONS = 16


def post(path: str, body: object) -> bytes:
    """Return a POST request with a JSON body."""
    content = json.dumps(body).encode()
    head = (
        f"POST {path} HTTP/1.1\r\nHost: localhost\r\nAccept: */*\r\n"
        f"Content-Type: application/json\r\nContent-Length: {len(content)}\r\n\r\n"
    )
    return head.encode() + content


def get(path: str) -> bytes:
    """Return a GET request."""
    return f"GET {path} HTTP/1.1\r\nHost: localhost\r\nAccept: */*\r\n\r\n".encode()


def rate(port: int, request: bytes, count: int) -> float:
    """Send `count` requests over CONNECTIONS connections; return replies per second."""
    return uvloop.run(_rate(port, request, count))


async def _rate(port: int, request: bytes, count: int) -> float:
    loop = asyncio.get_running_loop()
    load = _Load(request, count, loop.create_future())
    for _ in range(CONNECTIONS):
        await loop.create_connection(lambda: _Connection(load), "127.0.0.1", port)
    started = loop.time()
    for connection in load.connections:
        connection.send()
    await load.done
    seconds = loop.time() - started
    for connection in load.connections:
        connection.transport.close()
    return count / seconds


class _Load:
    """The shared state of the connections."""

    def __init__(self, request: bytes, count: int, done: asyncio.Future[None]) -> None:
        self.request = request
        self.unsent = self.unanswered = count
        self.done = done
        self.connections: list[_Connection] = []


class _Connection(asyncio.Protocol):
    """Sends the request again after each complete reply."""

    transport: asyncio.Transport

    def __init__(self, load: _Load) -> None:
        self._load = load
        self._received = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.Transport, transport)  # uvloop's class is not a subclass
        self._load.connections.append(self)

    def send(self) -> None:
        """Send the request, unless all requests have been sent."""
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
        self.send()

    def connection_lost(self, error: Exception | None) -> None:
        self._fail("The server has closed the connection.")

    def _fail(self, reason: str) -> None:
        if not self._load.done.done():
            self._load.done.set_exception(RuntimeError(reason))


def content_length(head: bytes | bytearray) -> int:
    """Return the Content-Length in the head of a reply."""
    return int(head.lower().partition(b"content-length:")[2].split(maxsplit=1)[0])
