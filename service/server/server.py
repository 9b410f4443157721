"""uvicorn's server, which stops in an orderly way: it is missed by nobody before it goes."""

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
from service.process import SharedFolder
from service.server.protocol import Connection
from service.settings import UNIX, Settings
from service.telemetry.logs import chosen_format, configuration

# Seconds after which a thread that computes lets another go on. Python's 5 ms are forever
# here: numpy lets go of the interpreter hundreds of times in a request for many names.
SWITCH = 1e-4
AT_ONCE = 64  # connections that are accepted in a turn: another process may take the next
PAUSE = 1.0  # seconds until it is tried again to accept connections
GRACE = 5  # seconds for a task that does not notice that its connection has been cut
BEAT = 1.0  # seconds between two signs of life

logger = logging.getLogger("moniker")


def serve(
    settings: Settings,
    bound: socket.socket,
    shared: SharedFolder | None = None,
    pulse: c_ulong | None = None,
) -> None:
    """Serve until told to stop. Raises SystemExit if the service cannot start.

    shared: what this process shares with others, if it is not alone
    pulse: where it counts its signs of life
    """
    run(create_app(settings, shared), bound, pulse)


def run(app: Service, bound: socket.socket, pulse: c_ulong | None = None) -> None:
    """Run the application. Raises SystemExit if it cannot start."""
    sys.setswitchinterval(SWITCH)
    config = uvicorn.Config(
        app,
        loop="uvloop",
        http=Connection,
        ws="none",
        access_log=False,  # its lines would hold the names that people ask about
        server_header=False,
        proxy_headers=False,  # nobody asks who the client is
        log_config=configuration(chosen_format(app.settings.log_format)),
        # Then whatever is left has been cut; this is for a task that does not notice.
        timeout_graceful_shutdown=app.settings.shutdown_seconds + GRACE,
    )
    Server(config, app, pulse).run([bound])


class Server(uvicorn.Server):
    """A server that goes on for a moment when it is told to stop.

    In that moment it is not ready any more and asks each client for a new connection, so that
    others get them. Then it accepts none and finishes what it has.
    """

    def __init__(self, config: uvicorn.Config, app: Service, pulse: c_ulong | None) -> None:
        super().__init__(config)
        self._pulse = pulse
        self._settings, self._lifecycle = app.settings, app.lifecycle
        self._is_alone = app.shared is None
        self._accepting: set[asyncio.Task[object]] = set()

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Load the models, then listen."""
        # uvicorn is given none: uvloop would accept one connection in each turn of its loop,
        # so that under load a probe waits for seconds.
        await super().startup([])
        for bound in sockets or []:
            asyncio.get_running_loop().add_signal_handler(signal.SIGHUP, self._hang_up, bound)
            bound.setblocking(False)
            bound.listen(self.config.backlog)
            self._listen(bound)
            # That of a Unix socket is its path.
            host, port = self._settings.host, self._settings.port
            if not self._settings.unix_socket:
                host, port = bound.getsockname()[:2]
            logger.info("running on %s (press Ctrl+C to stop)", _url(host, port))
            if self._is_alone:  # several processes would each say it
                for command in _examples(self._settings, host, port):
                    logger.info("try: %s", command)
        self._beat()

    def _beat(self) -> None:
        """Give signs of life to whoever supervises this process."""
        if self._pulse is not None:
            self._pulse.value += 1
            asyncio.get_running_loop().call_later(BEAT, self._beat)

    def _hang_up(self, bound: socket.socket) -> None:
        """Look at the checkpoints again; one of several processes has been replaced and leaves."""
        if self._is_alone:
            logger.info("looking at the checkpoints again")
            self.lifespan.state["reloader"].scan_soon()
        else:
            asyncio.get_running_loop().remove_reader(bound)  # those who come are for the others
            self.handle_exit(signal.SIGTERM, None)

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """Begin to leave at the first signal, be gone at the second."""
        if self._lifecycle.leaving:
            if self._is_alone:  # else whoever stops them all sees to it
                os._exit(128 + sig)
            return
        self._lifecycle.leaving = True
        # A person at a terminal has nobody to wait for.
        seconds = self._settings.drain_seconds if sig == signal.SIGTERM else 0
        if self.started and seconds:
            logger.info("leaving in %g s", seconds)
            loop = asyncio.get_running_loop()
            loop.call_soon_threadsafe(loop.call_later, seconds, self._stop)
        else:
            self._stop()

    def _stop(self) -> None:
        self.should_exit = True

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Take in who has come, shut the door, finish what there is."""
        loop = asyncio.get_running_loop()
        for bound in sockets or []:
            loop.remove_reader(bound)
            self._accept(bound, self.config.backlog)  # closing it would break what has come
            bound.close()
        await asyncio.gather(*self._accepting, return_exceptions=True)
        cutting = loop.call_later(self._settings.shutdown_seconds, self._cut_all)
        await super().shutdown()
        cutting.cancel()

    def _listen(self, bound: socket.socket) -> None:
        if not self.should_exit:
            asyncio.get_running_loop().add_reader(bound, self._accept, bound)

    def _cut_all(self) -> None:
        """End what is still under way; to cancel it would be logged as if it had failed."""
        for connection in list(self.server_state.connections):
            if isinstance(connection, Connection):
                connection.abort()

    def _accept(self, bound: socket.socket, most: int = AT_ONCE) -> None:
        """Take in those who have come."""
        loop = asyncio.get_running_loop()
        for _ in range(most):
            try:
                accepted, _ = bound.accept()
            except BlockingIOError:
                return
            except ConnectionAbortedError:
                continue
            except OSError as error:  # there is no descriptor left
                logger.error("no connection can be accepted: %s", error.strerror)
                loop.remove_reader(bound)
                loop.call_later(PAUSE, self._listen, bound)
                return
            if accepted.family != socket.AF_UNIX:
                accepted.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            task = loop.create_task(loop.connect_accepted_socket(self._connection, accepted))
            self._accepting.add(task)
            task.add_done_callback(self._accepting.discard)

    def _connection(self) -> Connection:
        return Connection(self.config, self.server_state, self.lifespan.state)


def _examples(settings: Settings, host: str, port: int) -> list[str]:
    """Two commands that ask the service something, for whoever has just started it."""
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
