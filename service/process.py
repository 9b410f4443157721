"""One process of the service: whether it is draining, and the folder shared with the others."""

import os
from dataclasses import dataclass
from pathlib import Path

METRICS_VARIABLE = "PROMETHEUS_MULTIPROC_DIR"  # prometheus-client reads it on import


@dataclass(frozen=True)
class SharedFolder:
    """The folder that the processes of one service share.

    metrics: folder of the files in which each process counts
    checkpoints: folder of the last valid version of each checkpoint
    """

    metrics: Path
    checkpoints: Path

    @classmethod
    def within(cls, folder: Path) -> "SharedFolder":
        """Create the folders and set the environment variable that child processes inherit."""
        shared = cls(folder / "metrics", folder / "checkpoints")
        shared.create()
        os.environ[METRICS_VARIABLE] = str(shared.metrics)
        return shared

    def create(self) -> None:
        """Create the folders if they do not exist."""
        self.metrics.mkdir(parents=True, exist_ok=True)
        self.checkpoints.mkdir(parents=True, exist_ok=True)


@dataclass
class Lifecycle:
    """State of the process, shared by the server and the application.

    draining: whether the process has been asked to stop, so that clients should reconnect
    """

    draining: bool = False
