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

from anyio import create_task_group
from starlette.exceptions import HTTPException
from starlette.responses import Response
from starlette.types import Message, Receive, Scope, Send

from service.body import Unpacker, next_part

AHEAD = 2**24  # bytes of the request that may wait before no more are read
LONGEST = 2**16  # bytes of a line: of longer ones only the beginning waits for the rest
SHORT, SOON = 2**16, 1.0  # bytes and seconds in which a short list comes whole


class Ahead:
    """The parts of a request that have been read and wait for their turn; None at its end.

    error: why the rest of the request cannot be read, if it cannot
    """

    def __init__(self) -> None:
        self.error: HTTPException | None = None
        self._parts: asyncio.Queue[bytes | None] = asyncio.Queue()
        self._size = 0  # in bytes
        self._room = asyncio.Event()
        self._room.set()

    async def fill(
        self, message: Message, receive: Receive, state: Mapping[str, Any], is_packed: bool
    ) -> None:
        """Read a request, of which `message` is the beginning, until the client leaves."""
        unpacker = Unpacker() if is_packed else None
        try:
            while message["type"] == "http.request":
                part = message["body"]
                for block in unpacker.feed(part) if unpacker else [part]:
                    await self._put(block)
                if message["more_body"]:
                    message = await next_part(receive, state)
                    continue
                if unpacker:
                    unpacker.finish()
                await self._put(None)
                message = await receive()  # that the client has left
        except HTTPException as error:
            self.error = error

    async def get(self) -> bytes | None:
        """The next part."""
        part = await self._parts.get()
        self._grow(-len(part or b""))
        return part

    async def _put(self, part: bytes | None) -> None:
        """Add a part as soon as less than AHEAD waits."""
        await self._room.wait()
        self._parts.put_nowait(part)
        self._grow(len(part or b""))

    def _grow(self, size: int) -> None:
        self._size += size
        if self._size < AHEAD:
            self._room.set()
        else:
            self._room.clear()


class Pipe(Response):
    """The answers to the lines of a request, in blocks.

    answer: makes text of up to `block` lines, in a thread
    is_packed: whether the request is gzip-encoded
    """

    def __init__(
        self,
        answer: Callable[[list[bytes]], str],
        block: int,
        is_packed: bool,
        media_type: str,
        headers: Mapping[str, str],
    ) -> None:
        # As in StreamingResponse: a Response would tell the length of its body.
        self.status_code, self.background = 200, None
        self.media_type = media_type
        self.answer, self.block, self.is_packed = answer, block, is_packed
        self.init_headers(headers)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer until the lines end, or the client leaves or stands still.

        A short list needs no stream slot. Raises OverloadError if a longer one gets none.
        """
        state = scope["state"]
        first = await _first_part(receive, state)
        if not first["more_body"]:
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
        """Answer all lines. Raises HTTPException if the first of them cannot be read."""
        ahead, has_begun = Ahead(), False
        start = {"type": "http.response.start", "status": 200, "headers": self.raw_headers}
        async with create_task_group() as tasks:

            async def read() -> None:
                await ahead.fill(first, receive, state, self.is_packed)
                tasks.cancel_scope.cancel()

            tasks.start_soon(read)
            async for lines in _blocks(ahead, self.block):
                answer = partial(self.answer, lines)
                body = (await state["queue"].background(answer)).encode()
                if not has_begun:
                    await send(start)
                    has_begun = True
                await send({"type": "http.response.body", "body": body, "more_body": True})
            if not has_begun:
                await send(start)
            await send({"type": "http.response.body", "body": b"", "more_body": False})
            tasks.cancel_scope.cancel()
        if ahead.error and not has_begun:
            raise ahead.error
        if ahead.error:
            state["cut"]()  # it is too late for another status


async def _first_part(receive: Receive, state: Mapping[str, Any]) -> Message:
    """What comes of the body soon, in one message: all of it, if it is short."""
    message = await next_part(receive, state)
    body = bytearray(message.get("body", b""))
    with suppress(TimeoutError):
        async with asyncio.timeout(SOON):
            while message.get("more_body", False) and len(body) < SHORT:
                message = await receive()
                body += message.get("body", b"")
    return {"more_body": False, **message, "body": bytes(body)}


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
