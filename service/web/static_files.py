"""Static files: served from memory with entity tags, and gzip for clients that accept it."""

import gzip
import hashlib
import re
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path
from typing import NamedTuple

from fastapi import APIRouter, Request, Response
from starlette.staticfiles import NotModifiedResponse

from service.http.negotiation import GZIP, IDENTITY, accepted_codings

MEDIA_TYPES = {
    ".html": "text/html",
    ".css": "text/css",
    ".js": "text/javascript",
    ".svg": "image/svg+xml",
}
VARY = {"Vary": "Accept-Encoding"}
ENTITY_TAG = re.compile(r'(?:W/)?("[^"]*")')


class Representation(NamedTuple):
    """Content of a response, and its headers. Source of the term: RFC 9110, section 3.2."""

    content: bytes
    headers: dict[str, str]


class Resource:
    """Content in memory, plain and gzip-encoded; plain only if gzip makes it larger.

    The constructor compresses at the highest level: 60 ms for the largest file, once.
    """

    def __init__(self, content: bytes, media_type: str) -> None:
        self._media_type = media_type
        self._representations = {IDENTITY: _representation(content)}
        compressed = gzip.compress(content, compresslevel=9, mtime=0)
        if len(compressed) < len(content):  # the first one wins if a client accepts both equally
            self._representations = {
                GZIP: _representation(compressed, {"Content-Encoding": GZIP} | VARY),
                IDENTITY: _representation(content, VARY),
            }

    def respond(self, request: Request) -> Response:
        """Return the representation that the client prefers, or a 304 if its copy is current."""
        codings = accepted_codings(request, [*self._representations])
        accepted = [self._representations[coding] for coding in codings]
        client_tags = ",".join(request.headers.getlist("if-none-match"))
        matching = (item for item in accepted if _matches(client_tags, item.headers["ETag"]))
        current = next(matching, None)
        content, headers = current or accepted[0]
        response = Response(content, headers=headers, media_type=self._media_type)
        return NotModifiedResponse(response.headers) if current else response


def routes(files: Mapping[str, Path]) -> APIRouter:
    """Return a route for each URL path to the content that a file has now. Raises OSError."""
    router = APIRouter()
    for path, file in files.items():
        send = _sending(Resource(file.read_bytes(), MEDIA_TYPES[file.suffix]))
        router.add_api_route(path, send, methods=["GET", "HEAD"], include_in_schema=False)
    return router


def _sending(resource: Resource) -> Callable[[Request], Awaitable[Response]]:
    async def send(request: Request) -> Response:
        return resource.respond(request)

    return send


def _representation(content: bytes, headers: Mapping[str, str] = {}) -> Representation:
    tag = f'"{hashlib.sha256(content).hexdigest()[:32]}"'
    # no-cache: a browser asks each time whether its copy is current.
    return Representation(content, {"Cache-Control": "no-cache", "ETag": tag, **headers})


def _matches(client_tags: str, tag: str) -> bool:
    """Return whether If-None-Match contains a tag, weak or strong (RFC 9110, section 13.1.2)."""
    return client_tags.strip() == "*" or tag in ENTITY_TAG.findall(client_tags)
