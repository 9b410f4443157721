"""A connection that lasts no longer than its client keeps it moving.

uvicorn's, which reads and writes HTTP, with deadlines and a size for what it leaves open:
the head of a request (its request line and headers) and a reply that nobody reads. Where the
body of a request is read, `route` and `pipe` have deadlines for it.
"""

import asyncio
from collections.abc import Callable
from time import perf_counter
from typing import Any, Literal, NamedTuple, cast

from httptools import HttpParserError, HttpParserUpgrade, HttpRequestParser
from uvicorn._types import ASGI3Application
from uvicorn.config import Config
from uvicorn.protocols.http.httptools_impl import (
    STATUS_LINE,
    HttpToolsProtocol,
    RequestResponseCycle,
)
from uvicorn.server import ServerState

from service.errors import (
    HeadersTooLargeError,
    MalformedHttpError,
    RequestTimeoutError,
    ServiceError,
)
from service.problems import problem_response
from service.server.joined_writes import JoinedWrites
from service.settings import Settings
from service.telemetry.metrics import Metrics

MAX_HEAD = 2**15  # bytes of a request line and its headers
MAX_AHEAD = 16  # requests that are sent before the one before them is answered
LINGER = 0.25  # seconds in which a request that is on its way may arrive when the service stops
FAREWELL = 3.0  # seconds for a client to stop sending and read why it is refused


class Refusal(NamedTuple):
    """Why a connection is closed.

    label: of the metric
    error: sent to the client; None if replies are due, after which the connection closes
    """

    label: str
    error: ServiceError | None


CLOSE = {"Connection": "close"}
MALFORMED = Refusal(
    "malformed", MalformedHttpError("The request is not valid HTTP/1.1.", headers=CLOSE)
)
NO_HOST = Refusal(
    "malformed", MalformedHttpError("HTTP/1.1 requires exactly one Host header.", headers=CLOSE)
)
LATE = Refusal(
    "late",
    RequestTimeoutError("The request line and the headers did not arrive in time.", headers=CLOSE),
)
TOO_LARGE = Refusal(
    "too_large",
    HeadersTooLargeError(
        f"The request line and the headers must be at most {MAX_HEAD:,} bytes.", headers=CLOSE
    ),
)
TOO_MANY = Refusal("too_many", None)


class RefusedError(Exception):
    """A head that the parser is to stop at."""


