"""The body of a request: within its limit and its time, unpacked if it is gzip-encoded."""

import asyncio
import zlib
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import aclosing, asynccontextmanager
from typing import Any, NamedTuple

from fastapi import Request
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect
from starlette.types import Message, Receive

from service.negotiation import is_packed
from service.problems import GONE

GZIP = 31  # the wbits of zlib that read gzip and nothing else
BLOCK = 2**16  # bytes that are unpacked at once
SLICE = 2**14  # bytes of input at once, because zlib copies what follows the end of a member
MAX_MEMBERS = 1_000  # of a gzip body of JSON; empty ones take time and count as no bytes
CLOSE = {"Connection": "close"}  # what still comes is not read


class Limit(NamedTuple):
    """The most bytes of a body, packed and unpacked, and what to do if it has more."""

    size: int
    advice: str = ""

    def exceeded(self) -> HTTPException:
        """The 413 for a longer body."""
        detail = f"The body must be at most {self.size:,} bytes{self.advice}."
        return HTTPException(413, detail, CLOSE)


class LateError(HTTPException):
    """The client stands still: a 408."""

    def __init__(self) -> None:
        super().__init__(408, "The body did not come in time.", CLOSE)


class Unpacker:
    """Incremental gzip decoder that yields at most BLOCK bytes at a time.

    Members may follow each other, and zeros may follow the last one.

    members: how many have begun
    """

    def __init__(self) -> None:
        self.members = 0
        self._member: Any = None  # the decoder of the current member, if there is one

    def feed(self, part: bytes) -> Iterator[bytes]:
        """Yield what a part of the packed body unpacks to. Raises a 400 if it is corrupt."""
        for start in range(0, len(part), SLICE):
            rest = part[start : start + SLICE]
            while rest := rest if self._member else rest.lstrip(b"\0"):
                yield from self._unpack(rest)
                rest = self._member.unused_data
                if self._member.eof:
                    self._member = None

    def finish(self) -> None:
        """End the body. Raises a 400 if it is truncated or empty."""
        if self._member or not self.members:
            raise HTTPException(400, "The gzip-encoded body is truncated.")

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
            raise HTTPException(400, "The body cannot be unpacked as gzip.", CLOSE) from error


def refuse_any(request: Request) -> None:
    """Refuse a body, for a method in which it has no meaning (RFC 9110, section 9.3.1)."""
    headers = request.headers
    if headers.get("content-length", "0").strip("0") or "transfer-encoding" in headers:
        raise HTTPException(400, f"A {request.method} request must have no body; use POST.", CLOSE)


async def whole_body(request: Request, limit: Limit) -> bytes:
    """Return the body, unpacked.

    Raises a 413 if it exceeds the limit, packed or unpacked, before any of it is read if its
    Content-Length says so; LateError if it does not come in time; a 400 or 415 if it cannot be
    unpacked.
    """
    state = request.scope["state"]
    if int(request.headers.get("content-length", 0)) > limit.size:
        raise limit.exceeded()
    try:
        if state.get("whole"):  # it is here: no need to look at the clock
            return await _read(request, limit)
        async with _in_time(state):
            return await _read(request, limit)
    except ClientDisconnect as error:
        raise HTTPException(GONE) from error


async def _read(request: Request, limit: Limit) -> bytes:
    unpacker = Unpacker() if is_packed(request) else None
    received, body = 0, bytearray()
    async with aclosing(request.stream()) as parts:
        async for part in parts:
            received += len(part)
            for block in unpacker.feed(part) if unpacker else [part]:
                body += block
                members = unpacker.members if unpacker else 0
                if max(received, len(body)) > limit.size or members > MAX_MEMBERS:
                    raise limit.exceeded()
    if unpacker:
        unpacker.finish()
    return bytes(body)


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
