"""The body of a request: within its limit and its time, unpacked if it is gzip-encoded."""

import asyncio
import zlib
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import aclosing, asynccontextmanager
from typing import Any, NamedTuple

from fastapi import Request
from starlette.requests import ClientDisconnect
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from service.errors import GONE
from service.exchange import Exchange
from service.negotiation import is_packed
from service.settings import Settings
from service.telemetry.metrics import Metrics

GZIP = 31  # the wbits of zlib that read gzip and nothing else
BLOCK = 2**16  # bytes that are unpacked at once
SLICE = 2**14  # bytes of input at once, because zlib copies what follows the end of a member
MAX_MEMBERS = 1_000  # of a gzip body of JSON; empty ones take time and count as no bytes
CLOSE = {"Connection": "close"}  # what still comes is not read


class Limit(NamedTuple):
    """The most bytes of a body, packed and unpacked, and what to do if it has more."""

    size: int
    advice: str = ""

    def check(self, request: Request) -> None:
        """Raise ContentTooLargeError if the Content-Length is larger."""
        if content_length(request) > self.size:
            raise self.exceeded()

    def exceeded(self) -> ContentTooLargeError:
        """Return the error of a longer body."""
        detail = f"The body must be at most {self.size:,} bytes{self.advice}."
        return ContentTooLargeError(detail, headers=CLOSE)


def content_length(request: Request) -> int:
    """The Content-Length, a number in any valid request; 0 without. Leading zeros may be many."""
    return int(request.headers.get("content-length", "").lstrip("0") or 0)


class Unpacker:
    """Incremental gzip decoder that yields at most BLOCK bytes at a time.

    Members may follow each other, and zeros may follow the last one. What is not packed comes as
    it is.

    members: how many have begun
    """

    def __init__(self, is_packed: bool) -> None:
        self.members = 0
        self._is_packed = is_packed
        self._member: Any = None  # the decoder of the current member, if there is one

    def feed(self, part: bytes) -> Iterator[bytes]:
        """Yield what a part of the packed body unpacks to. Raises MalformedGzipError."""
        if not self._is_packed:
            yield part
            return
        for start in range(0, len(part), SLICE):
            rest = part[start : start + SLICE]
            while rest := rest if self._member else rest.lstrip(b"\0"):
                yield from self._unpack(rest)
                rest = self._member.unused_data
                if self._member.eof:
                    self._member = None

    def finish(self) -> None:
        """End the body. Raises MalformedGzipError if it is incomplete."""
        if self._is_packed and (self._member or not self.members):
            raise MalformedGzipError("The gzip-encoded body is truncated.")

    def _unpack(self, rest: bytes) -> Iterator[bytes]:
        """Yield what comes up to the end of the input or of the member."""
        if not self._member:
            self._member = zlib.decompressobj(GZIP)
            self.members += 1
        is_full = False
        try:
            # A full block may not be all, even if no input is left.
            while (rest or is_full) and not self._member.eof:
                block = self._member.decompress(rest, BLOCK)
                rest, is_full = self._member.unconsumed_tail, len(block) == BLOCK
                yield block
        except zlib.error as error:
            detail = "The body is not valid gzip."
            raise MalformedGzipError(detail, headers=CLOSE) from error


class BodilessMethods:
    """ASGI middleware: refuses a body with GET or HEAD, where it has no meaning.

    Source: RFC 9110, section 9.3.1.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass on what may pass."""
        if scope["type"] == "http" and scope["method"] in {"GET", "HEAD"}:
            for name, value in scope["headers"]:
                has_body = name == b"content-length" and value.strip(b"0")
                if has_body or name == b"transfer-encoding":
                    why = f"A {scope['method']} request must have no body; use POST."
                    raise UnexpectedBodyError(why, headers=CLOSE)
        await self._app(scope, receive, send)


async def whole_body(request: Request, limit: Limit) -> bytes:
    """Return the body, unpacked.

    Raises ContentTooLargeError if it exceeds the limit, packed or unpacked; RequestTimeoutError
    if it does not arrive in time; MalformedGzipError or UnsupportedMediaTypeError if it cannot be
    unpacked; ClientDisconnectedError.
    """
    try:
        if Exchange.of(request.scope).body_received:  # no deadline is needed
            return await _read(request, limit)
        async with _in_time(request.scope["state"]):
            return await _read(request, limit)
    except ClientDisconnect as error:
        raise ClientDisconnectedError from error


async def _read(request: Request, limit: Limit) -> bytes:
    unpacker = Unpacker(is_packed(request))
    received, body = 0, bytearray()
    async with aclosing(request.stream()) as parts:
        async for part in parts:
            received += len(part)
            for block in unpacker.feed(part):
                body += block
                if max(received, len(body)) > limit.size or unpacker.members > MAX_MEMBERS:
                    raise limit.exceeded()
    unpacker.finish()
    return bytes(body)


async def next_part(receive: Receive, state: Mapping[str, Any]) -> Message:
    """The next part of a body, which has so many seconds for itself. Raises RequestTimeoutError."""
    async with _in_time(state):
        return await receive()


@asynccontextmanager
async def _in_time(state: Mapping[str, Any]) -> AsyncIterator[None]:
    seconds = state["settings"].body_seconds
    try:
        async with asyncio.timeout(Settings.in_state(state).body_seconds):
            yield
    except TimeoutError as error:
        Metrics.in_state(state).refused("late")
        raise LateError from error
