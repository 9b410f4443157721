"""Refusals: why a connection is closed before a request reaches the application."""

from collections.abc import Sequence
from typing import NamedTuple

from uvicorn.protocols.http.httptools_impl import STATUS_LINE

from service.errors import problem

MAX_HEAD = 2**15  # bytes of a request line and its headers
MAX_PIPELINED = 16  # requests that wait for the reply to an earlier one


class Refusal(NamedTuple):
    """The status and detail of a problem, and the `reason` label of the metric."""

    status: int
    reason: str
    detail: str

    def response(self) -> bytes:
        """Return the problem as an HTTP/1.1 response."""
        reply = problem(self.status, self.detail, headers={"Connection": "close"})
        headers = [b"%s: %s\r\n" % header for header in reply.raw_headers]
        return STATUS_LINE[self.status] + b"".join(headers) + b"\r\n" + bytes(reply.body)


MALFORMED = Refusal(400, "malformed", "The request is not valid HTTP/1.1.")
HOST_COUNT = Refusal(400, "malformed", "The request must have exactly one Host header.")
LATE = Refusal(408, "late", "The request line and headers did not arrive within the time limit.")
TOO_LARGE = Refusal(
    431, "too_large", f"The request line and headers must be at most {MAX_HEAD:,} bytes."
)
# Never sent: replies to earlier requests are due, and the connection closes after them.
TOO_MANY = Refusal(429, "too_many", "Too many pipelined requests.")


class HeadRefusedError(Exception):
    """Stops the parser at the end of a head that is refused."""


def refusal_of_head(
    url: bytes, headers: Sequence[tuple[bytes, bytes]], http_version: str, pipelined: int
) -> Refusal | None:
    """Return why a request with a complete head is refused; None if it is served.

    pipelined: number of requests that wait before it
    """
    if pipelined >= MAX_PIPELINED:
        return TOO_MANY
    # The number of received bytes is not the size: they may include more than this head, or its
    # beginning may have arrived with the request before it.
    size = len(url) + sum(len(name) + len(value) for name, value in headers)
    if size > MAX_HEAD:
        return TOO_LARGE
    hosts = sum(name == b"host" for name, _ in headers)
    required = http_version == "1.1"  # RFC 9112, section 3.2
    return HOST_COUNT if hosts > 1 or (required and not hosts) else None
