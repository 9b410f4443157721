"""The listening socket: a TCP port or a Unix socket."""

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
    """Yield a socket bound to the address of the settings, not yet listening. Raises OSError.

    The file of a Unix socket is removed at the end.
    """
    path, host = settings.unix_socket, settings.host
    if path:
        _remove_stale(path)
    family = socket.AF_UNIX if path else socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family) as bound:
        bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        bound.bind(str(path) if path else (host, settings.port))
        identity = path and _identity(path)
        try:
            yield bound
        finally:
            if path and identity == _identity(path):  # else another service has replaced the file
                path.unlink(missing_ok=True)


def _remove_stale(path: Path) -> None:
    """Remove a Unix socket that no process listens on. Raises OSError for any other file."""
    if not path.exists():
        return
    if not stat.S_ISSOCK(path.stat().st_mode):
        raise OSError(errno.EEXIST, "the path exists and is not a socket")
    with socket.socket(socket.AF_UNIX) as probe:
        probe.setblocking(False)  # a full backlog is EAGAIN: the socket is in use
        if probe.connect_ex(str(path)) != errno.ECONNREFUSED:
            raise OSError(errno.EADDRINUSE, os.strerror(errno.EADDRINUSE))
    path.unlink()


def _identity(path: Path) -> tuple[int, int] | None:
    """Return the inode and modification time of a file; None if it does not exist."""
    try:
        status = path.stat()
    except OSError:
        return None
    return status.st_ino, status.st_mtime_ns
