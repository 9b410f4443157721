"""What is around every request: its id, its time, its line in the log, the safety of its reply.

Outside of everything else, so that nothing is missed, whoever makes the reply.
"""

import re
from random import Random
from time import perf_counter

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from service.errors import CLIENT_CLOSED_REQUEST
from service.paths import ASSETS, DOCS
from service.problems import MEDIA_TYPE, rejection
from service.process import Lifecycle
from service.settings import Settings
from service.telemetry.logs import RequestLog, chosen_format
from service.telemetry.metrics import Metrics

REQUEST_ID = re.compile(rb"[A-Za-z0-9._:/+=@-]{1,128}")
# https://www.w3.org/TR/trace-context/#traceparent-header
TRACEPARENT = re.compile(
    rb"(?!ff)[0-9a-f]{2}-(?!0{32})([0-9a-f]{32})-(?!0{16})[0-9a-f]{16}-[0-9a-f]{2}"
)
UNMATCHED = "unmatched"  # the route of all paths where there is nothing
METHODS = {"GET", "POST", "HEAD", "OPTIONS", "PUT", "DELETE", "PATCH"}
SAFE = [
    (b"x-content-type-options", b"nosniff"),
    (b"referrer-policy", b"no-referrer"),
]
# The Content-Security-Policy of what is to be read by programs, of the page and /docs, which load
# programs, styles and data of this service alone, and of a report, which has its own styles and
# plots and, whoever wrote the file, does nothing.
CLOSED = b"default-src 'none'; frame-ancestors 'none'"
PAGES = (
    b"default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; "
    b"connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
REPORT = (
    b"default-src 'none'; style-src 'unsafe-inline'; img-src data:; "
    b"base-uri 'none'; form-action 'none'; frame-ancestors 'none'; sandbox"
)


class ObservabilityMiddleware:
    """ASGI: watches requests go by."""

    def __init__(
        self, app: ASGIApp, settings: Settings, metrics: Metrics, lifecycle: Lifecycle
    ) -> None:
        self._app, self._settings = app, settings
        self._metrics, self._lifecycle = metrics, lifecycle
        self._log = RequestLog(chosen_format(settings.log_format))
        # The system's generator is a system call, and an id is no secret.
        self._ids = Random()  # noqa: S311

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on and tell how it went."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        observed = Observed(scope, send, self._lifecycle, self._ids)
        self._metrics.in_flight.inc()
        try:
            await self._app(scope, receive, observed.send)
        finally:
            self._metrics.in_flight.dec()
            self._tell(observed)

    def _tell(self, observed: "Observed") -> None:
        scope, status, seconds = observed.scope, observed.status, observed.seconds
        method = scope["method"] if scope["method"] in METHODS else "other"
        route = getattr(scope.get("route"), "path", UNMATCHED)
        self._metrics.observe(method, route, status, seconds)
        if self._settings.log_requests:
            self._log.write(observed.id.decode(), observed.trace, method, route, status, seconds)


class Observed:
    """A request that is under way, and what has been seen of its reply.

    status: of the reply; CLIENT_CLOSED_REQUEST if there is none
    """

    def __init__(self, scope: Scope, send: Send, lifecycle: Lifecycle, ids: Random) -> None:
        self.scope = scope
        self.status = CLIENT_CLOSED_REQUEST
        given, self.trace = _identity(scope)
        self.id = given or b"%032x" % ids.getrandbits(128)
        self._send = send
        self._lifecycle = lifecycle
        self._began = scope.get("state", {}).get("arrived") or perf_counter()
        self._replaced = False

    @property
    def seconds(self) -> float:
        """Since the request arrived."""
        return perf_counter() - self._began

    async def send(self, message: Message) -> None:
        """Send a part of the reply, its beginning with the headers that all replies have."""
        if message["type"] == "http.response.start":
            self.status = message["status"]
            if self.status >= 400 and not _is_problem(message):
                self._replaced = True
                said = rejection(self.status)
                kept = [one for one in message["headers"] if not one[0].startswith(b"content-")]
                said.raw_headers.extend(kept)
                await said(self.scope, _nothing, self._send_begun)
                return
            await self._send_begun(message)
        elif not self._replaced:
            await self._send(message)

    async def _send_begun(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            headers = [*message.get("headers", ())]
            policy = (b"content-security-policy", _policy(self.scope["path"]))
            added = [(b"x-request-id", self.id), *SAFE, policy]
            if self._lifecycle.leaving:  # somebody else will answer the next one
                added.append((b"connection", b"close"))
            message = {**message, "headers": headers + added}
        await self._send(message)


def _policy(path: str) -> bytes:
    """The policy of every reply at a path, whatever its status.

    A browser updates the headers of its copy with those of a 304, so they must be the same.
    """
    if path == "/" or path.startswith((ASSETS, DOCS)):
        return PAGES
    return REPORT if path.startswith("/models/") and path.endswith("/report") else CLOSED


def _identity(scope: Scope) -> tuple[bytes, str]:
    """The id that a request comes with, and the trace that it is a part of; empty without."""
    given, trace = b"", ""
    for name, value in scope["headers"]:
        if name == b"x-request-id" and REQUEST_ID.fullmatch(value):
            given = value
        elif name == b"traceparent" and (found := TRACEPARENT.fullmatch(value)):
            trace = found[1].decode()
    return given, trace


def _is_problem(message: Message) -> bool:
    return (b"content-type", MEDIA_TYPE.encode()) in message.get("headers", ())


async def _nothing() -> Message:
    return {"type": "http.disconnect"}
