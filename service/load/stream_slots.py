"""Stream slots: a limit on concurrent streams, with a minimum rate for their clients.

A client below the minimum rate loses its slot if another stream needs it.
"""

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from time import perf_counter
from typing import Any, cast

from prometheus_client import Gauge
from starlette.types import Message, Scope, Send

from service.errors import OverloadError
from service.http.exchange import Exchange

MIN_RATE = 1_000  # bytes per second, sent and received
WINDOW = 20.0  # seconds for which a client may send and receive nothing
SMOOTHING = 0.2  # weight of the newest measurement


class StreamSlot:
    """The slot of a request.

    began: when the stream began, in seconds of `perf_counter`
    protected_until: the time from which another stream may take the slot
    """

    def __init__(self, scope: Scope) -> None:
        self._exchange = Exchange.of(scope)
        self.began = self.protected_until = 0.0

    def begin(self) -> None:
        """Begin the stream."""
        self.began = perf_counter()
        self.protected_until = self.began + WINDOW

    def abort(self) -> None:
        """End the stream and its connection."""
        self._exchange.abort()

    def record_bytes(self, size: int) -> None:
        """Protect the slot for longer, because bytes have been sent or received."""
        now = perf_counter()
        earned = max(now, self.protected_until) + size / MIN_RATE
        self.protected_until = min(now + WINDOW, earned)

    def recording(self, send: Send) -> Send:
        """Return a `send` that also records the bytes it has sent."""

        async def send_and_record(message: Message) -> None:
            await send(message)
            self.record_bytes(len(message.get("body", b"")))

        return send_and_record


class StreamSlots:
    """The slots of a process.

    limit: number of slots
    max_wait: seconds
    gauge: counts the slots in use
    """

    def __init__(self, limit: int, max_wait: float, gauge: Gauge) -> None:
        self._limit, self._max_wait, self._gauge = limit, max_wait, gauge
        self._used: set[StreamSlot] = set()
        self._waiting: deque[tuple[asyncio.Future[None], StreamSlot]] = deque()
        self._mean_seconds = 0.0  # of a stream

    @classmethod
    def in_state(cls, state: Mapping[str, Any]) -> "StreamSlots":
        """Return the slots in the state of an ASGI scope."""
        return cast(StreamSlots, state["streams"])

    @asynccontextmanager
    async def slot(self, scope: Scope) -> AsyncIterator[StreamSlot]:
        """Yield a slot for a request. Raises OverloadError."""
        slot = StreamSlot(scope)
        if not self._take(slot):
            await self._wait(slot)
        try:
            with self._gauge.track_inprogress():
                yield slot
        finally:
            self._mean_seconds += SMOOTHING * (perf_counter() - slot.began - self._mean_seconds)
            self._release(slot)

    async def _wait(self, slot: StreamSlot) -> None:
        """Wait for a slot. Raises OverloadError."""
        wait = (len(self._waiting) + 1) * self._mean_seconds / self._limit
        if wait > self._max_wait:
            raise OverloadError("streams", wait)
        freed = asyncio.get_running_loop().create_future()
        self._waiting.append((freed, slot))
        try:
            async with asyncio.timeout(self._max_wait):
                await freed
        except TimeoutError as error:
            if slot not in self._used and not self._take(slot):
                raise OverloadError("streams", max(wait, self._max_wait)) from error
        except asyncio.CancelledError:
            self._release(slot)
            raise

    def _take(self, slot: StreamSlot) -> bool:
        """Take a free slot, or that of the slowest client if it is below the minimum rate."""
        if len(self._used) >= self._limit:
            slowest = min(self._used, key=lambda used: used.protected_until)
            if slowest.protected_until > perf_counter():
                return False
            slowest.abort()
            self._used.discard(slowest)
        self._use(slot)
        return True

    def _use(self, slot: StreamSlot) -> None:
        slot.begin()
        self._used.add(slot)

    def _release(self, slot: StreamSlot) -> None:
        """Pass a slot, if it is in use, to the request that has waited longest."""
        if slot not in self._used:
            return
        self._used.discard(slot)
        while self._waiting:
            freed, next_slot = self._waiting.popleft()
            if not freed.done():
                self._use(next_slot)
                freed.set_result(None)
                return
