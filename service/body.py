"""The body of a request, which is to come in time."""

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any

from fastapi import Request
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect
from starlette.types import Message, Receive

from service.problems import GONE


class LateError(HTTPException):
    """The client stands still: a 408."""

    def __init__(self) -> None:
        super().__init__(408, "The body did not come in time.", {"Connection": "close"})


async def whole_body(request: Request) -> bytes:
    """All of a body, which has so many seconds as a whole. Raises LateError."""
    state = request.scope["state"]
    try:
        if state.get("whole"):  # it is here: no need to look at the clock
            return await request.body()
        async with _in_time(state):
            return await request.body()
    except ClientDisconnect as error:
        raise HTTPException(GONE) from error


async def next_part(receive: Receive, state: Mapping[str, Any]) -> Message:
    """The next part of a body, which has so many seconds for itself. Raises LateError."""
    async with _in_time(state):
        return await receive()


@asynccontextmanager
async def _in_time(state: Mapping[str, Any]) -> AsyncIterator[None]:
    try:
        async with asyncio.timeout(state["settings"].body_seconds):
            yield
    except TimeoutError as error:
        state["metrics"].refused("late")
        raise LateError from error
