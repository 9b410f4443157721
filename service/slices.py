"""Long work, done for a while at a time: in between others have their turn."""

from collections.abc import Iterator
from time import perf_counter

from anyio.lowlevel import checkpoint
from fastapi import Request
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException

from service.problems import GONE

TURN, WHILE = 0.001, 0.02  # seconds: in the event loop, in a thread


async def done_in_slices(steps: Iterator[str | None], light: bool, request: Request) -> str:
    """What the last of some steps gives; nobody goes on for a client that has left.

    Steps of a few milliseconds are done in the event loop. A thread would have to ask for the
    interpreter hundreds of times, and under load wait each time until the loop lets go of it.
    """
    while (done := await _slice(steps, light)) is None:
        if await request.is_disconnected():
            raise HTTPException(GONE)
    return done


async def _slice(steps: Iterator[str | None], light: bool) -> str | None:
    if not light:
        return await run_in_threadpool(_go_on, steps, WHILE)
    await checkpoint()
    return _go_on(steps, TURN)


def _go_on(steps: Iterator[str | None], seconds: float) -> str | None:
    end = perf_counter() + seconds
    for done in steps:
        if done is not None or perf_counter() > end:
            return done
    raise AssertionError("the last step gives something")
