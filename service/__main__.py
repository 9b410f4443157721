"""python -m service: read the settings, bind the socket and serve until a signal stops it."""

import logging.config
import os
import signal
import socket
import sys
from contextlib import ExitStack
from pathlib import Path

from uvicorn.config import STARTUP_FAILURE

import models
from service.server.listener import listener
from service.server.server import serve
from service.server.supervisor import supervise
from service.settings import Settings, SettingsError, kubernetes_variables
from service.telemetry.logs import (
    effective_format,
    logging_configuration,
    make_stderr_non_blocking,
)

USAGE = "usage: [MONIKER_<NAME>=<value> ...] python -m service [--help | --version]"

logger = logging.getLogger("moniker")


def main() -> int:
    """Serve. Return status 2 for invalid settings, 3 if there is no model or no free port."""
    if sys.stderr is None:  # it is closed
        sys.stderr = Path(os.devnull).open("w", encoding="utf-8")  # noqa: SIM115 - until the exit
    if len(sys.argv) > 1:
        return _answer_arguments(sys.argv[1:])
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
            address = settings.unix_socket or f"{settings.host}:{settings.port}"
            print(f"error: {address}: {error.strerror or error}", file=sys.stderr)
            return STARTUP_FAILURE
        return _serve(settings, bound)


def _answer_arguments(arguments: list[str]) -> int:
    """Print the help or the version, and return status 0; 2 for other arguments."""
    if arguments in (["--help"], ["-h"]):
        print(f"{USAGE}\n\nvariables, defaults and meanings:\n{Settings.describe()}")
        return 0
    if arguments == ["--version"]:
        print(f"moniker {models.__version__}")
        return 0
    print("error: the service takes no arguments; set MONIKER_* variables", file=sys.stderr)
    return 2


def _serve(settings: Settings, bound: socket.socket) -> int:
    signal.signal(signal.SIGHUP, signal.SIG_IGN)  # until the models are loaded
    make_stderr_non_blocking()
    logging.config.dictConfig(logging_configuration(effective_format(settings.log_format)))
    if ignored := kubernetes_variables(os.environ):
        logger.info("ignored, set by Kubernetes: %s", ", ".join(ignored))
    if settings.workers > 1:
        return supervise(settings, bound)
    serve(settings, bound)
    return 0


if __name__ == "__main__":
    sys.exit(main())
