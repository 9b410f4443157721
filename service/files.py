"""Files that are read once and sent from memory: nobody waits for a thread, no other can be had."""

import hashlib
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
# Programs, styles and data of this service alone, nothing inline.
POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; "
    "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)


def routes(files: Mapping[str, Path]) -> APIRouter:
    """A route for each path, to the file that is there now. Raises OSError."""
    router = APIRouter()
    for path, file in files.items():
        send = _sending(file.read_bytes(), MEDIA[file.suffix])
        router.add_api_route(path, send, methods=["GET", "HEAD"], include_in_schema=False)
    return router


def _sending(content: bytes, media: str) -> Callable[[Request], Awaitable[Response]]:
    headers = {
        "Content-Security-Policy": POLICY,
        "Cache-Control": "no-cache",  # a browser asks each time whether it is still the same
        "ETag": f'"{hashlib.sha256(content).hexdigest()[:32]}"',
    }

    async def send(request: Request) -> Response:
        reply = Response(content, headers=headers, media_type=media)
        known = request.headers.get("if-none-match", "")
        return NotModifiedResponse(reply.headers) if headers["ETag"] in known else reply

    return send
