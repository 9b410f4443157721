"""Checkpoint repository: loads the checkpoints of a folder into a catalog.

A model whose file becomes invalid or disappears stays in service as it was last loaded.
"""

import re
from collections.abc import Collection, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any, cast

from models.checkpoint import CheckpointError
from models.errors import MonikerError
from service.catalog.catalog import Catalog, ServedModel
from service.catalog.checkpoint_file import SUFFIX, FileSnapshot, printable, replace_file

REPORT = "report.html"
MAX_REPORT_BYTES = 2**24  # fifty times the size of the reports that training writes
# The element of a report that lists the versions of the checkpoints that it describes.
CHECKPOINTS_ELEMENT = re.compile(rb'<meta name="moniker-checkpoints" content="([0-9a-f ]+)">')


class CatalogError(MonikerError):
    """No checkpoint can be loaded; the message names each file and the reason."""


class CheckpointRepository:
    """The checkpoints of a folder, loaded at the start and scanned again on changes.

    folder: folder of the checkpoints
    default: name of the default model, whose file is expected to exist
    blocklist: substrings that no sampled name may contain
    fallback_folder: folder where the worker processes keep the last valid file of each model
    catalog: the models in service; assigning another catalog replaces all of them at once
    """

    def __init__(
        self,
        folder: Path,
        default: str,
        blocklist: Collection[str] = (),
        fallback_folder: Path | None = None,
    ) -> None:
        self.folder = folder
        self._blocklist, self._fallback_folder = blocklist, fallback_folder
        self.catalog = Catalog(default, {}, {}, {}, {})

    @classmethod
    def in_state(cls, state: Mapping[str, Any]) -> "CheckpointRepository":
        """Return the repository in the state of an ASGI scope."""
        return cast(CheckpointRepository, state["repository"])

    def load(self) -> None:
        """Put all valid checkpoints in service. Raises CatalogError if no checkpoint is valid."""
        self.catalog = self.scan()
        if not self.catalog.models:
            reasons = "; ".join(self.catalog.failures.values())
            raise CatalogError(
                f"there is no model to serve: {reasons}; `python -m training` trains one"
            )

    def scan(self) -> Catalog:
        """Return the catalog for the current files; unchanged files keep their model objects."""
        before = self.catalog
        models, failures = dict(before.models), dict[str, str]()
        fingerprints = dict[str, bytes]()
        for file in map(FileSnapshot.read, self._paths()):
            name = file.model_name
            fingerprints[name] = file.fingerprint
            if before.fingerprints.get(name) == fingerprints[name]:
                if name in before.failures:
                    failures[name] = before.failures[name]
                continue
            try:
                models[name] = self._load(file, models.get(name))
            except CheckpointError as error:
                failures[name] = f"{printable(str(file.path))}: {error}"
                models |= self._load_fallback(name, models)
        return Catalog(before.default, models, failures, fingerprints, self._reports(models))

    def folder_id(self) -> tuple[int, int] | None:
        """Return the device and inode of the folder, which differ after it is replaced."""
        try:
            status = self.folder.stat()
        except OSError:
            return None
        return status.st_dev, status.st_ino

    def _paths(self) -> list[Path]:
        """Return the paths of all files, of the default model and of the models in service."""
        required = {self.catalog.default, *self.catalog.models}
        names = {f"{name}{SUFFIX}" for name in required}
        for folder in filter(None, (self.folder, self._fallback_folder)):
            # Hidden files are temporary files of a writer, or belong to other programs.
            with suppress(OSError):  # an unreadable folder counts as empty
                names |= {path.name for path in folder.glob(f"[!.]*{SUFFIX}")}
        return [self.folder / name for name in sorted(names)]

    def _reports(self, models: dict[str, ServedModel]) -> dict[str, bytes]:
        """Return the report of the folder for each model whose checkpoint it describes."""
        report = FileSnapshot.read(self.folder / REPORT, MAX_REPORT_BYTES).payload
        element = CHECKPOINTS_ELEMENT.search(report)
        if not element or not _is_utf8(report):
            return {}
        versions = element[1].decode().split()
        return {name: report for name, model in models.items() if model.version in versions}

    def _load(self, file: FileSnapshot, current: ServedModel | None) -> ServedModel:
        """Return the model of a file; the current object if its version is the same."""
        model = file.model(self._blocklist)
        if self._fallback_folder:
            with suppress(OSError):  # a full disk must not keep a valid model out of service
                replace_file(self._fallback_folder / file.path.name, file.payload)
        return current if current and current.version == model.version else model

    def _load_fallback(self, name: str, models: dict[str, ServedModel]) -> dict[str, ServedModel]:
        """Return the last valid version that another process kept, if this one has none."""
        if name in models or not self._fallback_folder:
            return {}
        file = FileSnapshot.read(self._fallback_folder / f"{name}{SUFFIX}")
        try:
            return {name: file.model(self._blocklist)}
        except CheckpointError:
            return {}


def _is_utf8(payload: bytes) -> bool:
    try:
        payload.decode()
    except UnicodeDecodeError:
        return False
    return True
