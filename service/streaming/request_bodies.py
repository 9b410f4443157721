"""Request bodies: size limit, read timeout and gzip decoding."""

import asyncio
import zlib
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import aclosing, asynccontextmanager
from typing import Any, NamedTuple

from fastapi import Request
from starlette.requests import ClientDisconnect
from starlette.types import Message, Receive

from service.errors import (
    ClientDisconnectedError,
    ContentTooLargeError,
    MalformedGzipError,
    RequestTimeoutError,
)
from service.http.exchange import CLOSE, Exchange
from service.http.negotiation import is_gzip
from service.settings import Settings
from service.telemetry.metrics import Metrics

GZIP_WBITS = 31  # makes zlib decode gzip only
DECODED_BLOCK = 2**16  # maximum number of decoded bytes yielded at once
INPUT_SLICE = 2**14  # bytes; zlib copies all input after the end of a member
MAX_MEMBERS = 1_000  # gzip members of a JSON body; empty ones take time but add no bytes


class Limit(NamedTuple):
    """Maximum size of a body in bytes, encoded and decoded, and advice if it is exceeded."""

    size: int
    advice: str = ""

    def check(self, request: Request) -> None:
        """Raise ContentTooLargeError if the Content-Length exceeds the limit."""
        if content_length(request) > self.size:
            raise self.exceeded()

    def exceeded(self) -> ContentTooLargeError:
        """Return the error of a body that exceeds the limit."""
        detail = f"The body must be at most {self.size:,} bytes{self.advice}."
        return ContentTooLargeError(detail, headers=CLOSE)


def content_length(request: Request) -> int:
    """Return the Content-Length, which the server has validated; 0 without the header."""
    # int() rejects very long strings, even of leading zeros.
    return int(request.headers.get("content-length", "").lstrip("0") or 0)


class Decoder:
    """Incremental gzip decoder that yields at most DECODED_BLOCK bytes at a time.

    A body may consist of several members, and zeros may follow the last one (RFC 1952). Without
    gzip encoding the parts are passed on unchanged.

    members: number of members that have begun
    """

    def __init__(self, is_gzip: bool) -> None:
        self.members = 0
        self._is_gzip = is_gzip
        self._member: Any = None  # zlib object of the current member, if there is one

    def feed(self, part: bytes) -> Iterator[bytes]:
        """Decode a part of the body. Raises MalformedGzipError."""
        if not self._is_gzip:
            yield part
            return
        for start in range(0, len(part), INPUT_SLICE):
            rest = part[start : start + INPUT_SLICE]
            while rest := rest if self._member else rest.lstrip(b"\0"):
                yield from self._decode(rest)
                rest = self._member.unused_data
                if self._member.eof:
                    self._member = None

    def finish(self) -> None:
        """Mark the end of the body. Raises MalformedGzipError if it is incomplete."""
        if self._is_gzip and (self._member or not self.members):
            raise MalformedGzipError("The gzip-encoded body is truncated.")

    def _decode(self, rest: bytes) -> Iterator[bytes]:
        """Decode up to the end of the input or of the member."""
        if not self._member:
            self._member = zlib.decompressobj(GZIP_WBITS)
            self.members += 1
        is_full = False
        try:
            # After a full block zlib may hold more output, even without input.
            while (rest or is_full) and not self._member.eof:
                block = self._member.decompress(rest, DECODED_BLOCK)
                rest, is_full = self._member.unconsumed_tail, len(block) == DECODED_BLOCK
                yield block
        except zlib.error as error:
            detail = "The body is not valid gzip."
            raise MalformedGzipError(detail, headers=CLOSE) from error


async def whole_body(request: Request, limit: Limit) -> bytes:
    """Return the decoded body.

    Raises ContentTooLargeError if it exceeds the limit, encoded or decoded; RequestTimeoutError if
    it is not complete in time; MalformedGzipError or UnsupportedMediaTypeError if it cannot be
    decoded; ClientDisconnectedError.
    """
    try:
        if Exchange.of(
            request.scope
        ).body_received:  # it has arrived already, so no timeout is needed
            return await _read(request, limit)
        async with _in_time(request.scope["state"]):
            return await _read(request, limit)
    except ClientDisconnect as error:
        raise ClientDisconnectedError from error


async def _read(request: Request, limit: Limit) -> bytes:
    decoder = Decoder(is_gzip(request))
    received, body = 0, bytearray()
    async with aclosing(request.stream()) as parts:
        async for part in parts:
            received += len(part)
            for block in decoder.feed(part):
                body += block
                if max(received, len(body)) > limit.size or decoder.members > MAX_MEMBERS:
                    raise limit.exceeded()
    decoder.finish()
    return bytes(body)


async def next_part(receive: Receive, state: Mapping[str, Any]) -> Message:
    """Receive the next part of a body within `body_seconds`. Raises RequestTimeoutError."""
    async with _in_time(state):
        return await receive()


@asynccontextmanager
async def _in_time(state: Mapping[str, Any]) -> AsyncIterator[None]:
    seconds = Settings.in_state(state).body_seconds
    try:
        async with asyncio.timeout(seconds):
            yield
    except TimeoutError as error:
        Metrics.in_state(state).refused("late")
        detail = f"The body, or the next part of it, did not arrive within {seconds:g} s."
        raise RequestTimeoutError(detail, headers=CLOSE) from error
