"""The request queue: work waits for its turn, small work goes before large.

Work is done in chunks of some milliseconds, and before each of them it gives way to whatever
goes first. How long work takes is estimated from its size and from how long such work took before.
"""

from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import partial
from time import perf_counter
from typing import TypeVar

from fastapi import Request
from prometheus_client import Gauge
from starlette.concurrency import run_in_threadpool

from service.errors import OverloadError
from service.load.disconnect import in_thread, while_connected
from service.load.priority_queue import CHUNK, PATIENCE, SMOOTHING, Job, Lane

T = TypeVar("T")

CHUNK_IN_THREAD = 0.02  # seconds of work before others have their turn
THREADS = 2  # do not share the processor well, but keep each other from standing still
ALL_THREADS = 2 * THREADS + 1  # as many again compile; one waits for checkpoints to change
# Seconds that a unit takes, until it has been measured.
PACES = {
    "sample": 4e-8,  # a character of a name
    "distinct": 4e-7,  # the same, without repetition
    "score": 4e-7,  # a character
    "explain": 1e-4,  # a character
    "search": 2e-9,  # a cell of the transition tables of a constraint
    "compile": 5e-3,  # a set of constraints
}
IN_THREAD = 0.001  # seconds that work in a thread takes besides, whatever its size
MEASURED = 0.005  # seconds; the pace of shorter work is mostly fixed costs
MARGIN = 1.4  # safety factor: the load may rise while a job waits


@dataclass(frozen=True)
class Work:
    """Units of work of a kind in PACES.

    light: whether its steps take a few milliseconds at most, so that the event loop can do them.
        A thread would have to ask for the interpreter hundreds of times, and wait each time.
    """

    kind: str
    units: float
    light: bool = False


class Queue:
    """All work of a process.

    max_wait: seconds
    gauge: of the jobs
    """

    def __init__(self, max_wait: float, gauge: Gauge) -> None:
        self._max_wait, self._gauge = max_wait, gauge
        self._paces = dict(PACES)
        self._loop, self._threads, self._compilers = map(Lane, (1, THREADS, THREADS))

    def check(self, work: Work, waited: float = 0.0) -> Job:
        """The job that the work would be, if it came now.

        waited: seconds that it has waited elsewhere

        Raises OverloadError if it would have to wait too long.
        """
        seconds = self._seconds(work)
        job = Job(perf_counter() + PATIENCE * seconds, seconds)
        wait = self._lane(work).wait(job.rank)
        if wait and waited + MARGIN * wait > self._max_wait:
            raise OverloadError(work.kind, wait)
        return job

    async def run(self, work: Work, steps: Iterator[T | None], request: Request) -> T:
        """Take steps until one returns a result, for as long as the client waits for it.

        What takes less than a chunk is done at once.
        """
        if work.light and self._seconds(work) < CHUNK:
            return next(result for result in steps if result is not None)
        now = perf_counter()
        waited = now - request.scope["state"].get("arrived", now)
        return await while_connected(request, self._take(work, steps, waited))

    async def _take(self, work: Work, steps: Iterator[T | None], waited: float) -> T:
        async with self._admitted(work, waited) as (lane, job):
            while True:
                started = perf_counter()
                if work.light:
                    result = _chunk(steps, CHUNK)
                else:
                    chunk = partial(_chunk, steps, CHUNK_IN_THREAD)
                    result = await in_thread(chunk, partial(job.cut, CHUNK_IN_THREAD))
                lane.record(job, started)
                if result is not None:
                    return result
                await lane.give_way(job)

    async def search(self, cells: float, function: Callable[[], T], request: Request) -> T:
        """Call a function that searches the tables of a constraint, in a thread.

        If the client disconnects before the search begins, the function is not called.

        cells: size of the tables
        """
        return await while_connected(request, self.call(Work("search", cells), function))

    async def call(self, work: Work, function: Callable[[], T]) -> T:
        """Call a function in a thread, unless the task is cancelled before its turn."""
        async with self._admitted(work) as (lane, job):
            started = perf_counter()
            result = await in_thread(function)
            lane.record(job, started)
            return result

    async def iterate(self, parts: Iterator[str]) -> AsyncIterator[str]:
        """Make the parts of a stream in threads; other work goes first for a second at most."""
        while (part := await self.background(lambda: next(parts, None))) is not None:
            yield part

    async def background(self, function: Callable[[], T]) -> T:
        """Call a function in a thread, for a stream."""
        job = Job(perf_counter() + 1.0, 0.0)
        await self._threads.take_turn(job)
        try:
            return await run_in_threadpool(function)
        finally:
            self._threads.end_turn(job)

    @asynccontextmanager
    async def _admitted(self, work: Work, waited: float = 0.0) -> AsyncIterator[tuple[Lane, Job]]:
        """A job that has its turn. Raises OverloadError."""
        job, lane = self.check(work, waited), self._lane(work)
        lane.jobs.add(job)
        try:
            with self._gauge.track_inprogress():
                await lane.take_turn(job)
                yield lane, job
            self._learn(work, job.spent)
        finally:
            lane.leave(job)

    def _learn(self, work: Work, seconds: float) -> None:
        if work.units * PACES[work.kind] >= MEASURED:
            # The process may have been stopped meanwhile.
            newest = min(seconds / work.units, 4 * self._paces[work.kind])
            self._paces[work.kind] += SMOOTHING * (newest - self._paces[work.kind])

    def _seconds(self, work: Work) -> float:
        return work.units * self._paces[work.kind] + (0 if work.light else IN_THREAD)

    def _lane(self, work: Work) -> Lane:
        if work.kind == "compile":  # known constraints do not wait for new ones
            return self._compilers
        return self._loop if work.light else self._threads


def _chunk(steps: Iterator[T | None], seconds: float) -> T | None:
    """Take steps for some seconds. Returns the result, or None if the work is not done."""
    end = perf_counter() + seconds
    for result in steps:
        if result is not None or perf_counter() > end:
            return result
    raise AssertionError("the last step returns the result")
