"""Duplex streaming: the response is sent while the request body is still arriving.

Request and response consist of lines, any number of them, and neither is ever complete in
memory. Some of the body is read ahead, for clients that send all of it before they read.
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

from service.errors import ServiceError
from service.http.exchange import Exchange
from service.load.queue import RequestQueue, Work
from service.load.stream_slots import StreamSlots
from service.streaming.request_bodies import DECODED_BLOCK, Decoder, next_part

MAX_BUFFERED = 2**24  # bytes of the request that are read ahead
MAX_LINE = 2**16  # bytes of a line that are kept; the rest of a longer line is dropped
CHUNK_LINES = 512  # lines of a short list that are answered in one chunk of work
SHORT_LIST = 2**16  # bytes; a longer list is streamed
SHORT_LIST_SECONDS = 0.25  # to wait for the end of a short list


class ReadAhead:
    """Bounded buffer between the request body and its processing; None marks the end.

    error: the error that ended reading, if any
    limit: number of buffered bytes from which on reading pauses
    on_bytes: called with the size of each part in bytes
    """

    def __init__(self) -> None:
        self.error: ServiceError | None = None
        self.limit = SHORT_LIST
        self.on_bytes: Callable[[int], None] = lambda size: None
        self._parts: asyncio.Queue[bytes | None] = asyncio.Queue()
        self._size = 0  # in bytes
        self._has_room = asyncio.Event()
        self._has_room.set()

    async def read(self, receive: Receive, state: Mapping[str, Any], is_gzip: bool) -> None:
        """Read the body, then wait until the client disconnects.

        Returns early with `error` set if the body is invalid or late.
        """
        decoder, more = Decoder(is_gzip), True
        try:
            while more:
                message = await next_part(receive, state)
                if message["type"] != "http.request":
                    return
                part, more = message.get("body", b""), message.get("more_body", False)
                self.on_bytes(len(part))
                decoded = bytearray()  # joins the blocks of many short gzip members
                for block in decoder.feed(part):
                    decoded += block
                    if len(decoded) >= DECODED_BLOCK:
                        await self._put(bytes(decoded))
                        decoded.clear()
                await self._put(bytes(decoded))
            decoder.finish()
            await self._put(None)
            await receive()  # returns when the client disconnects
        except ServiceError as error:
            self.error = error

    async def get(self) -> bytes | None:
        """Return the next part, None at the end of the body."""
        part = await self._parts.get()
        self._grow(-len(part or b""))
        return part

    async def first_part(self) -> tuple[bytes, bool]:
        """Return what arrives within SHORT_LIST_SECONDS, and whether it is the whole body."""
        body = bytearray()
        with suppress(TimeoutError):
            async with asyncio.timeout(SHORT_LIST_SECONDS):
                while len(body) < SHORT_LIST:
                    part = await self.get()
                    if part is None:
                        return bytes(body), True
                    body += part
        return bytes(body), False

    async def _put(self, part: bytes | None) -> None:
        """Add a part when less than the limit is buffered."""
        await self._has_room.wait()
        self._parts.put_nowait(part)
        self._grow(len(part or b""))
        await asyncio.sleep(0)  # one encoded part may decode to a thousand blocks

    def _grow(self, size: int) -> None:
        self._size += size
        if self._size < self.limit:
            self._has_room.set()
        else:
            self._has_room.clear()


class DuplexResponse(Response):
    """Response with an answer to each line of the request, in blocks of lines.

    answer: returns the text for a list of at most `block` lines
    work: returns the work of answering lines of a total size in bytes
    is_gzip: whether the request is gzip-encoded
    """

    def __init__(
        self,
        answer: Callable[[list[bytes]], str],
        work: Callable[[int], Work],
        block: int,
        is_gzip: bool,
        media_type: str,
        headers: Mapping[str, str],
    ) -> None:
        # As in StreamingResponse: Response.__init__ would set a Content-Length.
        self.status_code, self.background = 200, None
        self.media_type, self.extra_headers = media_type, headers
        self.answer, self.work, self.block, self.is_gzip = answer, work, block, is_gzip
        self.init_headers(headers)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer all lines, until the body ends, times out or the client disconnects.

        Raises ServiceError before the first byte of the response; a later error aborts the
        connection.
        """
        buffer, error = ReadAhead(), None
        tracked_send = ResponseStart(send)
        async with create_task_group() as tasks:

            async def read() -> None:
                await buffer.read(receive, scope["state"], self.is_gzip)
                tasks.cancel_scope.cancel()

            tasks.start_soon(read)
            try:
                await self._answer_all(buffer, Request(scope, receive), tracked_send)
            except ServiceError as rejection:
                error = rejection
            tasks.cancel_scope.cancel()
        error = error or buffer.error
        if error and not tracked_send.has_started:
            raise error
        if error:
            Exchange.of(scope).abort()  # the status has been sent already

    async def _answer_all(self, buffer: ReadAhead, request: Request, send: Send) -> None:
        """Answer a short list at once, a longer one as a stream, which needs a stream slot."""
        scope = request.scope
        queue = RequestQueue.in_state(scope["state"])
        streams = StreamSlots.in_state(scope["state"])
        body, is_complete = await buffer.first_part()
        if is_complete:
            text = await queue.run(self.work(len(body)), self._chunks(body), request)
            response = Response(text, headers=self.extra_headers, media_type=self.media_type)
            await response(scope, request.receive, send)
            return
        async with streams.slot(scope) as slot:
            slot.record_bytes(len(body))
            buffer.on_bytes, buffer.limit = slot.record_bytes, MAX_BUFFERED
            send = slot.recording(send)
            await send({"type": "http.response.start", "status": 200, "headers": self.raw_headers})
            async for lines in _line_blocks(body, buffer, self.block):
                text = await queue.background(partial(self.answer, lines))
                part = {"type": "http.response.body", "body": text.encode(), "more_body": True}
                await send(part)
            await send({"type": "http.response.body"})

    def _chunks(self, body: bytes) -> Iterator[str | None]:
        """Yield None after each chunk of work, and the answers to all lines at the end."""
        lines = body.split(b"\n")
        if not lines[-1]:
            lines.pop()
        lines[:1] = [line.removeprefix(BOM_UTF8) for line in lines[:1]]
        answers, size = [], min(self.block, CHUNK_LINES)
        for start in range(0, len(lines), size):
            answers.append(self.answer(lines[start : start + size]))
            yield None
        yield "".join(answers)


class ResponseStart:
    """An ASGI `send` that records whether the response has started."""

    def __init__(self, send: Send) -> None:
        self._send, self.has_started = send, False

    async def __call__(self, message: Message) -> None:
        """Send a message."""
        self.has_started = True
        await self._send(message)


async def _line_blocks(first: bytes, buffer: ReadAhead, limit: int) -> AsyncIterator[list[bytes]]:
    """Yield the lines without their ends as they arrive, in blocks of at most `limit` lines."""
    bom, rest = BOM_UTF8, b""  # a byte order mark may precede the first line
    body: bytes | None = first
    while body is not None:
        *lines, rest = (rest + body).split(b"\n")
        rest = rest[:MAX_LINE]
        if lines:
            lines[0], bom = lines[0].removeprefix(bom), b""
        for start in range(0, len(lines), limit):
            yield lines[start : start + limit]
        body = await buffer.get()
    if rest:
        yield [rest.removeprefix(bom)]
