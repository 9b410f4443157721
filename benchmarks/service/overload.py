"""Ten times the load that the service can carry: what those get who are let in, and the probes."""

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

TIMES = 10
SECONDS = 5.0
AFTERWARDS = 2.0  # seconds after the flood until all is to be as before
PROBE_PAUSE = 0.05
ROUNDS = 200
BIG = "/sample?n=10000"


@dataclass
class Outcome:
    """Seconds of the requests that were let in, of the others, and of the probes."""

    accepted: list[float] = field(default_factory=list)
    shed: list[float] = field(default_factory=list)
    probes: list[float] = field(default_factory=list)


def compare(checkpoints: Path) -> Iterator[Row]:
    """Unloaded against flooded."""
    with service(checkpoints) as (_, port):
        yield from uvloop.run(_compare(port))


async def _compare(port: int) -> list[Row]:
    quiet, flooded = Outcome(), Outcome()
    await _one_after_another(port, quiet, ROUNDS)
    rate = await _rate(port)
    probing = asyncio.create_task(_probe(port, flooded))
    await _flood(port, flooded, TIMES * rate)
    probing.cancel()
    await asyncio.sleep(AFTERWARDS)
    again = await _rate(port)
    alone, during = _p99(quiet.accepted), _p99(flooded.accepted)
    done, offered = len(flooded.accepted), len(flooded.accepted) + len(flooded.shed)
    return [
        Row("requests a second: alone, flooded with", rate, offered / SECONDS, "requests/s"),
        Row("of these let in", rate, done / SECONDS, "requests/s"),
        Row("two seconds after the flood", rate, again, "requests/s"),
        Row("99th percentile of those let in", alone, during, "s"),
        Row("99th percentile of the probes", alone, _p99(flooded.probes), "s"),
    ]


def _p99(seconds: list[float]) -> float:
    return quantiles(seconds, n=100)[-1]


async def _one_after_another(port: int, outcome: Outcome, count: int) -> None:
    client = await Client.connected(port)
    for _ in range(count):
        await client.ask(BIG, outcome)
    client.close()


async def _rate(port: int) -> float:
    """Requests a second of two clients who ask again and again: one for each core."""
    started = time.perf_counter()
    await asyncio.gather(*[_one_after_another(port, Outcome(), ROUNDS) for _ in range(2)])
    return 2 * ROUNDS / (time.perf_counter() - started)


async def _probe(port: int, outcome: Outcome) -> None:
    """Ask as an orchestrator does, over a new connection each time."""
    while True:
        for path in ("/healthz", "/readyz", "/metrics"):
            started, client = time.perf_counter(), await Client.connected(port)
            await client.ask(path, Outcome())
            outcome.probes.append(time.perf_counter() - started)
            client.close()
            await asyncio.sleep(PROBE_PAUSE)


async def _flood(port: int, outcome: Outcome, rate: float) -> None:
    """Ask so many times a second, whether the replies come or not."""
    started, asked = time.perf_counter(), 0
    idle: deque[Client] = deque()
    tasks: set[asyncio.Task[None]] = set()

    async def ask() -> None:
        client = idle.popleft() if idle else await Client.connected(port)
        await client.ask(BIG, outcome)
        idle.append(client)

    while (passed := time.perf_counter() - started) < SECONDS:
        while asked < passed * rate:
            tasks.add(asyncio.create_task(ask()))
            asked += 1
        await asyncio.sleep(0.001)
    await asyncio.gather(*tasks)
    for client in idle:
        client.close()


class Client(asyncio.Protocol):
    """A connection that is kept alive, with one request at a time."""

    def __init__(self) -> None:
        self._received = bytearray()
        self._replied: asyncio.Future[bytes] | None = None
        self._transport: asyncio.Transport | None = None

    @classmethod
    async def connected(cls, port: int) -> "Client":
        """A new one."""
        _, client = await asyncio.get_running_loop().create_connection(cls, "127.0.0.1", port)
        return client

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Begin."""
        self._transport = cast(asyncio.Transport, transport)  # uvloop's is none by its class

    def close(self) -> None:
        """End."""
        assert self._transport
        self._transport.close()

    async def ask(self, path: str, outcome: Outcome) -> None:
        """Add the seconds that a reply takes to those of its kind."""
        assert self._transport
        self._replied = asyncio.get_running_loop().create_future()
        started = time.perf_counter()
        self._transport.write(get(path))
        head = await self._replied
        seconds = time.perf_counter() - started
        if head.startswith(b"HTTP/1.1 200 "):
            outcome.accepted.append(seconds)
        elif head.startswith(b"HTTP/1.1 503 ") and b"\r\nretry-after: " in head:
            outcome.shed.append(seconds)
        else:
            raise RuntimeError(head.decode())

    def data_received(self, data: bytes) -> None:
        """Wait for the whole of the reply."""
        self._received += data
        end = self._received.find(b"\r\n\r\n")
        if end < 0 or len(self._received) < end + 4 + content_length(self._received[:end]):
            return
        head = bytes(self._received[:end])
        self._received.clear()
        if self._replied and not self._replied.done():
            self._replied.set_result(head)

    def connection_lost(self, error: Exception | None) -> None:
        """Fail whoever waits."""
        if self._replied and not self._replied.done():
            self._replied.set_exception(RuntimeError("The server has closed the connection."))
