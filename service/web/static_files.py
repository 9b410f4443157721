"""Static files, served from memory with entity tags, compressed if the client accepts gzip."""

import gzip
import hashlib
import re
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path
from typing import NamedTuple

from fastapi import APIRouter, Request, Response
from starlette.staticfiles import NotModifiedResponse

from service.negotiation import GZIP, IDENTITY, accepted_codings

MEDIA = {
    ".html": "text/html",
    ".css": "text/css",
    ".js": "text/javascript",
    ".svg": "image/svg+xml",
}
VARY = {"Vary": "Accept-Encoding"}
ENTITY_TAG = re.compile(r'(?:W/)?("[^"]*")')


class Representation(NamedTuple):
    """Bytes to send, and the headers that belong to them."""

    content: bytes
    headers: dict[str, str]


class Resource:
    """Content in memory, and the same compressed if that makes it smaller.

    It is compressed once, here, at the highest level: 60 ms for the largest file there is.
    """

    def __init__(self, content: bytes, media: str) -> None:
        self._media = media
        self._representations = {IDENTITY: _representation(content)}
        packed = gzip.compress(content, compresslevel=9, mtime=0)
        if len(packed) < len(content):  # the first is preferred if a client accepts both alike
            self._representations = {
                GZIP: _representation(packed, {"Content-Encoding": GZIP} | VARY),
                IDENTITY: _representation(content, VARY),
            }

    def reply(self, request: Request) -> Response:
        """The representation that the client prefers, or a 304 if it has one that it accepts."""
        codings = accepted_codings(request, [*self._representations])
        accepted = [self._representations[coding] for coding in codings]
        known = ",".join(request.headers.getlist("if-none-match"))
        current = next((one for one in accepted if _has(known, one.headers["ETag"])), None)
        content, headers = current or accepted[0]
        reply = Response(content, headers=headers, media_type=self._media)
        return NotModifiedResponse(reply.headers) if current else reply


def routes(files: Mapping[str, Path]) -> APIRouter:
    """A route for each path, to the file that is there now. Raises OSError."""
    router = APIRouter()
    for path, file in files.items():
        send = _sending(Resource(file.read_bytes(), MEDIA[file.suffix]))
        router.add_api_route(path, send, methods=["GET", "HEAD"], include_in_schema=False)
    return router


def _sending(resource: Resource) -> Callable[[Request], Awaitable[Response]]:
    async def send(request: Request) -> Response:
        return resource.reply(request)

    return send


def _representation(content: bytes, headers: Mapping[str, str] = {}) -> Representation:
    tag = f'"{hashlib.sha256(content).hexdigest()[:32]}"'
    # A browser asks each time whether its copy is still current.
    return Representation(content, {"Cache-Control": "no-cache", "ETag": tag, **headers})


def _has(known: str, tag: str) -> bool:
    """Whether an If-None-Match header has a tag, weak or not. Source: RFC 9110, section 13.1.2."""
    return known.strip() == "*" or tag in ENTITY_TAG.findall(known)