class Deadline:
    """Calls a function some seconds after it is started, unless it is stopped."""

    def __init__(self, seconds: float, late: Callable[[], None]) -> None:
        self._seconds, self._late = seconds, late
        self._timer: asyncio.TimerHandle | None = None

    def start(self) -> None:
        """Begin to wait; one that has been started goes on."""
        if self._timer is None:
            self._timer = asyncio.get_running_loop().call_later(self._seconds, self._late)

    def stop(self) -> None:
        """Wait no more."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None


class Connection(HttpToolsProtocol):
    """One whose requests find in their state when they `arrived` and how to `cut` it.

    Requests may come before the ones before them are answered. They are parsed, the newest is
    `cycle`, and wait in `pipeline`.
    """

    def __init__(
        self,
        config: Config,
        server_state: ServerState,
        app_state: dict[str, Any],
        _loop: asyncio.AbstractEventLoop | None = None,
    ) -> None:
        super().__init__(config, server_state, app_state, _loop)
        settings: Settings = self.app_state["settings"]
        self._metrics: Metrics = self.app_state["metrics"]
        self._in: Literal["head", "body", "between"] = "between"
        self._fed = 0  # bytes of this head, but for what came with the request before it
        self._running: RequestResponseCycle | None = None  # the request that is answered, or was
        self._fault = MALFORMED  # what it means if the parser stops
        self._is_deaf = False  # what still comes is thrown away
        self._head = Deadline(settings.header_seconds, self._be_too_late)
        self._unread = Deadline(settings.write_seconds, self._drop_unread)

    @property
    def _is_answering(self) -> bool:
        return self._running is not None and not self._running.response_complete

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Wait for a request."""
        super().connection_made(transport)
        self._head.start()

    def connection_lost(self, exc: Exception | None) -> None:
        """Wait no more."""
        self._head.stop()
        self._unread.stop()
        self._disconnect()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Read on; what comes while no request is being answered is to become one in time."""
        if self._is_deaf:
            return
        self._fed += len(data)
        self._unset_keepalive_if_required()
        try:
            self._parse(data)
        except HttpParserError:
            self._refuse(self._fault)
            return
        if self.transport.is_closing():
            return
        if self._in == "head" and self._fed > MAX_HEAD:
            self._refuse(TOO_LARGE)
        elif not self._is_answering and self.timeout_keep_alive_task is None:
            self._head.start()

    def on_message_begin(self) -> None:
        """Begin a head."""
        super().on_message_begin()
        self._in = "head"
        self._head.stop()  # it has all the time from now on

    def on_header(self, name: bytes, value: bytes) -> None:
        """Take a header in. What comes behind a body is none, whatever it says."""
        if self._in == "head":
            super().on_header(name, value)

    def on_headers_complete(self) -> None:
        """Begin the request, from now on the application's."""
        if fault := self._fault_of_head():
            self._fault = fault
            raise RefusedError
        if self._is_asked_to_upgrade:
            return  # and read it again
        self._head.stop()
        self.scope["state"] |= {"arrived": perf_counter(), "cut": self.cut}
        super().on_headers_complete()
        self.cycle.transport = cast(asyncio.Transport, JoinedWrites(self.transport, self.end))
        self._in = "body"

    def on_message_complete(self) -> None:
        """Expect the next head."""
        if self._is_asked_to_upgrade:
            return
        self._in, self._fed = "between", 0
        self.scope["state"]["whole"] = True
        super().on_message_complete()

    def pause_writing(self) -> None:
        """Wait for the client to read on."""
        super().pause_writing()
        self._wait_for_reader()

    def resume_writing(self) -> None:
        """Go on: the client has read enough, unless this is the last that it is sent."""
        super().resume_writing()
        self._unread.stop()
        if self.transport.is_closing():
            self._wait_for_reader()

    def on_response_complete(self) -> None:
        """Go on to the next request, or to the end."""
        super().on_response_complete()
        if self.transport.is_closing():
            self._wait_for_reader()
        elif self._in == "head" and not self._is_answering:
            self._unset_keepalive_if_required()
            self._head.start()

    def timeout_keep_alive_handler(self) -> None:
        """Close, at once or when the client has read what it was sent."""
        self._close()

    def shutdown(self) -> None:
        """Close as soon as nothing is under way."""
        if self._is_answering:
            super().shutdown()
        else:
            self.loop.call_later(LINGER, self._close_if_idle)

    def end(self) -> None:
        """Close after a reply. A client that is still sending would not get it: let it finish."""
        if (self._in == "body" or self._is_deaf) and not self.transport.is_closing():
            self._is_deaf = True
            self.pipeline.clear()  # nothing can be written any more
            self.transport.write_eof()
            self.loop.call_later(FAREWELL, self._close)
        else:
            self.transport.close()

    def cut(self) -> None:
        """End a reply that cannot be completed, and the connection with it."""
        self._disconnect()
        self._close()

    def abort(self) -> None:
        """End the connection at once, whatever is under way."""
        self._disconnect()
        self.transport.abort()

    def _parse(self, data: bytes) -> None:
        """Read requests. Raises HttpParserError."""
        rest = memoryview(data)
        while rest:
            try:
                self.parser.feed_data(rest)
                return
            except HttpParserUpgrade as asked:
                # Java's client asks every service for HTTP/2 like this. The parser takes the
                # body for something else, unless the head is read again without the wish.
                rest = rest[asked.args[0] :]
                head = self._head_without_upgrade()
                self.parser = HttpRequestParser(self)  # the one before may have come to its end
                self.parser.feed_data(head)

    @property
    def _is_asked_to_upgrade(self) -> bool:
        return self.parser.should_upgrade() and self.parser.get_method() != b"CONNECT"

    def _head_without_upgrade(self) -> bytes:
        version = self.parser.get_http_version().encode()
        lines = [b"%s %s HTTP/%s" % (self.parser.get_method(), self.url, version)]
        lines += [b"%s: %s" % header for header in self.headers if header[0] != b"upgrade"]
        return b"\r\n".join(lines) + b"\r\n\r\n"

    def _fault_of_head(self) -> Refusal | None:
        """Why not to serve a request whose head is complete."""
        if len(self.pipeline) >= MAX_AHEAD:
            return TOO_MANY
        # Counted anew: what came at once may have been more than this head, or its beginning
        # may have come with the request before it.
        size = len(self.url) + sum(len(name) + len(value) for name, value in self.headers)
        if size > MAX_HEAD:
            return TOO_LARGE
        hosts = sum(name == b"host" for name, _ in self.headers)
        needed = self.parser.get_http_version() == "1.1"  # RFC 9112, section 3.2
        return NO_HOST if hosts > 1 or (needed and not hosts) else None

    def _start_asgi_task(self, cycle: RequestResponseCycle, app: ASGI3Application) -> None:
        self._running = cycle
        super()._start_asgi_task(cycle, app)

    def _disconnect(self) -> None:
        """Tell the application that nobody waits for its reply."""
        if self._running is not None and self._is_answering:
            self._running.disconnected = True
            self._running.message_event.set()

    def _close_if_idle(self) -> None:
        if self._is_answering:
            super().shutdown()
        else:
            self._close()

    def _refuse(self, refusal: Refusal) -> None:
        """Read no more, and close: with a problem, or after the replies that are still due."""
        self._is_deaf = True
        self._metrics.refused(refusal.label)
        if self._in == "body":  # the newest request cannot be completed
            if self.pipeline:
                self.pipeline.popleft()
            elif self._is_answering and not self.cycle.response_started:
                self._disconnect()
                self._reply(refusal)
                return
            else:
                self.cut()
                return
        if self._running is not None and self._is_answering:
            last = self.pipeline[0][0] if self.pipeline else self._running
            last.keep_alive = False  # uvicorn closes after it
        else:
            self._reply(refusal)

    def _reply(self, refusal: Refusal) -> None:
        """Reply with a problem. What still comes is received, or the reply would be lost."""
        assert refusal.error is not None
        reply = problem_response(refusal.error)
        lines = [b"%s: %s\r\n" % header for header in reply.raw_headers]
        self._unset_keepalive_if_required()
        self._head.stop()
        self.transport.write(
            STATUS_LINE[reply.status_code] + b"".join(lines) + b"\r\n" + reply.body
        )
        self.transport.write_eof()
        self.loop.call_later(FAREWELL, self._close)

    def _close(self) -> None:
        self.transport.close()
        self._wait_for_reader()

    def _be_too_late(self) -> None:
        if self._in == "head" and not self._is_deaf:
            self._refuse(LATE)
        else:  # nothing was begun, or a body is left over that nobody wants
            self._close()

    def _wait_for_reader(self) -> None:
        if self.transport.get_write_buffer_size():
            self._unread.start()

    def _drop_unread(self) -> None:
        self._metrics.refused("unread")
        self.transport.abort()
