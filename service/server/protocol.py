"""The HTTP protocol of a connection: uvicorn's, with deadlines and limits for its client.

uvicorn parses requests and writes responses. It has no time limit for a head (the request line and
headers) or for a client that does not read its response, and no size limit for a head. They are
here. `service.streaming` has the time limits of bodies.
"""

import asyncio
from time import perf_counter
from typing import Any, Literal, cast

from httptools import HttpParserError
from uvicorn._types import ASGI3Application
from uvicorn.config import Config
from uvicorn.protocols.http.httptools_impl import RequestResponseCycle
from uvicorn.server import ServerState

from service.http.exchange import KEY, Exchange
from service.server.deadlines import Deadline
from service.server.refusals import (
    LATE,
    MALFORMED,
    MAX_HEAD,
    TOO_LARGE,
    HeadRefusedError,
    Refusal,
    refusal_of_head,
)
from service.server.upgrade import UpgradeIgnoringProtocol
from service.server.write_coalescing import JoinedWrites
from service.settings import Settings
from service.telemetry.metrics import Metrics

IDLE_GRACE = 0.25  # seconds for a request in transit to arrive before an idle connection closes
CLOSE_GRACE = 3.0  # seconds for a refused client to stop sending and read the response


class Connection(UpgradeIgnoringProtocol):
    """A connection, which stores an `Exchange` in the scope of each request.

    A client may send requests before earlier ones are answered (pipelining). They are parsed at
    once and wait in `pipeline`; `cycle` is the newest of all.
    """

    def __init__(
        self,
        config: Config,
        server_state: ServerState,
        app_state: dict[str, Any],
        _loop: asyncio.AbstractEventLoop | None = None,
    ) -> None:
        super().__init__(config, server_state, app_state, _loop)
        settings, self._metrics = Settings.in_state(app_state), Metrics.in_state(app_state)
        self._reading: Literal["head", "body", "between"] = "between"
        self._head_bytes = 0  # of this head, without those that arrived with earlier requests
        self._exchange = Exchange()  # of the newest request
        self._answered: RequestResponseCycle | None = None  # the latest cycle that has started
        self._parser_refusal = MALFORMED  # what an error of the parser means
        self._discards_input = False
        self._head_deadline = Deadline(settings.header_seconds, self._head_expired)
        self._write_deadline = Deadline(settings.write_seconds, self._write_expired)

    @property
    def _is_answering(self) -> bool:
        return self._answered is not None and not self._answered.response_complete

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Start the deadline of the first head."""
        super().connection_made(transport)
        self._head_deadline.start()

    def connection_lost(self, exc: Exception | None) -> None:
        """Stop the deadlines and report the disconnect to the application."""
        self._head_deadline.stop()
        self._write_deadline.stop()
        self._disconnect()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Parse the data, and start the deadline of a head if no response is due."""
        if self._discards_input:
            return
        self._head_bytes += len(data)
        self._unset_keepalive_if_required()
        try:
            self._parse(data)
        except HttpParserError:
            self._refuse(self._parser_refusal)
            return
        if self.transport.is_closing():
            return
        if self._reading == "head" and self._head_bytes > MAX_HEAD:
            self._refuse(TOO_LARGE)
        elif not self._is_answering and self.timeout_keep_alive_task is None:
            self._head_deadline.start()

    def on_message_begin(self) -> None:
        """Begin a head, which has its full time from now on."""
        super().on_message_begin()
        self._reading = "head"
        self._head_deadline.stop()

    def on_header(self, name: bytes, value: bytes) -> None:
        """Add a header. A trailer, which follows the body, is ignored."""
        if self._reading == "head":
            super().on_header(name, value)

    def on_headers_complete(self) -> None:
        """Start or enqueue the request, unless its head is refused."""
        refusal = refusal_of_head(
            self.url, self.headers, self.parser.get_http_version(), len(self.pipeline)
        )
        if refusal:
            self._parser_refusal = refusal
            raise HeadRefusedError
        if self._asks_to_upgrade:
            return
        self._head_deadline.stop()
        self._exchange = Exchange(perf_counter(), self.abort_response)
        self.scope["state"][KEY] = self._exchange
        super().on_headers_complete()
        transport = JoinedWrites(self.transport, self.close_after_response)
        self.cycle.transport = cast(asyncio.Transport, transport)
        self._reading = "body"

    def on_message_complete(self) -> None:
        """End the body and expect the next head."""
        if self._asks_to_upgrade:
            return
        self._reading, self._head_bytes = "between", 0
        self._exchange.body_received = True
        super().on_message_complete()

    def pause_writing(self) -> None:
        """Pause the response until the client reads."""
        super().pause_writing()
        self._start_write_deadline()

    def resume_writing(self) -> None:
        """Resume the response. If the connection is closing, its last bytes keep the deadline."""
        super().resume_writing()
        self._write_deadline.stop()
        if self.transport.is_closing():
            self._start_write_deadline()

    def on_response_complete(self) -> None:
        """Start the next request of the pipeline, or wait for one."""
        super().on_response_complete()
        if self.transport.is_closing():
            self._start_write_deadline()
        elif self._reading == "head" and not self._is_answering:
            self._unset_keepalive_if_required()
            self._head_deadline.start()

    def timeout_keep_alive_handler(self) -> None:
        """Close an idle connection."""
        self._close()

    def shutdown(self) -> None:
        """Close after the current response, or soon if no response is due."""
        if self._is_answering:
            super().shutdown()
        else:
            self.loop.call_later(IDLE_GRACE, self._close_if_idle)

    def close_after_response(self) -> None:
        """Close. If the client is still sending, let it finish first, or it loses the response."""
        is_receiving = self._reading == "body" or self._discards_input
        if is_receiving and not self.transport.is_closing():
            self._discards_input = True
            self.pipeline.clear()  # no more can be written
            self.transport.write_eof()
            self.loop.call_later(CLOSE_GRACE, self._close)
        else:
            self.transport.close()

    def abort_response(self) -> None:
        """End a response that cannot be completed, and close the connection."""
        self._disconnect()
        self._close()

    def abort(self) -> None:
        """Close the connection at once and discard what is not sent."""
        self._disconnect()
        self.transport.abort()

    def _start_asgi_task(self, cycle: RequestResponseCycle, app: ASGI3Application) -> None:
        self._answered = cycle
        super()._start_asgi_task(cycle, app)

    def _disconnect(self) -> None:
        """Report a disconnect to the application, if it is answering."""
        if self._answered is not None and self._is_answering:
            self._answered.disconnected = True
            self._answered.message_event.set()

    def _refuse(self, refusal: Refusal) -> None:
        """Stop reading, and close: with the refusal, or after the responses that are due."""
        self._discards_input = True
        self._metrics.refused(refusal.reason)
        if self._reading == "body":  # the newest request is incomplete
            if self.pipeline:
                self.pipeline.popleft()
            elif self._is_answering and not self.cycle.response_started:
                self._disconnect()
                self._send_refusal(refusal)
                return
            else:
                self.abort_response()
                return
        if self._answered is not None and self._is_answering:
            last = self.pipeline[0][0] if self.pipeline else self._answered
            last.keep_alive = False  # uvicorn closes the connection after its response
        else:
            self._send_refusal(refusal)

    def _send_refusal(self, refusal: Refusal) -> None:
        """Send a problem, and receive what the client still sends, or it loses the response."""
        self._unset_keepalive_if_required()
        self._head_deadline.stop()
        self.transport.write(refusal.response())
        self.transport.write_eof()
        self.loop.call_later(CLOSE_GRACE, self._close)

    def _close_if_idle(self) -> None:
        if self._is_answering:
            super().shutdown()
        else:
            self._close()

    def _close(self) -> None:
        self.transport.close()
        self._start_write_deadline()

    def _start_write_deadline(self) -> None:
        if self.transport.get_write_buffer_size():
            self._write_deadline.start()

    def _head_expired(self) -> None:
        if self._reading == "head" and not self._discards_input:
            self._refuse(LATE)
        else:  # no request has begun, or the rest of an unread body is arriving
            self._close()

    def _write_expired(self) -> None:
        self._metrics.refused("unread")
        self.transport.abort()
