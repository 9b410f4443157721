"""Observability: the id, duration, log line and metrics of every request, and security headers.

It is the outermost middleware, so that it covers every response.
"""

import re
from random import Random
from time import perf_counter

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from service.errors import CLIENT_CLOSED_REQUEST
from service.http.exchange import Exchange
from service.http.paths import ASSETS, DOCS
from service.lifecycle import Lifecycle
from service.problems import MEDIA_TYPE, framework_problem
from service.settings import Settings
from service.telemetry.logs import RequestLog, effective_format
from service.telemetry.metrics import Metrics

REQUEST_ID = re.compile(rb"[A-Za-z0-9._:/+=@-]{1,128}")
# https://www.w3.org/TR/trace-context/#traceparent-header
TRACEPARENT = re.compile(
    rb"(?!ff)[0-9a-f]{2}-(?!0{32})([0-9a-f]{32})-(?!0{16})[0-9a-f]{16}-[0-9a-f]{2}"
)
UNMATCHED = "unmatched"  # the route of all paths that do not exist
METHODS = {"GET", "POST", "HEAD", "OPTIONS", "PUT", "DELETE", "PATCH"}
SECURITY_HEADERS = [
    (b"x-content-type-options", b"nosniff"),
    (b"referrer-policy", b"no-referrer"),
]
# Values of Content-Security-Policy. Responses of the API load nothing. The page and /docs load
# scripts, styles and data of this service. A report has inline styles and plots, and no scripts.
API_POLICY = b"default-src 'none'; frame-ancestors 'none'"
PAGE_POLICY = (
    b"default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; "
    b"connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
REPORT_POLICY = (
    b"default-src 'none'; style-src 'unsafe-inline'; img-src data:; "
    b"base-uri 'none'; form-action 'none'; frame-ancestors 'none'; sandbox"
)


class ObservabilityMiddleware:
    """ASGI middleware: logs and counts every request, and adds headers to every response."""

    def __init__(
        self, app: ASGIApp, settings: Settings, metrics: Metrics, lifecycle: Lifecycle
    ) -> None:
        self._app, self._settings = app, settings
        self._metrics, self._lifecycle = metrics, lifecycle
        self._log = RequestLog(effective_format(settings.log_format))
        # The system's generator needs a system call, and an id is not a secret.
        self._ids = Random()  # noqa: S311

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on, and report it when it ends."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        request = ObservedRequest(scope, send, self._lifecycle, self._ids)
        self._metrics.in_flight.inc()
        try:
            await self._app(scope, receive, request.send)
        finally:
            self._metrics.in_flight.dec()
            self._report(request)

    def _report(self, request: "ObservedRequest") -> None:
        """Record the duration of a request, and log it."""
        scope, status = request.scope, request.status
        seconds = perf_counter() - request.arrived
        method = scope["method"] if scope["method"] in METHODS else "other"
        route = getattr(scope.get("route"), "path", UNMATCHED)
        self._metrics.observe(method, route, status, seconds)
        if self._settings.log_requests:
            self._log.write(request.id.decode(), request.trace, method, route, status, seconds)


class ObservedRequest:
    """A request and the beginning of its response.

    id: of X-Request-ID, or random
    trace: the trace id of traceparent; empty without
    arrived: when its headers were received, in seconds of `perf_counter`
    status: of the response; CLIENT_CLOSED_REQUEST until the response starts
    """

    def __init__(self, scope: Scope, send: Send, lifecycle: Lifecycle, ids: Random) -> None:
        self.scope = scope
        self.status = CLIENT_CLOSED_REQUEST
        request_id, self.trace = _identity(scope)
        self.id = request_id or b"%032x" % ids.getrandbits(128)
        self.arrived = Exchange.of(scope).arrived
        self._send = send
        self._lifecycle = lifecycle
        self._is_replaced = False

    async def send(self, message: Message) -> None:
        """Send a part of the response. An error that is not a problem is replaced by one."""
        if message["type"] == "http.response.start":
            self.status = message["status"]
            if self.status >= 400 and not _is_problem(message):
                self._is_replaced = True
                await self._send_problem(message)
            else:
                await self._send_with_headers(message)
        elif not self._is_replaced:
            await self._send(message)

    async def _send_problem(self, message: Message) -> None:
        response = framework_problem(self.status)
        response.raw_headers.extend(
            header for header in message["headers"] if not header[0].startswith(b"content-")
        )
        await response(self.scope, _disconnected, self._send_with_headers)

    async def _send_with_headers(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            headers = [*message.get("headers", ())]
            policy = (b"content-security-policy", _policy(self.scope["path"]))
            added = [(b"x-request-id", self.id), *SECURITY_HEADERS, policy]
            if self._lifecycle.draining:
                added.append((b"connection", b"close"))  # the client connects to another process
            message = {**message, "headers": headers + added}
        await self._send(message)


def _policy(path: str) -> bytes:
    """Return the Content-Security-Policy of every response at a path, whatever its status.

    A browser updates the headers of its copy with those of a 304, so they must be the same.
    """
    if path == "/" or path.startswith((ASSETS, DOCS)):
        return PAGE_POLICY
    is_report = path.startswith("/models/") and path.endswith("/report")
    return REPORT_POLICY if is_report else API_POLICY


def _identity(scope: Scope) -> tuple[bytes, str]:
    """Return the id and the trace id that a request has; each is empty if invalid or missing."""
    request_id, trace = b"", ""
    for name, value in scope["headers"]:
        if name == b"x-request-id" and REQUEST_ID.fullmatch(value):
            request_id = value
        elif name == b"traceparent" and (match := TRACEPARENT.fullmatch(value)):
            trace = match[1].decode()
    return request_id, trace


def _is_problem(message: Message) -> bool:
    return (b"content-type", MEDIA_TYPE.encode()) in message.get("headers", ())


async def _disconnected() -> Message:
    return {"type": "http.disconnect"}
