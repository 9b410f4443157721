"""ASGI middleware: limits how many requests start in each iteration of the event loop.

Under a flood the others wait in order; new connections and probes are served in between.
"""

import asyncio
from collections import deque
from time import perf_counter

from starlette.types import ASGIApp, Receive, Scope, Send

from service.errors import OverloadError
from service.paths import ERRORS, PROBES
from service.problems import overload_response
from service.settings import Settings
from service.telemetry.metrics import Metrics

ALWAYS = PROBES | {"/metrics"}  # served however much there is to do
TURN = 0.003  # seconds of requests in a turn of the event loop
FEWEST = 4  # requests that begin in each turn
LONGEST = 0.1  # seconds of a request: the process may have been stopped meanwhile
SMOOTHING = 0.1


class AdmissionMiddleware:
    """Lets requests start in order, or refuses them. Waiting requests are suspended here."""

    def __init__(self, app: ASGIApp, settings: Settings, metrics: Metrics) -> None:
        self._app, self._settings, self._metrics = app, settings, metrics
        self._waiting: deque[asyncio.Future[None]] = deque()
        self._begun = 0  # requests in this turn
        self._cost = 5e-4  # seconds that a request takes, on average, if it waits for nothing
        self._pace = 5e-4  # seconds from one that begins to the next, on average
        self._turns = 0
        self._turn_began = 0.0
        self._is_turning = False

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on when it is its turn."""
        if scope["type"] != "http" or _is_always_served(scope["path"]):
            await self._app(scope, receive, send)
            return
        try:
            await self._turn()
        except OverloadError as error:
            self._metrics.shed(error.reason)
            reply = overload_response(self._settings.shed_status, error.retry_after)
            await reply(scope, receive, send)
            return
        turn, began = self._turns, perf_counter()
        await self._app(scope, receive, send)
        if turn == self._turns:
            self._cost += SMOOTHING * (min(perf_counter() - began, LONGEST) - self._cost)

    async def _turn(self) -> None:
        """Wait for the turn of a request. Raises OverloadError."""
        if not self._is_turning:
            self._is_turning, self._turn_began = True, perf_counter()
            asyncio.get_running_loop().call_soon(self._next_turn)
        if not self._waiting and self._begun < self._most:
            self._begun += 1
            return
        wait = len(self._waiting) * self._pace
        if wait > self._settings.max_wait_seconds:
            raise OverloadError("requests", wait)
        begins = asyncio.get_running_loop().create_future()
        self._waiting.append(begins)
        with self._metrics.waiting.track_inprogress():
            await begins

    @property
    def _most(self) -> int:
        """How many requests may begin in a turn."""
        return max(FEWEST, int(TURN / self._cost))

    def _next_turn(self) -> None:
        """Measure the turn that is over, and let those begin who waited longest."""
        now = perf_counter()
        if self._begun:
            each = min((now - self._turn_began) / self._begun, LONGEST)
            self._pace += SMOOTHING * (each - self._pace)
        self._turn_began, self._begun = now, 0
        self._turns += 1
        while self._waiting and self._begun < self._most:
            begins = self._waiting.popleft()
            if not begins.done():
                begins.set_result(None)
                self._begun += 1
        self._is_turning = self._begun > 0
        if self._is_turning:
            asyncio.get_running_loop().call_soon(self._next_turn)


def _is_always_served(path: str) -> bool:
    return path in ALWAYS or path.startswith(ERRORS)
