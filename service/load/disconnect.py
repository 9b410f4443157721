"""Cancellation of work when its client disconnects."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import TypeVar

from fastapi import Request
from starlette.concurrency import run_in_threadpool

from service.errors import ClientDisconnectedError

T = TypeVar("T")


async def while_connected(request: Request, work: Awaitable[T]) -> T:
    """Return the result of the work; if the client disconnects first, cancel it and raise a 499.

    The body of the request must have been read.
    """
    task = asyncio.ensure_future(work)
    disconnect = asyncio.ensure_future(_disconnect(request))
    try:
        await asyncio.wait({task, disconnect}, return_when=asyncio.FIRST_COMPLETED)
        if task.done():
            return task.result()
        raise ClientDisconnectedError
    finally:
        task.cancel()
        disconnect.cancel()
        del task, work  # their exception refers to this frame: avoid a cycle


async def run_in_thread(
    function: Callable[[], T], on_cancel: Callable[[], None] | None = None
) -> T:
    """Call a function in a thread. A cancellation takes effect when the function returns.

    A thread cannot be stopped, so its job keeps its slot until then.

    on_cancel: called at once when the task is cancelled
    """
    call = asyncio.ensure_future(run_in_threadpool(function))
    try:
        return await asyncio.shield(call)
    except asyncio.CancelledError:
        if on_cancel:
            on_cancel()
        await asyncio.wait({call})
        call.exception()  # retrieve it, or asyncio logs it
        raise
    finally:
        del call  # an exception of the function refers to this frame: avoid a cycle


async def _disconnect(request: Request) -> None:
    while (await request.receive())["type"] != "http.disconnect":
        pass
