"""Paths of the files that the job writes, and atomic replacement of a file."""

import os
import tempfile
from pathlib import Path


def checkpoint_path(folder: Path, name: str) -> Path:
    """Return the path of a model's checkpoint in the output folder."""
    return folder / f"{name}.safetensors"


def report_path(folder: Path) -> Path:
    """Return the path of the report in the output folder."""
    return folder / "report.html"


def write_atomically(path: Path, payload: bytes) -> None:
    """Replace the content of `path`: readers see the old content or the new, also after a crash.

    Raises OSError naming `path`. The old content then remains, with one exception: if only the
    final flush of the folder fails, the new content is in place, but a power failure may restore
    the old content.
    """
    try:
        # Opened before anything is written, so that an unreadable folder remains unchanged.
        folder = os.open(path.parent, os.O_RDONLY)
        try:
            _replace(path, payload)
            # Makes the rename durable: the name is an entry of the folder.
            os.fsync(folder)
        finally:
            os.close(folder)
    except OSError as error:
        raise OSError(error.errno, error.strerror, str(path)) from error


def _replace(path: Path, payload: bytes) -> None:
    """Write a temporary file in the same folder, flush it to disk, and rename it to `path`."""
    handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(payload)
            file.flush()
            os.fchmod(file.fileno(), 0o644)  # mkstemp makes it readable by its owner only
            os.fsync(file.fileno())
        Path(temporary).replace(path)
    except BaseException:
        Path(temporary).unlink()
        raise
