"""Priority queue of jobs, which run in chunks on a limited number of slots.

The job with the earliest deadline runs first. The deadline is virtual: the arrival of the job plus
a multiple of its estimated duration. So small jobs run first, but large jobs do not starve.
"""

import asyncio
from dataclasses import dataclass
from heapq import heappop, heappush
from itertools import count
from time import perf_counter

CHUNK_SECONDS = 0.001  # of work in the event loop before other requests are served
SMOOTHING = 0.2  # weight of the newest measurement
# A job of s seconds runs before all jobs that arrive more than DEADLINE_FACTOR * s later.
DEADLINE_FACTOR = 4
MAX_SLOWDOWN = 20.0


@dataclass(eq=False)
class Job:
    """Work that has been admitted.

    deadline: in seconds of `perf_counter`; the job with the earliest one runs first
    remaining, spent: seconds of work, estimated and measured
    is_running: whether the job holds a slot
    """

    deadline: float
    remaining: float
    spent: float = 0.0
    is_running: bool = False

    def limit_remaining(self, seconds: float) -> None:
        """Lower the estimate of the remaining work, for a job that has been cancelled."""
        self.remaining = min(self.remaining, seconds)


class Lane:
    """A priority queue with a number of slots.

    jobs: the jobs that run or wait
    slowdown: elapsed seconds for each second of work: above 1 if other requests run in between,
        below 1 if several slots work
    """

    def __init__(self, slots: int) -> None:
        self.jobs: set[Job] = set()
        self.slowdown = 1.0
        self._free_slots = slots
        self._waiting: list[tuple[float, int, asyncio.Future[None]]] = []  # a heap by deadline
        self._numbers = count()
        self._last_chunk_end = 0.0

    def estimated_wait(self, deadline: float) -> float:
        """Return the estimated seconds until a job with this deadline runs."""
        return self.slowdown * sum(job.remaining for job in self.jobs if job.deadline <= deadline)

    async def acquire(self, job: Job) -> None:
        """Wait for a slot."""
        if self._free_slots:
            self._free_slots -= 1
        else:
            granted = asyncio.get_running_loop().create_future()
            heappush(self._waiting, (job.deadline, next(self._numbers), granted))
            try:
                await granted
            except asyncio.CancelledError:
                if not granted.cancelled():  # it got a slot at the same moment
                    self._pass_on_slot()
                raise
        job.is_running = True

    async def yield_slot(self, job: Job) -> None:
        """Yield to jobs with an earlier deadline, and to the event loop."""
        if self._waiting and self._waiting[0][0] < job.deadline:
            self.release(job)
            await self.acquire(job)
        else:
            await asyncio.sleep(0)

    def release(self, job: Job) -> None:
        """Pass the slot of a job on to the next job, if it holds one."""
        if job.is_running:
            job.is_running = False
            self._pass_on_slot()

    def record_chunk(self, job: Job, started: float) -> None:
        """Update the estimates after a chunk that has ended now."""
        now = perf_counter()
        seconds = now - started
        job.spent += seconds
        # A job that takes longer than estimated gets a later deadline, and will take even longer.
        job.deadline += DEADLINE_FACTOR * max(0.0, seconds - job.remaining)
        job.remaining = max(job.remaining - seconds, job.spent / 4, CHUNK_SECONDS)
        if len(self.jobs) > 1 and self._last_chunk_end and seconds > CHUNK_SECONDS / 2:
            newest = min((now - self._last_chunk_end) / seconds, MAX_SLOWDOWN)
            self.slowdown += SMOOTHING / 4 * (newest - self.slowdown)
        self._last_chunk_end = now

    def remove(self, job: Job) -> None:
        """Remove a job that has ended or was cancelled, and release its slot."""
        self.jobs.discard(job)
        self.release(job)
        if not self.jobs:
            self._last_chunk_end = 0.0
            self.slowdown += SMOOTHING * (1.0 - self.slowdown)

    def _pass_on_slot(self) -> None:
        while self._waiting:
            granted = heappop(self._waiting)[-1]
            if not granted.done():
                granted.set_result(None)
                return
        self._free_slots += 1
