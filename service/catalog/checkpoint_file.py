"""A file as read at one moment: its content, or the reason why it has none."""

import hashlib
import os
import re
import stat
import tempfile
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path

from models.checkpoint import MAX_PAYLOAD_BYTES, CheckpointError, load
from models.constraints.constraints import TooComplexError
from service.catalog.catalog import ServedModel
from service.settings import MODEL_NAME

SUFFIX = ".safetensors"


@dataclass(frozen=True)
class FileSnapshot:
    """The state of a file.

    payload: its content, empty if it cannot be read
    error: why it cannot be read, empty if it can
    """

    path: Path
    payload: bytes = b""
    error: str = ""

    @classmethod
    def read(cls, path: Path, limit: int = MAX_PAYLOAD_BYTES) -> "FileSnapshot":
        """Read a path, which may be anything; never raises.

        limit: maximum number of bytes
        """
        try:
            status = path.stat()
            if not stat.S_ISREG(status.st_mode):
                return cls(path, error="not a regular file")  # reading a pipe may never end
            if status.st_size > limit:
                reason = f"{status.st_size:,} bytes, the limit is {limit:,}"
                return cls(path, error=reason)
            return cls(path, path.read_bytes())
        except OSError as error:
            return cls(path, error=str(error.strerror))

    @property
    def model_name(self) -> str:
        """The name of the model: that of the file without its suffix."""
        return printable(self.path.name).removesuffix(SUFFIX)

    @property
    def fingerprint(self) -> bytes:
        """Digest of the content and the error, which identifies the state of the file."""
        return hashlib.sha256(self.payload).digest() + self.error.encode()

    def model(self, blocklist: Collection[str]) -> ServedModel:
        """Return the model in the file. Raises CheckpointError."""
        if not re.fullmatch(MODEL_NAME, self.model_name):
            raise CheckpointError("a model name may contain letters, digits, '.', '_' and '-' only")
        if self.error:
            raise CheckpointError(self.error)
        try:
            return ServedModel(self.model_name, load(self.payload), blocklist)
        except TooComplexError as error:
            raise CheckpointError(
                f"MONIKER_BLOCKLIST: too complex for this model: {error}"
            ) from error


def printable(path: str) -> str:
    """Return a path as valid Unicode, with U+FFFD for bytes that are not UTF-8."""
    return os.fsencode(path).decode(errors="replace")


def replace_file(path: Path, payload: bytes) -> None:
    """Write a file atomically, because other processes may read or write it."""
    with tempfile.TemporaryDirectory(dir=path.parent) as folder:
        temporary = Path(folder) / path.name
        temporary.write_bytes(payload)
        temporary.replace(path)
