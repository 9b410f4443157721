"""Stream slots, each of which a client holds only while it moves a minimum rate.

A slower client may go on as long as nobody else needs its slot.
"""

import asyncio
from collections import deque
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from time import perf_counter

from prometheus_client import Gauge
from starlette.types import Message, Scope, Send

from service.errors import OverloadError

MIN_RATE = 1_000  # bytes a second, sent and received
WINDOW = 20.0  # seconds that a client may stand still
SMOOTHING = 0.2


class Slot:
    """A slot for a request."""

    def __init__(self, scope: Scope) -> None:
        self._scope = scope
        self.began = self.held_until = 0.0

    def begin(self) -> None:
        """Hold the slot from now on."""
        self.began = perf_counter()
        self.held_until = self.began + WINDOW  # then it can be lost; what moves puts this off

    def cut(self) -> None:
        """End the stream and its connection."""
        self._scope["state"]["cut"]()

    def moved(self, size: int) -> None:
        """Take into account that bytes have been sent or received."""
        now = perf_counter()
        self.held_until = min(now + WINDOW, max(now, self.held_until) + size / MIN_RATE)

    def counting(self, send: Send) -> Send:
        """The same `send`, with what it sends taken into account."""

        async def counted(message: Message) -> None:
            await send(message)
            self.moved(len(message.get("body", b"")))

        return counted


class Streams:
    """The slots.

    most: how many there are
    max_wait: seconds
    gauge: of the slots that are held
    """

    def __init__(self, most: int, max_wait: float, gauge: Gauge) -> None:
        self._most, self._max_wait, self._gauge = most, max_wait, gauge
        self._held: set[Slot] = set()
        self._waiting: deque[tuple[asyncio.Future[None], Slot]] = deque()
        self._seconds = 0.0  # that a stream takes, on average

    @asynccontextmanager
    async def slot(self, scope: Scope) -> AsyncIterator[Slot]:
        """Hold a slot for a request. Raises OverloadError."""
        slot = Slot(scope)
        if not self._take(slot):
            await self._wait(slot)
        try:
            with self._gauge.track_inprogress():
                yield slot
        finally:
            self._seconds += SMOOTHING * (perf_counter() - slot.began - self._seconds)
            self._release(slot)

    async def _wait(self, slot: Slot) -> None:
        """Wait until another slot is free. Raises OverloadError."""
        wait = (len(self._waiting) + 1) * self._seconds / self._most
        if wait > self._max_wait:
            raise OverloadError("streams", wait)
        freed = asyncio.get_running_loop().create_future()
        self._waiting.append((freed, slot))
        try:
            async with asyncio.timeout(self._max_wait):
                await freed
        except TimeoutError as error:
            if slot not in self._held and not self._take(slot):
                raise OverloadError("streams", max(wait, self._max_wait)) from error
        except asyncio.CancelledError:
            self._release(slot)
            raise

    def _take(self, slot: Slot) -> bool:
        """Hold a slot that is free, or that of the slowest client if it is slow."""
        if len(self._held) >= self._most:
            slowest = min(self._held, key=lambda held: held.held_until)
            if slowest.held_until > perf_counter():
                return False
            slowest.cut()
            self._held.discard(slowest)
        self._hold(slot)
        return True

    def _hold(self, slot: Slot) -> None:
        slot.begin()
        self._held.add(slot)

    def _release(self, slot: Slot) -> None:
        """Give a slot, if it is held, to whoever waits longest."""
        if slot not in self._held:
            return
        self._held.discard(slot)
        while self._waiting:
            freed, next_slot = self._waiting.popleft()
            if not freed.done():
                self._hold(next_slot)
                freed.set_result(None)
                return
