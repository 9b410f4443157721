"""A reply that is made of the request while that is still coming, as in a pipe.

Lines go in and lines come out, however many: neither is ever whole in memory. Some of
the request is read ahead, for clients that do not read before they have sent it all.
"""

import asyncio
from codecs import BOM_UTF8
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from contextlib import suppress
from functools import partial
from typing import Any

from anyio import create_task_group
from fastapi import Request
from starlette.responses import Response
from starlette.types import Message, Receive, Scope, Send

from service.errors import OverloadError
from service.exchange import Exchange
from service.load.queue import RequestQueue, Work
from service.load.stream_slots import StreamSlots
from service.streaming.bodies import BLOCK, Unpacker, next_part

AHEAD = 2**24  # bytes of the request that may wait before no more are read
LONGEST = 2**16  # bytes of a line: of longer ones only the beginning waits for the rest
STEP = 512  # lines of a short list that are answered at once
SHORT, SOON = 2**16, 0.25  # bytes and seconds in which a short list comes whole


class ReadAhead:
    """The parts of a request that have been read and wait for their turn; None at its end.

    error: why the rest of the request cannot be read, if it cannot
    limit: bytes that may wait before no more are read
    moved: called with the size of each part that is read
    """

    def __init__(self) -> None:
        self.error: ServiceError | None = None
        self.limit = SHORT
        self.moved: Callable[[int], None] = lambda size: None
        self._parts: asyncio.Queue[bytes | None] = asyncio.Queue()
        self._size = 0  # in bytes
        self._room = asyncio.Event()
        self._room.set()

    async def fill(self, receive: Receive, state: Mapping[str, Any], is_packed: bool) -> None:
        """Read a request until the client leaves or stands still."""
        unpacker, more = Unpacker(is_packed), True
        try:
            while more:
                message = await next_part(receive, state)
                if message["type"] != "http.request":
                    return
                part, more = message.get("body", b""), message.get("more_body", False)
                self.moved(len(part))
                waiting = bytearray()  # members of gzip may be short and many
                for block in unpacker.feed(part):
                    waiting += block
                    if len(waiting) >= BLOCK:
                        await self._put(bytes(waiting))
                        waiting.clear()
                await self._put(bytes(waiting))
            unpacker.finish()
            await self._put(None)
            await receive()  # that the client has left
        except ServiceError as error:
            self.error = error

    async def get(self) -> bytes | None:
        """The next part."""
        part = await self._parts.get()
        self._grow(-len(part or b""))
        return part

    async def beginning(self) -> tuple[bytes, bool]:
        """What comes soon, and whether that is all: a short list."""
        body = bytearray()
        with suppress(TimeoutError):
            async with asyncio.timeout(SOON):
                while len(body) < SHORT:
                    part = await self.get()
                    if part is None:
                        return bytes(body), True
                    body += part
        return bytes(body), False

    async def _put(self, part: bytes | None) -> None:
        """Add a part as soon as less than the limit waits."""
        await self._room.wait()
        self._parts.put_nowait(part)
        self._grow(len(part or b""))
        await asyncio.sleep(0)  # a packed part may be a thousand times as long

    def _grow(self, size: int) -> None:
        self._size += size
        if self._size < self.limit:
            self._room.set()
        else:
            self._room.clear()


class DuplexResponse(Response):
    """The answers to the lines of a request, in blocks.

    answer: makes text of up to `block` lines
    work: returns the work of answering lines of a total size in bytes
    is_packed: whether the request is gzip-encoded
    """

    def __init__(
        self,
        answer: Callable[[list[bytes]], str],
        work: Callable[[int], Work],
        block: int,
        is_packed: bool,
        media_type: str,
        headers: Mapping[str, str],
    ) -> None:
        # As in StreamingResponse: a Response would tell the length of its body.
        self.status_code, self.background = 200, None
        self.media_type, self.given = media_type, headers
        self.answer, self.work, self.block, self.is_packed = answer, work, block, is_packed
        self.init_headers(headers)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer until the lines end, or the client leaves or stands still.

        Raises OverloadError, or another ServiceError if the first lines cannot be read.
        """
        ahead, error = ReadAhead(), None
        sent = ResponseStart(send)
        async with create_task_group() as tasks:

            async def read() -> None:
                await ahead.fill(receive, scope["state"], self.is_packed)
                tasks.cancel_scope.cancel()

            tasks.start_soon(read)
            try:
                await self._answer_all(ahead, Request(scope, receive), sent)
            except ServiceError as refused:
                error = refused
            tasks.cancel_scope.cancel()
        error = error or ahead.error
        if error and not sent.has_begun:
            raise error
        if error:
            Exchange.of(scope).abort()  # it is too late for another status

    async def _answer_all(self, ahead: ReadAhead, request: Request, send: Send) -> None:
        """Answer a short list as a whole; a longer one, part by part, needs a stream slot."""
        scope, state = request.scope, request.scope["state"]
        queue = RequestQueue.in_state(state)
        body, is_all = await ahead.beginning()
        if is_all:
            text = await queue.run(self.work(len(body)), self._steps(body), request)
            reply = Response(text, headers=self.given, media_type=self.media_type)
            await reply(scope, request.receive, send)
            return
        async with StreamSlots.in_state(state).slot(scope) as slot:
            slot.record_bytes(len(body))
            ahead.moved, ahead.limit = slot.record_bytes, AHEAD
            send = slot.recording(send)
            await send({"type": "http.response.start", "status": 200, "headers": self.raw_headers})
            async for lines in _blocks(body, ahead, self.block):
                text = await queue.background(partial(self.answer, lines))
                part = {"type": "http.response.body", "body": text.encode(), "more_body": True}
                await send(part)
            await send({"type": "http.response.body"})

    def _steps(self, body: bytes) -> Iterator[str | None]:
        """The answers to all lines at the last step."""
        lines = body.split(b"\n")
        if not lines[-1]:
            lines.pop()
        lines[:1] = [line.removeprefix(BOM_UTF8) for line in lines[:1]]
        answers, size = [], min(self.block, STEP)
        for start in range(0, len(lines), size):
            answers.append(self.answer(lines[start : start + size]))
            yield None
        yield "".join(answers)


class ResponseStart:
    """A `send` that remembers whether the reply has begun."""

    def __init__(self, send: Send) -> None:
        self._send, self.has_begun = send, False

    async def __call__(self, message: Message) -> None:
        """Send."""
        self.has_begun = True
        await self._send(message)


async def _blocks(first: bytes, ahead: ReadAhead, most: int) -> AsyncIterator[list[bytes]]:
    """The lines, so many at a time at most, without their ends; each as soon as it has come."""
    mark, rest = BOM_UTF8, b""  # the mark may come before the first line
    body: bytes | None = first
    while body is not None:
        *lines, rest = (rest + body).split(b"\n")
        rest = rest[:LONGEST]
        if lines:
            lines[0], mark = lines[0].removeprefix(mark), b""
        for start in range(0, len(lines), most):
            yield lines[start : start + most]
        body = await ahead.get()
    if rest:
        yield [rest.removeprefix(mark)]
