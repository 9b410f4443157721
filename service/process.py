"""One process of the service: whether it is draining, and what it shares with the others."""

import os
from dataclasses import dataclass
from pathlib import Path

VARIABLE = "PROMETHEUS_MULTIPROC_DIR"  # where prometheus-client looks as it is imported


@dataclass(frozen=True)
class SharedFolder:
    """metrics: what each process has counted; checkpoints: those that were good last."""

    metrics: Path
    checkpoints: Path

    @classmethod
    def within(cls, folder: Path) -> "SharedFolder":
        """Make it. Processes that are started from now on know where their metrics belong."""
        made = cls(folder / "metrics", folder / "checkpoints")
        made.make()
        os.environ[VARIABLE] = str(made.metrics)
        return made

    def make(self) -> None:
        """Make the folders, also if something has removed them meanwhile."""
        self.metrics.mkdir(parents=True, exist_ok=True)
        self.checkpoints.mkdir(parents=True, exist_ok=True)


@dataclass
class Lifecycle:
    """Shared by the server, which is told to stop, and the application, which tells others.

    leaving: it has been told to stop, so nobody should send more requests here
    """

    leaving: bool = False
