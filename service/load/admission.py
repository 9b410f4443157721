"""Admission of requests: a limit on how many start in each iteration of the event loop.

During a flood the other requests wait in order, and the event loop serves new connections and
probes in between.
"""

import asyncio
from collections import deque
from time import perf_counter

from starlette.types import ASGIApp, Receive, Scope, Send

from service.errors import OverloadError
from service.http.paths import ERRORS, PROBES
from service.problems import overload_response
from service.settings import Settings
from service.telemetry.metrics import Metrics

ALWAYS_ADMITTED = PROBES | {"/metrics"}  # under any load
ITERATION = 0.003  # seconds of requests in an iteration of the event loop
MIN_STARTS = 4  # requests that may start in each iteration
MAX_SAMPLE = 0.1  # seconds of one measurement: the process may have been suspended meanwhile
SMOOTHING = 0.1  # weight of the newest measurement


class AdmissionMiddleware:
    """ASGI middleware: starts requests in order, and rejects those that would wait too long."""

    def __init__(self, app: ASGIApp, settings: Settings, metrics: Metrics) -> None:
        self._app, self._settings, self._metrics = app, settings, metrics
        self._waiting: deque[asyncio.Future[None]] = deque()
        self._started = 0  # requests in this iteration
        self._cost = 5e-4  # mean seconds of a request that does not wait
        self._interval = 5e-4  # mean seconds between the starts of two requests
        self._iteration = 0
        self._iteration_began = 0.0
        self._is_scheduled = False  # whether the next iteration calls `_next_iteration`

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on when it may start, or respond with an overload problem."""
        if scope["type"] != "http" or _is_always_admitted(scope["path"]):
            await self._app(scope, receive, send)
            return
        try:
            await self._wait_for_start()
        except OverloadError as error:
            self._metrics.shed(error.reason)
            response = overload_response(self._settings.shed_status, error.retry_after)
            await response(scope, receive, send)
            return
        iteration, began = self._iteration, perf_counter()
        await self._app(scope, receive, send)
        if iteration == self._iteration:  # the request did not wait for anything
            seconds = min(perf_counter() - began, MAX_SAMPLE)
            self._cost += SMOOTHING * (seconds - self._cost)

    async def _wait_for_start(self) -> None:
        """Return when a request may start. Raises OverloadError."""
        if not self._is_scheduled:
            self._is_scheduled, self._iteration_began = True, perf_counter()
            asyncio.get_running_loop().call_soon(self._next_iteration)
        if not self._waiting and self._started < self._max_starts:
            self._started += 1
            return
        wait = len(self._waiting) * self._interval
        if wait > self._settings.max_wait_seconds:
            raise OverloadError("requests", wait)
        start = asyncio.get_running_loop().create_future()
        self._waiting.append(start)
        with self._metrics.waiting.track_inprogress():
            await start

    @property
    def _max_starts(self) -> int:
        """The number of requests that may start in an iteration."""
        return max(MIN_STARTS, int(ITERATION / self._cost))

    def _next_iteration(self) -> None:
        """Measure the last iteration, and start the requests that have waited longest."""
        now = perf_counter()
        if self._started:
            interval = min((now - self._iteration_began) / self._started, MAX_SAMPLE)
            self._interval += SMOOTHING * (interval - self._interval)
        self._iteration_began, self._started = now, 0
        self._iteration += 1
        while self._waiting and self._started < self._max_starts:
            start = self._waiting.popleft()
            if not start.done():
                start.set_result(None)
                self._started += 1
        self._is_scheduled = self._started > 0
        if self._is_scheduled:
            asyncio.get_running_loop().call_soon(self._next_iteration)


def _is_always_admitted(path: str) -> bool:
    return path in ALWAYS_ADMITTED or path.startswith(ERRORS)
