"""The folder that several processes of one service share."""

import os
from dataclasses import dataclass
from pathlib import Path

METRICS_VARIABLE = "PROMETHEUS_MULTIPROC_DIR"  # prometheus-client reads it on import


@dataclass(frozen=True)
class SharedFolder:
    """The folder that the processes of one service share, with a subfolder for each purpose.

    metrics: folder of the files in which each process counts
    fallback: folder of the last valid version of each checkpoint
    """

    metrics: Path
    fallback: Path

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
        self.fallback.mkdir(parents=True, exist_ok=True)
