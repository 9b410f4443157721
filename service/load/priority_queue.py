"""A priority queue of jobs, some of which may do a chunk of their work at the same time."""

import asyncio
from dataclasses import dataclass
from heapq import heappop, heappush
from itertools import count
from time import perf_counter

CHUNK = 0.001  # seconds of work in the event loop before others are served
SMOOTHING = 0.2  # weight of the newest measurement
# Work of s seconds goes before what comes more than PATIENCE * s later: large work that waits
# is overtaken by small work, but not for ever.
PATIENCE = 4


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

    def cut(self, remaining: float) -> None:
        """Lower the estimate of the seconds that remain, for a job that has been cancelled."""
        self.remaining = min(self.remaining, remaining)


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
