"""A reply that is made of the request while that is still coming, as in a pipe.

Lines go in and lines come out, however many: neither is ever whole in memory. Some of
the request is read ahead, for clients that do not read before they have sent it all.
"""

import asyncio
from codecs import BOM_UTF8
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import suppress
from functools import partial
from typing import Any

from anyio import CancelScope, create_task_group
from starlette.responses import Response
from starlette.types import Message, Receive, Scope, Send

from service.body import LateError, next_part

AHEAD = 2**24  # bytes of the request that may wait before no more are read
LONGEST = 2**16  # bytes of a line: of longer ones only the beginning waits for the rest
SHORT, SOON = 2**16, 1.0  # bytes and seconds in which a short list comes whole


class Ahead:
    """The parts of a request that have been read and wait for their turn; None at its end."""

    def __init__(self) -> None:
        self._parts: asyncio.Queue[bytes | None] = asyncio.Queue()
        self._size = 0  # in bytes
        self._room = asyncio.Event()
        self._room.set()

    async def put(self, part: bytes | None) -> None:
        """Add a part as soon as less than AHEAD waits."""
        await self._room.wait()
        self._parts.put_nowait(part)
        self._grow(len(part or b""))

    async def get(self) -> bytes | None:
        """The next part."""
        part = await self._parts.get()
        self._grow(-len(part or b""))
        return part

    def _grow(self, size: int) -> None:
        self._size += size
        if self._size < AHEAD:
            self._room.set()
        else:
            self._room.clear()


class Pipe(Response):
    """The answers to the lines of a request, in blocks.

    answer: makes text of up to `block` lines, in a thread
    """

    def __init__(
        self,
        answer: Callable[[list[bytes]], str],
        block: int,
        media_type: str,
        headers: Mapping[str, str],
    ) -> None:
        # As in StreamingResponse: a Response would tell the length of its body.
        self.status_code, self.background = 200, None
        self.media_type = media_type
        self.answer, self.block = answer, block
        self.init_headers(headers)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer until the lines end, or the client leaves or stands still.

        A short list needs no stream slot. Raises OverloadError if a longer one gets none.
        """
        state = scope["state"]
        first = await _first_part(receive, state)
        if not first.get("more_body", False):
            await self._answer_all(first, receive, send, state)
            return
        async with state["streams"].slot(scope) as slot:
            slot.moved(len(first["body"]))

            async def counting() -> Message:
                message = await receive()
                slot.moved(len(message.get("body", b"")))
                return message

            await self._answer_all(first, counting, slot.counting(send), state)

    async def _answer_all(
        self, first: Message, receive: Receive, send: Send, state: Mapping[str, Any]
    ) -> None:
        ahead = Ahead()
        async with create_task_group() as tasks:
            tasks.start_soon(_read_ahead, first, receive, state, ahead, tasks.cancel_scope)
            start = {"type": "http.response.start", "status": 200, "headers": self.raw_headers}
            await send(start)
            async for lines in _blocks(ahead, self.block):
                answer = partial(self.answer, lines)
                body = (await state["queue"].background(answer)).encode()
                await send({"type": "http.response.body", "body": body, "more_body": True})
            await send({"type": "http.response.body", "body": b"", "more_body": False})
            tasks.cancel_scope.cancel()


async def _first_part(receive: Receive, state: Mapping[str, Any]) -> Message:
    """What comes of the body soon, in one message: all of it, if it is short."""
    message = await next_part(receive, state)
    body = bytearray(message.get("body", b""))
    with suppress(TimeoutError):
        async with asyncio.timeout(SOON):
            while message.get("more_body", False) and len(body) < SHORT:
                message = await receive()
                body += message.get("body", b"")
    return {**message, "body": bytes(body)}


async def _read_ahead(
    message: Message,
    receive: Receive,
    state: Mapping[str, Any],
    ahead: Ahead,
    everything: CancelScope,
) -> None:
    """Take the request in until the client leaves or stands still, which ends everything."""
    try:
        while message["type"] == "http.request":
            await ahead.put(message["body"])
            if message["more_body"]:
                message = await next_part(receive, state)
            else:
                await ahead.put(None)
                message = await receive()  # that the client has left
    except LateError:
        state["cut"]()  # it is too late for another status
    everything.cancel()


async def _blocks(ahead: Ahead, most: int) -> AsyncIterator[list[bytes]]:
    """The lines, so many at a time at most, without their ends; each as soon as it has come."""
    mark, rest = BOM_UTF8, b""  # the mark may come before the first line
    while (body := await ahead.get()) is not None:
        *lines, rest = (rest + body).split(b"\n")
        rest = rest[:LONGEST]
        if lines:
            lines[0], mark = lines[0].removeprefix(mark), b""
        for start in range(0, len(lines), most):
            yield lines[start : start + most]
    if rest:
        yield [rest.removeprefix(mark)]
