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

    Raises OSError naming `path`, and leaves what was there, if it cannot be written.
    """
    try:
        _replace(path, payload)
        _flush_folder(path.parent)
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


def _flush_folder(folder: Path) -> None:
    # The new name is an entry of the folder: without this a power cut may forget it.
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
