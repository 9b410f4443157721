"""The server of one process: uvicorn's, which drains before it stops accepting connections."""

import asyncio
import logging
import os
import shlex
import signal
import socket
import sys
from ctypes import c_ulong
from types import FrameType

import uvicorn

from service.app import Service, create_app
from service.catalog.reloader import Reloader
from service.server.protocol import Connection
from service.settings import UNIX, Settings
from service.shared_folder import SharedFolder
from service.telemetry.logs import effective_format, logging_configuration

# Seconds after which Python lets another thread run. Its default of 5 ms is too long: numpy
# releases the interpreter hundreds of times in a request for many names.
SWITCH_INTERVAL = 1e-4
MAX_ACCEPTED = 64  # connections per iteration of the loop; other processes accept the rest
ACCEPT_RETRY = 1.0  # seconds after a failure to accept connections
CANCEL_GRACE = 5  # seconds for tasks to end after their connections are aborted
HEARTBEAT = 1.0  # seconds between two heartbeats

logger = logging.getLogger("moniker")


def serve(
    settings: Settings,
    bound: socket.socket,
    shared: SharedFolder | None = None,
    heartbeats: c_ulong | None = None,
) -> None:
    """Serve until a signal stops the process. Raises SystemExit if the service cannot start.

    shared: the folder shared with other processes, if there are any
    heartbeats: a counter in shared memory, incremented every second
    """
    run(create_app(settings, shared), bound, heartbeats)


def run(app: Service, bound: socket.socket, heartbeats: c_ulong | None = None) -> None:
    """Run the application. Raises SystemExit if it cannot start."""
    sys.setswitchinterval(SWITCH_INTERVAL)
    config = uvicorn.Config(
        app,
        loop="uvloop",
        http=Connection,
        ws="none",
        access_log=False,  # its lines would include the names in queries
        server_header=False,
        proxy_headers=False,  # the address of the client is not used
        log_config=logging_configuration(effective_format(app.settings.log_format)),
        # All connections have been aborted by then; this is for tasks that do not notice.
        timeout_graceful_shutdown=app.settings.shutdown_seconds + CANCEL_GRACE,
    )
    Server(config, app, heartbeats).run([bound])


class Server(uvicorn.Server):
    """A server that drains for a while when it is asked to stop.

    While it drains, it is not ready, and asks each client to reconnect, so that other processes
    take over. After the drain delay it accepts no connections and completes its requests.
    """

    def __init__(self, config: uvicorn.Config, app: Service, heartbeats: c_ulong | None) -> None:
        super().__init__(config)
        self._heartbeats = heartbeats
        self._settings, self._lifecycle = app.settings, app.lifecycle
        self._is_alone = app.shared is None
        self._accepting: set[asyncio.Task[object]] = set()

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Load the models, then listen."""
        # uvicorn gets no sockets: uvloop would accept one connection per iteration of its loop,
        # so that under load a probe waits for seconds.
        await super().startup([])
        for bound in sockets or []:
            asyncio.get_running_loop().add_signal_handler(signal.SIGHUP, self._hang_up, bound)
            bound.setblocking(False)
            bound.listen(self.config.backlog)
            self._listen(bound)
            self._log_address(bound)
        self._beat()

    def _log_address(self, bound: socket.socket) -> None:
        host, port = self._settings.host, self._settings.port
        if not self._settings.unix_socket:
            host, port = bound.getsockname()[:2]
        logger.info("running on %s (press Ctrl+C to stop)", _url(host, port))
        if self._is_alone:  # several processes would each log the examples
            for command in _examples(self._settings, host, port):
                logger.info("try: %s", command)

    def _beat(self) -> None:
        """Increment the heartbeats every second."""
        if self._heartbeats is not None:
            self._heartbeats.value += 1
            asyncio.get_running_loop().call_later(HEARTBEAT, self._beat)

    def _hang_up(self, bound: socket.socket) -> None:
        """Scan the checkpoints; or drain, as one of several processes that has been replaced."""
        if self._is_alone:
            logger.info("scanning the checkpoints")
            Reloader.in_state(self.lifespan.state).scan_soon()
        else:
            asyncio.get_running_loop().remove_reader(bound)  # other processes accept connections
            self.handle_exit(signal.SIGTERM, None)

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """Drain at the first signal; exit at once at the second."""
        if self._lifecycle.draining:
            if self._is_alone:  # else the supervisor kills all processes
                os._exit(128 + sig)
            return
        self._lifecycle.draining = True
        # SIGINT comes from a person at a terminal: there is no load balancer to wait for.
        seconds = self._settings.drain_seconds if sig == signal.SIGTERM else 0
        if self.started and seconds:
            logger.info("draining for %g s", seconds)
            loop = asyncio.get_running_loop()
            loop.call_soon_threadsafe(loop.call_later, seconds, self._stop)
        else:
            self._stop()

    def _stop(self) -> None:
        self.should_exit = True

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Accept the connections in the backlog, close the sockets and complete all requests."""
        loop = asyncio.get_running_loop()
        for bound in sockets or []:
            loop.remove_reader(bound)
            self._accept(bound, self.config.backlog)  # closing the socket would reset them
            bound.close()
        await asyncio.gather(*self._accepting, return_exceptions=True)
        timeout = loop.call_later(self._settings.shutdown_seconds, self._abort_all)
        await super().shutdown()
        timeout.cancel()

    def _listen(self, bound: socket.socket) -> None:
        if not self.should_exit:
            asyncio.get_running_loop().add_reader(bound, self._accept, bound)

    def _abort_all(self) -> None:
        """Abort all connections. Cancelling their tasks would be logged as failures."""
        for connection in list(self.server_state.connections):
            if isinstance(connection, Connection):
                connection.abort()

    def _accept(self, bound: socket.socket, limit: int = MAX_ACCEPTED) -> None:
        """Accept up to `limit` connections of the backlog."""
        loop = asyncio.get_running_loop()
        for _ in range(limit):
            try:
                accepted, _ = bound.accept()
            except BlockingIOError:
                return
            except ConnectionAbortedError:
                continue
            except OSError as error:  # no file descriptor is left
                logger.error("cannot accept connections: %s", error.strerror)
                loop.remove_reader(bound)
                loop.call_later(ACCEPT_RETRY, self._listen, bound)
                return
            if accepted.family != socket.AF_UNIX:
                accepted.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            task = loop.create_task(loop.connect_accepted_socket(self._connection, accepted))
            self._accepting.add(task)
            task.add_done_callback(self._accepting.discard)

    def _connection(self) -> Connection:
        return Connection(self.config, self.server_state, self.lifespan.state)


def _examples(settings: Settings, host: str, port: int) -> list[str]:
    """Return two curl commands that send requests to the service."""
    url = _url({"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host), port)  # noqa: S104
    options = "-H 'Authorization: Bearer <key>' " if settings.keys else ""
    if settings.unix_socket:
        url = "http://localhost"
        options += f"--unix-socket {shlex.quote(str(settings.unix_socket))} "
    paths = ("/sample?n=5", "/score?name=emma&name=xqzwv")
    return [f"curl {options}'{url}{path}'" for path in paths]


def _url(host: str, port: int) -> str:
    if host.startswith(UNIX):
        return host
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"
