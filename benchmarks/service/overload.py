"""Overload by a factor of ten: the latency of admitted requests and of the probes."""

import asyncio
import time
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from statistics import quantiles
from typing import cast

import uvloop

from benchmarks.measure import Row
from benchmarks.service.load import content_length, get
from benchmarks.service.serving import service

FACTOR = 10  # of the load that the service can carry
SECONDS = 5.0  # of the flood
RECOVERY = 2.0  # seconds after the flood
PROBE_PAUSE = 0.05  # seconds
ROUNDS = 200
BIG = "/sample?n=10000"


@dataclass
class Outcome:
    """Seconds of the requests that were admitted, of those refused, and of the probes."""

    admitted: list[float] = field(default_factory=list)
    shed: list[float] = field(default_factory=list)
    probes: list[float] = field(default_factory=list)


def compare(checkpoints: Path) -> Iterator[Row]:
    """Yield figures without load against those in a flood."""
    with service(checkpoints) as (_, port):
        yield from uvloop.run(_compare(port))


async def _compare(port: int) -> list[Row]:
    idle, flooded = Outcome(), Outcome()
    await _send_sequentially(port, idle, ROUNDS)
    rate = await _rate(port)
    probing = asyncio.create_task(_probe(port, flooded))
    await _flood(port, flooded, FACTOR * rate)
    probing.cancel()
    await asyncio.sleep(RECOVERY)
    rate_afterwards = await _rate(port)
    alone, during = _p99(idle.admitted), _p99(flooded.admitted)
    admitted = len(flooded.admitted)
    offered = admitted + len(flooded.shed)
    return [
        Row("requests per second: without load, offered", rate, offered / SECONDS, "requests/s"),
        Row("admitted", rate, admitted / SECONDS, "requests/s"),
        Row("two seconds after the flood", rate, rate_afterwards, "requests/s"),
        Row("99th percentile of admitted requests", alone, during, "s"),
        Row("99th percentile of probes", alone, _p99(flooded.probes), "s"),
    ]


def _p99(seconds: list[float]) -> float:
    return quantiles(seconds, n=100)[-1]


async def _send_sequentially(port: int, outcome: Outcome, count: int) -> None:
    client = await Client.connected(port)
    for _ in range(count):
        await client.send(BIG, outcome)
    client.close()


async def _rate(port: int) -> float:
    """Return requests per second of two sequential clients, one for each core."""
    started = time.perf_counter()
    await asyncio.gather(*[_send_sequentially(port, Outcome(), ROUNDS) for _ in range(2)])
    return 2 * ROUNDS / (time.perf_counter() - started)


async def _probe(port: int, outcome: Outcome) -> None:
    """Send probes as an orchestrator does, each over a new connection."""
    while True:
        for path in ("/healthz", "/readyz", "/metrics"):
            started, client = time.perf_counter(), await Client.connected(port)
            await client.send(path, Outcome())
            outcome.probes.append(time.perf_counter() - started)
            client.close()
            await asyncio.sleep(PROBE_PAUSE)


async def _flood(port: int, outcome: Outcome, rate: float) -> None:
    """Send requests at a constant rate, whatever the latency of the replies."""
    started, sent = time.perf_counter(), 0
    idle: deque[Client] = deque()
    tasks: set[asyncio.Task[None]] = set()

    async def send() -> None:
        client = idle.popleft() if idle else await Client.connected(port)
        await client.send(BIG, outcome)
        idle.append(client)

    while (passed := time.perf_counter() - started) < SECONDS:
        while sent < passed * rate:
            tasks.add(asyncio.create_task(send()))
            sent += 1
        await asyncio.sleep(0.001)
    await asyncio.gather(*tasks)
    for client in idle:
        client.close()


class Client(asyncio.Protocol):
    """A keep-alive connection with one request at a time."""

    def __init__(self) -> None:
        self._received = bytearray()
        self._replied: asyncio.Future[bytes] | None = None
        self._transport: asyncio.Transport | None = None

    @classmethod
    async def connected(cls, port: int) -> "Client":
        """Return a connected client."""
        _, client = await asyncio.get_running_loop().create_connection(cls, "127.0.0.1", port)
        return client

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Store the transport."""
        self._transport = cast(asyncio.Transport, transport)  # uvloop's class is not a subclass

    def close(self) -> None:
        """Close the connection."""
        assert self._transport
        self._transport.close()

    async def send(self, path: str, outcome: Outcome) -> None:
        """Send a request, and record the time to its reply."""
        assert self._transport
        self._replied = asyncio.get_running_loop().create_future()
        started = time.perf_counter()
        self._transport.write(get(path))
        head = await self._replied
        seconds = time.perf_counter() - started
        if head.startswith(b"HTTP/1.1 200 "):
            outcome.admitted.append(seconds)
        elif head.startswith(b"HTTP/1.1 503 ") and b"\r\nretry-after: " in head:
            outcome.shed.append(seconds)
        else:
            raise RuntimeError(head.decode())

    def data_received(self, data: bytes) -> None:
        """Wait for the complete reply."""
        self._received += data
        end = self._received.find(b"\r\n\r\n")
        if end < 0 or len(self._received) < end + 4 + content_length(self._received[:end]):
            return
        head = bytes(self._received[:end])
        self._received.clear()
        if self._replied and not self._replied.done():
            self._replied.set_result(head)

    def connection_lost(self, error: Exception | None) -> None:
        """Fail a request that waits for its reply."""
        if self._replied and not self._replied.done():
            self._replied.set_exception(RuntimeError("The server closed the connection."))
