"""The request queue: work waits for its turn, small work goes before large.

Work is done in chunks of some milliseconds, and before each of them it gives way to whatever
goes first. How long work takes is estimated from its size and from how long such work took before.
"""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from heapq import heappop, heappush
from itertools import count
from time import perf_counter
from typing import TypeVar

from fastapi import Request
from prometheus_client import Gauge
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException

from service.load.overload import OverloadError
from service.problems import GONE

T = TypeVar("T")

CHUNK, CHUNK_IN_THREAD = 0.001, 0.02  # seconds
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
SMOOTHING = 0.2  # weight of the newest measurement
# Work of s seconds goes before what comes more than PATIENCE * s later: large work that waits
# is overtaken by small work, but not for ever.
PATIENCE = 4
IN_THREAD = 0.001  # seconds that work in a thread takes besides, whatever its size
TELLING = 0.005  # seconds from which on work tells the pace of its kind, not its fixed costs
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


@dataclass(eq=False)
class Job:
    """Work that has been admitted.

    rank: the smallest goes first
    remaining, spent: seconds, estimated and measured
    """

    rank: float
    remaining: float
    spent: float = 0.0
    has_turn: bool = False


class Lane:
    """A priority queue for a number of slots.

    dilution: seconds that pass while a second of the work is done: more than 1 where other
        requests are served in between, less where several slots do it
    """

    def __init__(self, slots: int) -> None:
        self.jobs: set[Job] = set()
        self.dilution = 1.0
        self._free = slots
        self._turns: list[tuple[float, int, asyncio.Future[None]]] = []  # a heap
        self._numbers = count()
        self._ended = 0.0  # when the last chunk ended

    def wait(self, rank: float) -> float:
        """The estimated seconds until it is the turn of a rank."""
        return self.dilution * sum(job.remaining for job in self.jobs if job.rank <= rank)

    async def take_turn(self, job: Job) -> None:
        """Wait until the job may do a chunk."""
        if self._free:
            self._free -= 1
        else:
            turn = asyncio.get_running_loop().create_future()
            heappush(self._turns, (job.rank, next(self._numbers), turn))
            try:
                await turn
            except asyncio.CancelledError:
                if not turn.cancelled():  # it was its turn at the same moment
                    self._pass_on()
                raise
        job.has_turn = True

    async def give_way(self, job: Job) -> None:
        """Yield to jobs of lower rank and to the event loop."""
        if self._turns and self._turns[0][0] < job.rank:
            self.end_turn(job)
            await self.take_turn(job)
        else:
            await asyncio.sleep(0)

    def end_turn(self, job: Job) -> None:
        """Let the next job have its turn."""
        if job.has_turn:
            job.has_turn = False
            self._pass_on()

    def record(self, job: Job, started: float) -> None:
        """Take a chunk into account that has just ended."""
        now = perf_counter()
        seconds = now - started
        job.spent += seconds
        # What takes longer than estimated lets others go first, and will take longer still.
        job.rank += PATIENCE * max(0.0, seconds - job.remaining)
        job.remaining = max(job.remaining - seconds, job.spent / 4, CHUNK)
        if len(self.jobs) > 1 and self._ended and seconds > CHUNK / 2:
            newest = min((now - self._ended) / seconds, 20.0)
            self.dilution += SMOOTHING / 4 * (newest - self.dilution)
        self._ended = now

    def leave(self, job: Job) -> None:
        """Take a job out that is done, or will not be."""
        self.jobs.discard(job)
        self.end_turn(job)
        if not self.jobs:
            self._ended = 0.0
            self.dilution += SMOOTHING * (1.0 - self.dilution)

    def _pass_on(self) -> None:
        while self._turns:
            turn = heappop(self._turns)[-1]
            if not turn.done():
                turn.set_result(None)
                return
        self._free += 1


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
        async with self._admitted(work, waited) as (lane, job):
            while True:
                if await request.is_disconnected():
                    raise HTTPException(GONE)
                started = perf_counter()
                if work.light:
                    result = _chunk(steps, CHUNK)
                else:
                    result = await run_in_threadpool(_chunk, steps, CHUNK_IN_THREAD)
                lane.record(job, started)
                if result is not None:
                    return result
                await lane.give_way(job)

    async def call(self, work: Work, function: Callable[[], T]) -> T:
        """Call a function in a thread."""
        async with self._admitted(work) as (lane, job):
            started = perf_counter()
            result = await run_in_threadpool(function)
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
        if work.units * PACES[work.kind] >= TELLING:
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
    """Take steps for a while; the result, or None if there is none yet."""
    end = perf_counter() + seconds
    for result in steps:
        if result is not None or perf_counter() > end:
            return result
    raise AssertionError("the last step returns the result")
