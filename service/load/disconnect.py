"""Cancels work when its client disconnects."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import TypeVar

from fastapi import Request
from starlette.concurrency import run_in_threadpool

from service.errors import ClientDisconnectedError

T = TypeVar("T")


async def while_connected(request: Request, work: Awaitable[T]) -> T:
    """Await work; if the client disconnects first, cancel it and raise ClientDisconnectedError.

    The body of the request has been read.
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
        del task, work  # an error that they ended with knows this frame


async def in_thread(function: Callable[[], T], cancelled: Callable[[], None] | None = None) -> T:
    """Call a function in a thread. Being cancelled takes effect when the function returns.

    A thread cannot be stopped, so its job keeps its turn until then.

    cancelled: called when the task is cancelled, before the function returns
    """
    call = asyncio.ensure_future(run_in_threadpool(function))
    try:
        return await asyncio.shield(call)
    except asyncio.CancelledError:
        if cancelled:
            cancelled()
        await asyncio.wait({call})
        call.exception()  # retrieved: nobody else will, and asyncio would log it
        raise
    finally:
        del call  # an error of the function knows this frame


async def _disconnect(request: Request) -> None:
    while (await request.receive())["type"] != "http.disconnect":
        pass
