"""Files that are read once and sent from memory: nobody waits for a thread, no other can be had."""

import hashlib
import re
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path

from fastapi import APIRouter, Request, Response
from starlette.staticfiles import NotModifiedResponse

MEDIA = {
    ".html": "text/html",
    ".css": "text/css",
    ".js": "text/javascript",
    ".svg": "image/svg+xml",
}
ENTITY_TAG = re.compile(r'(?:W/)?("[^"]*")')


def routes(files: Mapping[str, Path]) -> APIRouter:
    """A route for each path, to the file that is there now. Raises OSError."""
    router = APIRouter()
    for path, file in files.items():
        send = _sending(file.read_bytes(), MEDIA[file.suffix])
        router.add_api_route(path, send, methods=["GET", "HEAD"], include_in_schema=False)
    return router


def _sending(content: bytes, media: str) -> Callable[[Request], Awaitable[Response]]:
    tag = f'"{hashlib.sha256(content).hexdigest()[:32]}"'
    # A browser asks each time whether it is still the same.
    headers = {"Cache-Control": "no-cache", "ETag": tag}

    async def send(request: Request) -> Response:
        reply = Response(content, headers=headers, media_type=media)
        known = ",".join(request.headers.getlist("if-none-match"))
        return NotModifiedResponse(reply.headers) if _has(known, tag) else reply

    return send


def _has(known: str, tag: str) -> bool:
    """Whether an If-None-Match header has a tag, weak or not. Source: RFC 9110, section 13.1.2."""
    return known.strip() == "*" or tag in ENTITY_TAG.findall(known)
