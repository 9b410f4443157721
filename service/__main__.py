"""python -m service: read the settings, serve until told to stop."""

import logging.config
import os
import signal
import socket
import sys
from contextlib import ExitStack
from pathlib import Path

from uvicorn.config import STARTUP_FAILURE

from service.server.listener import listener
from service.server.server import serve
from service.server.supervisor import supervise
from service.settings import Settings, SettingsError, of_kubernetes
from service.telemetry.logs import chosen_format, configuration, never_wait

logger = logging.getLogger("moniker")


def main() -> int:
    """Serve; the exit status is 2 for wrong settings, 3 if there is no model or no free port."""
    if sys.stderr is None:  # it is closed: the log goes nowhere
        sys.stderr = Path(os.devnull).open("w", encoding="utf-8")  # noqa: SIM115 - until the end
    if len(sys.argv) > 1:
        print("error: the service takes no arguments, only MONIKER_* variables", file=sys.stderr)
        return 2
    try:
        settings = Settings.from_environment(os.environ)
    except SettingsError as error:
        for line in str(error).splitlines():
            print(f"error: {line}", file=sys.stderr)
        return 2
    with ExitStack() as stack:
        try:
            bound = stack.enter_context(listener(settings))
        except OSError as error:
            where = settings.unix_socket or f"{settings.host}:{settings.port}"
            print(f"error: {where}: {error.strerror or error}", file=sys.stderr)
            return STARTUP_FAILURE
        return _serve(settings, bound)


def _serve(settings: Settings, bound: socket.socket) -> int:
    signal.signal(signal.SIGHUP, signal.SIG_IGN)  # until there is something to load again
    never_wait()
    logging.config.dictConfig(configuration(chosen_format(settings.log_format)))
    if passed_over := of_kubernetes(os.environ):
        logger.info("set by Kubernetes, not settings: %s", ", ".join(passed_over))
    if settings.workers > 1:
        return supervise(settings, bound)
    serve(settings, bound)
    return 0


if __name__ == "__main__":
    sys.exit(main())
