"""The files of the job: their paths, and how to write one whole or not at all."""

import os
import tempfile
from pathlib import Path


def checkpoint_path(folder: Path, name: str) -> Path:
    """Where the checkpoint of a model is in the folder of a job."""
    return folder / f"{name}.safetensors"


def report_path(folder: Path) -> Path:
    """Where the report is in the folder of a job."""
    return folder / "report.html"


def write_whole(path: Path, payload: bytes) -> None:
    """Put `payload` at `path`: a reader sees the old content or the new, also after a crash.

    Raises OSError naming `path`. What was there is left then, with one exception: if only the
    last step fails, which flushes the folder to the disk, the new content is there, but the old
    may come back after a power cut.
    """
    try:
        # Opened before anything is written: a folder that cannot be read changes nothing.
        folder = os.open(path.parent, os.O_RDONLY)
        try:
            _replace(path, payload)
            # The new name is an entry of the folder: without this a power cut may forget it.
            os.fsync(folder)
        finally:
            os.close(folder)
    except OSError as error:
        raise OSError(error.errno, error.strerror, str(path)) from error


def _replace(path: Path, payload: bytes) -> None:
    handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(payload)
            file.flush()
            os.fchmod(file.fileno(), 0o644)  # temporary files are private, a checkpoint is not
            os.fsync(file.fileno())
        Path(temporary).replace(path)
    except BaseException:
        Path(temporary).unlink()
        raise
