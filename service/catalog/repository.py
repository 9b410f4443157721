"""The folder of checkpoints: what is good there is in service, and stays if its file goes bad."""

import hashlib
import os
import re
import stat
import tempfile
from collections.abc import Collection
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from models.checkpoint import MAX_PAYLOAD_BYTES, CheckpointError, load
from models.constraints.constraints import TooComplexError
from service.catalog.catalog import Catalog, ServedModel
from service.settings import MODEL_NAME

SUFFIX = ".safetensors"
REPORT = "report.html"
MAX_REPORT = 2**24  # bytes of it: fifty times what training writes
TOLD = re.compile(rb'<meta name="moniker-checkpoints" content="([0-9a-f ]+)">')


class CatalogError(Exception):
    """There is no model to serve; the message is one line naming each file and its fault."""


@dataclass(frozen=True)
class File:
    """A file as it is now: its content, or why it has none."""

    path: Path
    payload: bytes = b""
    fault: str = ""

    @classmethod
    def read(cls, path: Path, most: int = MAX_PAYLOAD_BYTES) -> "File":
        """Whatever there is at a path, of so many bytes at most."""
        try:
            about = path.stat()
            if not stat.S_ISREG(about.st_mode):
                return cls(path, fault="not a regular file")  # to read a pipe would never end
            if about.st_size > most:
                return cls(path, fault=f"{about.st_size:,} bytes, {most:,} at most")
            return cls(path, path.read_bytes())
        except OSError as error:
            return cls(path, fault=str(error.strerror))

    @property
    def name(self) -> str:
        """That of the model."""
        return _shown(self.path.name).removesuffix(SUFFIX)

    @property
    def fingerprint(self) -> bytes:
        """What tells this state of the file from others."""
        return hashlib.sha256(self.payload).digest() + self.fault.encode()

    def model(self, blocklist: Collection[str]) -> ServedModel:
        """What the file holds. Raises CheckpointError."""
        if not re.fullmatch(MODEL_NAME, self.name):
            raise CheckpointError("a model's name is made of letters, digits, '.', '_' and '-'")
        if self.fault:
            raise CheckpointError(self.fault)
        try:
            return ServedModel(self.name, load(self.payload), blocklist)
        except TooComplexError as error:
            raise CheckpointError(f"MONIKER_BLOCKLIST: too long for it: {error}") from error


class CheckpointRepository:
    """The checkpoints of a folder, looked at again and again.

    default: the model that there has to be
    blocklist: substrings that no name may have
    spare: folder in which several processes keep what was good last
    catalog: the models in service; whoever puts another in its place puts it there whole
    """

    def __init__(
        self,
        folder: Path,
        default: str,
        blocklist: Collection[str] = (),
        spare: Path | None = None,
    ) -> None:
        self.folder = folder
        self._blocklist, self._spare = blocklist, spare
        self.catalog = Catalog(default, {}, {}, {}, {})

    def fill(self) -> None:
        """Put in service what there is. Raises CatalogError if there is nothing."""
        self.catalog = self.look()
        if not self.catalog.models:
            reasons = "; ".join(self.catalog.failures.values())
            raise CatalogError(
                f"there is no model to serve: {reasons} (`python -m training` makes one)"
            )

    def look(self) -> Catalog:
        """The catalog as the folder is now; a model whose file is as it was stays the same."""
        before = self.catalog
        models, failures, files = dict(before.models), dict[str, str](), dict[str, bytes]()
        for file in map(File.read, self._paths()):
            name = file.name
            files[name] = file.fingerprint
            if before.files.get(name) == files[name]:
                if name in before.failures:
                    failures[name] = before.failures[name]
                continue
            try:
                models[name] = self._newer(models.get(name), file)
            except CheckpointError as error:
                failures[name] = f"{_shown(str(file.path))}: {error}"
                models |= self._saved(name, models)
        return Catalog(before.default, models, failures, files, self._reports(models))

    def identity(self) -> tuple[int, int] | None:
        """What tells the folder from another that may be put in its place."""
        try:
            about = self.folder.stat()
        except OSError:
            return None
        return about.st_dev, about.st_ino

    def _paths(self) -> list[Path]:
        """Those of the folder, of the default model and of what is in service."""
        required = {self.catalog.default, *self.catalog.models}
        names = {f"{name}{SUFFIX}" for name in required}
        for folder in filter(None, (self.folder, self._spare)):
            # A hidden file is one that is being written, or some other program's.
            with suppress(OSError):  # as if the folder were empty
                names |= {path.name for path in folder.glob(f"[!.]*{SUFFIX}")}
        return [self.folder / name for name in sorted(names)]

    def _reports(self, models: dict[str, ServedModel]) -> dict[str, bytes]:
        """The report of the folder, for each model whose checkpoint it tells of."""
        report = File.read(self.folder / REPORT, MAX_REPORT).payload
        told = TOLD.search(report)
        if not told or not _is_utf8(report):
            return {}
        versions = told[1].decode().split()
        return {name: report for name, model in models.items() if model.version in versions}

    def _newer(self, current: ServedModel | None, file: File) -> ServedModel:
        """The model of a file; the current one if it is the same."""
        model = file.model(self._blocklist)
        if self._spare:
            with suppress(OSError):  # a full disk is no reason to do without a good model
                _replace(self._spare / file.path.name, file.payload)
        same = current is not None and current.version == model.version
        return current if current is not None and same else model

    def _saved(self, name: str, models: dict[str, ServedModel]) -> dict[str, ServedModel]:
        """What another process has kept of a model, if this one has none."""
        if name in models or not self._spare:
            return {}
        try:
            return {name: File.read(self._spare / f"{name}{SUFFIX}").model(self._blocklist)}
        except CheckpointError:
            return {}


def _shown(path: str) -> str:
    """A path that can be told, whatever its bytes are."""
    return os.fsencode(path).decode(errors="replace")


def _is_utf8(payload: bytes) -> bool:
    try:
        payload.decode()
    except UnicodeDecodeError:
        return False
    return True


def _replace(path: Path, payload: bytes) -> None:
    """Write a file that others may be reading or writing."""
    with tempfile.TemporaryDirectory(dir=path.parent) as folder:
        written = Path(folder) / path.name
        written.write_bytes(payload)
        written.replace(path)
