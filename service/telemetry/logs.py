"""The log on standard error: lines for people on a terminal, one JSON object per line elsewhere.

`MONIKER_LOG_FORMAT` overrides the choice.
"""

import json
import logging
import os
import stat
import sys
from collections.abc import Callable
from contextlib import suppress
from copy import copy
from datetime import UTC, datetime
from typing import Any

from uvicorn.logging import ColourizedFormatter

from service.settings import LogFormat

INFO_TO_STDERR = {"level": "INFO", "handlers": ["stderr"], "propagate": False}
# First digit of a status -> ANSI escape code of its colour.
COLOURS = {2: "\033[32m", 3: "\033[36m", 4: "\033[33m", 5: "\033[31m"}
PLAIN = "\033[0m"


class JsonFormatter(logging.Formatter):
    """Formats a record as a line of JSON."""

    def format(self, record: logging.LogRecord) -> str:
        """Return the line without its newline."""
        line: dict[str, Any] = {
            "time": _iso(datetime.fromtimestamp(record.created, UTC)),
            "level": record.levelname.lower(),
            "pid": record.process,
            "logger": record.name,
            "message": record.getMessage(),
        }
        if record.exc_info:
            line["exception"] = self.formatException(record.exc_info)
        return json.dumps(line, separators=(",", ":"))


class TextFormatter(ColourizedFormatter):
    """Formats a record as a line for people: local time, level, message."""

    def __init__(self) -> None:
        super().__init__(
            "%(asctime)s %(levelprefix)s %(message)s", "%H:%M:%S", use_colors=_has_colours()
        )

    def formatMessage(self, record: logging.LogRecord) -> str:  # noqa: N802 - of logging
        """Format the line with control characters escaped: messages contain file names."""
        escaped = copy(record)
        escaped.message = "".join(map(_escape, record.message))
        return super().formatMessage(escaped)


def _escape(character: str) -> str:
    if character.isprintable():
        return character
    return character.encode("unicode_escape", "backslashreplace").decode()


class RequestLog:
    """Writes one line for each request."""

    def __init__(self, log_format: LogFormat) -> None:
        self._is_json = log_format == "json"
        self._process = os.getpid()
        self._logger = logging.getLogger("moniker.requests")

    def write(
        self, request_id: str, trace_id: str, method: str, route: str, status: int, seconds: float
    ) -> None:
        """Log one request. The arguments must need no escaping in JSON."""
        if self._is_json:
            self._write_json(request_id, trace_id, method, route, status, seconds)
            return
        colour = COLOURS.get(status // 100, "")
        self._logger.info(
            "%s %s %d %s",
            *(method, route, status, _duration(seconds)),
            extra={"color_message": f"%s %s {colour}%d{PLAIN} %s"},  # used with colours
        )

    def _write_json(
        self, request_id: str, trace_id: str, method: str, route: str, status: int, seconds: float
    ) -> None:
        """Write a line in one system call, in a tenth of the time that Python's logging takes."""
        trace = f'"trace_id":"{trace_id}",' if trace_id else ""
        line = (
            f'{{"time":"{_iso(datetime.now(UTC))}","level":"info","pid":{self._process},'
            '"logger":"moniker.requests",'
            f'"message":"{method} {route} {status}","request_id":"{request_id}",{trace}'
            f'"method":"{method}","route":"{route}","status":{status},"seconds":{seconds:.6f}}}\n'
        )
        with suppress(OSError, ValueError):  # a log that cannot be written must not fail requests
            os.write(sys.stderr.fileno(), line.encode())


def _duration(seconds: float) -> str:
    """`0.000412` -> `0.4 ms`, `2.5` -> `2.50 s`."""
    return f"{seconds:.2f} s" if seconds >= 0.9995 else f"{1000 * seconds:.1f} ms"


def _iso(time: datetime) -> str:
    return time.isoformat(timespec="milliseconds")


def _is_terminal() -> bool:
    return sys.stderr.isatty()


def _has_colours() -> bool:
    """Whether standard error shows colours; https://no-color.org turns them off."""
    allows_colours = not os.environ.get("NO_COLOR") and os.environ.get("TERM", "dumb") != "dumb"
    return allows_colours and _is_terminal()


def effective_format(log_format: LogFormat | None) -> LogFormat:
    """Return the format if it is set, else text on a terminal and JSON elsewhere."""
    return log_format or ("text" if _is_terminal() else "json")


def make_stderr_non_blocking() -> None:
    """If standard error is a pipe, drop lines while it is full instead of waiting for its reader.

    The pipe is opened a second time. O_NONBLOCK on the inherited descriptor would hold for all
    processes that share it, such as the calling shell, and outlive the service.
    """
    with suppress(OSError, ValueError):
        stderr = sys.stderr.fileno()
        if stat.S_ISFIFO(os.fstat(stderr).st_mode):
            pipe = os.open(f"/proc/self/fd/{stderr}", os.O_WRONLY | os.O_NONBLOCK)
            os.dup2(pipe, stderr)
            os.close(pipe)


def logging_configuration(log_format: LogFormat) -> dict[str, Any]:
    """Return a configuration for `logging.config.dictConfig`."""
    formatters: dict[LogFormat, Callable[[], logging.Formatter]] = {
        "json": JsonFormatter,
        "text": TextFormatter,
    }
    return {
        "version": 1,
        "disable_existing_loggers": False,
        "formatters": {"chosen": {"()": formatters[log_format]}},
        "handlers": {"stderr": {"class": "logging.StreamHandler", "formatter": "chosen"}},
        "root": {"level": "WARNING", "handlers": ["stderr"]},
        "loggers": {
            "moniker": INFO_TO_STDERR,
            "uvicorn": INFO_TO_STDERR,
            "opentelemetry": {"level": "ERROR"},  # its warnings contain values sent by clients
        },
    }
