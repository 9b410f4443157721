"""The request queue: schedules the work of requests, small work first.

Work runs in chunks of a few milliseconds. Between them it yields to work with an earlier deadline.
Its duration is estimated from its size and from the measured duration of earlier work of its kind.
"""

from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import partial
from time import perf_counter
from typing import Any, TypeVar, cast

from fastapi import Request
from prometheus_client import Gauge
from starlette.concurrency import run_in_threadpool

from service.errors import OverloadError
from service.http.exchange import Exchange
from service.load.disconnect import run_in_thread, while_connected
from service.load.priority_queue import CHUNK_SECONDS, DEADLINE_FACTOR, SMOOTHING, Job, Lane

T = TypeVar("T")

THREAD_CHUNK_SECONDS = 0.02  # of work in a thread before it yields
THREADS = 2  # more are not faster; with one alone, a long chunk would block all other work
ALL_THREADS = 2 * THREADS + 1  # work and compilation have THREADS each, the reloader has one
# Kind of work -> seconds per unit, before the first measurement.
SECONDS_PER_UNIT = {
    "sample": 4e-8,  # a character of a name
    "unique": 4e-7,  # a character of a name, without replacement
    "score": 4e-7,  # a character
    "explain": 1e-4,  # a character
    "query": 2e-9,  # a cell of the tables of a conditioned chain
    "compile": 5e-3,  # a set of constraints
}
THREAD_OVERHEAD = 0.001  # seconds of work in a thread, whatever its size
MIN_MEASURED = 0.005  # seconds; shorter work is mostly overhead, and is not measured
STREAM_DELAY = 1.0  # seconds for which other work runs before a part of a stream
MARGIN = 1.4  # safety factor of the estimated wait: the load may rise while a job waits


@dataclass(frozen=True)
class Work:
    """A number of units of a kind of work in SECONDS_PER_UNIT.

    light: whether each chunk takes at most a few milliseconds, so that it runs in the event loop.
        A thread would acquire the interpreter's lock hundreds of times, and wait each time.
    """

    kind: str
    units: float
    light: bool = False


class RequestQueue:
    """Schedules all work of a process.

    max_wait: seconds
    gauge: counts the jobs that run or wait
    """

    def __init__(self, max_wait: float, gauge: Gauge) -> None:
        self._max_wait, self._gauge = max_wait, gauge
        self._seconds_per_unit = dict(SECONDS_PER_UNIT)
        self._loop, self._threads, self._compilers = map(Lane, (1, THREADS, THREADS))

    @classmethod
    def in_state(cls, state: Mapping[str, Any]) -> "RequestQueue":
        """Return the queue in the state of an ASGI scope."""
        return cast(RequestQueue, state["queue"])

    def admit(self, work: Work, waited: float = 0.0) -> Job:
        """Admit work, and return its job. Raises OverloadError if its estimated wait is too long.

        waited: seconds since the request arrived
        """
        seconds = self._estimate(work)
        job = Job(perf_counter() + DEADLINE_FACTOR * seconds, seconds)
        wait = self._lane(work).estimated_wait(job.deadline)
        if wait and waited + MARGIN * wait > self._max_wait:
            raise OverloadError(work.kind, wait)
        return job

    async def run(self, work: Work, chunks: Iterator[T | None], request: Request) -> T:
        """Run chunks until one yields a result, and return it. Stop if the client disconnects.

        Work shorter than a chunk runs at once.
        """
        if work.light and self._estimate(work) < CHUNK_SECONDS:
            return next(result for result in chunks if result is not None)
        waited = perf_counter() - Exchange.of(request.scope).arrived
        return await while_connected(request, self._run_chunks(work, chunks, waited))

    async def _run_chunks(self, work: Work, chunks: Iterator[T | None], waited: float) -> T:
        async with self._admitted(work, waited) as (lane, job):
            while True:
                started = perf_counter()
                if work.light:
                    result = _run_for(chunks, CHUNK_SECONDS)
                else:
                    result = await run_in_thread(
                        partial(_run_for, chunks, THREAD_CHUNK_SECONDS),
                        on_cancel=partial(job.limit_remaining, THREAD_CHUNK_SECONDS),
                    )
                lane.record_chunk(job, started)
                if result is not None:
                    return result
                await lane.yield_slot(job)

    async def query(self, cells: float, function: Callable[[], T], request: Request) -> T:
        """Call a function that queries the tables of a conditioned chain, in a thread.

        If the client disconnects before the query starts, the function is not called.

        cells: size of the tables
        """
        return await while_connected(request, self.call(Work("query", cells), function))

    async def call(self, work: Work, function: Callable[[], T]) -> T:
        """Call a function in a thread, unless the task is cancelled before it starts."""
        async with self._admitted(work) as (lane, job):
            started = perf_counter()
            result = await run_in_thread(function)
            lane.record_chunk(job, started)
            return result

    async def iterate(self, parts: Iterator[str]) -> AsyncIterator[str]:
        """Yield the parts of a stream, each made by `background`."""
        while (part := await self.background(lambda: next(parts, None))) is not None:
            yield part

    async def background(self, function: Callable[[], T]) -> T:
        """Call a function in a thread, for a stream; other work runs first for up to a second."""
        job = Job(perf_counter() + STREAM_DELAY, 0.0)
        await self._threads.acquire(job)
        try:
            return await run_in_threadpool(function)
        finally:
            self._threads.release(job)

    @asynccontextmanager
    async def _admitted(self, work: Work, waited: float = 0.0) -> AsyncIterator[tuple[Lane, Job]]:
        """Yield a running job and its lane. Raises OverloadError."""
        job, lane = self.admit(work, waited), self._lane(work)
        lane.jobs.add(job)
        try:
            with self._gauge.track_inprogress():
                await lane.acquire(job)
                yield lane, job
            self._measure(work, job.spent)
        finally:
            lane.remove(job)

    def _measure(self, work: Work, seconds: float) -> None:
        """Update the seconds per unit with the duration of work."""
        initial = SECONDS_PER_UNIT[work.kind]
        if work.units * initial >= MIN_MEASURED:
            # Limited: the process may have been suspended meanwhile.
            current = self._seconds_per_unit[work.kind]
            newest = min(seconds / work.units, 4 * current)
            self._seconds_per_unit[work.kind] += SMOOTHING * (newest - current)

    def _estimate(self, work: Work) -> float:
        """Return the estimated seconds of work."""
        overhead = 0 if work.light else THREAD_OVERHEAD
        return work.units * self._seconds_per_unit[work.kind] + overhead

    def _lane(self, work: Work) -> Lane:
        if work.kind == "compile":  # its own lane: known constraints do not wait for new ones
            return self._compilers
        return self._loop if work.light else self._threads


def _run_for(chunks: Iterator[T | None], seconds: float) -> T | None:
    """Run chunks for a number of seconds. Return the result, None if not finished."""
    end = perf_counter() + seconds
    for result in chunks:
        if result is not None or perf_counter() > end:
            return result
    raise AssertionError("the last chunk yields the result")
