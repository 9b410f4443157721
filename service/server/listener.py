"""The socket on which the service listens."""

import errno
import os
import socket
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from service.settings import Settings


@contextmanager
def listener(settings: Settings) -> Iterator[socket.socket]:
    """A socket at the address of the settings, not yet listening. Raises OSError."""
    path, host = settings.unix_socket, settings.host
    if path:
        _remove_stale(path)
    family = socket.AF_UNIX if path else socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family) as bound:
        bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        bound.bind(str(path) if path else (host, settings.port))
        ours = path and _identity(path)
        try:
            yield bound
        finally:
            if path and ours == _identity(path):  # else another service has taken the path
                path.unlink(missing_ok=True)


def _remove_stale(path: Path) -> None:
    """Remove a Unix socket that nobody listens on. Raises OSError if anything else is there."""
    if not path.exists():
        return
    if not stat.S_ISSOCK(path.stat().st_mode):
        raise OSError(errno.EEXIST, "it is there and is not a socket")
    with socket.socket(socket.AF_UNIX) as probe:
        probe.setblocking(False)  # where too many wait already, somebody listens
        if probe.connect_ex(str(path)) != errno.ECONNREFUSED:
            raise OSError(errno.EADDRINUSE, os.strerror(errno.EADDRINUSE))
    path.unlink()


def _identity(path: Path) -> tuple[int, int] | None:
    try:
        about = path.stat()
    except OSError:
        return None
    return about.st_ino, about.st_mtime_ns
