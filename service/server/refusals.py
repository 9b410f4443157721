"""Refusals: why a connection is closed before a request reaches the application."""

from collections.abc import Sequence
from typing import NamedTuple

from uvicorn.protocols.http.httptools_impl import STATUS_LINE

from models.errors import MonikerError
from service.errors import (
    HeadersTooLargeError,
    MalformedHttpError,
    RequestTimeoutError,
    ServiceError,
)
from service.http.exchange import CLOSE
from service.problems import problem_response

MAX_HEAD = 2**15  # bytes of a request line and its headers
MAX_PIPELINED = 16  # requests that wait for the response to an earlier one


class Refusal(NamedTuple):
    """Why a connection is closed.

    reason: label of the metric
    error: sent to the client; None if responses are due, after which the connection closes
    """

    reason: str
    error: ServiceError | None

    def response(self) -> bytes:
        """Return the error as an HTTP/1.1 response."""
        assert self.error is not None
        response = problem_response(self.error)
        headers = [b"%s: %s\r\n" % header for header in response.raw_headers]
        return (
            STATUS_LINE[response.status_code] + b"".join(headers) + b"\r\n" + bytes(response.body)
        )


def _malformed(detail: str) -> Refusal:
    return Refusal("malformed", MalformedHttpError(detail, headers=CLOSE))


MALFORMED = _malformed("The request is not valid HTTP/1.1.")
HOST_COUNT = _malformed("The request must have exactly one Host header.")
LATE = Refusal(
    "late",
    RequestTimeoutError(
        "The request line and headers did not arrive within the time limit.", headers=CLOSE
    ),
)
TOO_LARGE = Refusal(
    "too_large",
    HeadersTooLargeError(
        f"The request line and headers must be at most {MAX_HEAD:,} bytes.", headers=CLOSE
    ),
)
TOO_MANY = Refusal("too_many", None)


class HeadRefusedError(MonikerError):
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
