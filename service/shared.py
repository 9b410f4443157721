"""What the processes of a service share, in a folder that lives as long as it does."""

import os
from dataclasses import dataclass
from pathlib import Path

VARIABLE = "PROMETHEUS_MULTIPROC_DIR"  # where prometheus-client looks as it is imported


@dataclass(frozen=True)
class Shared:
    """metrics: what each process has counted; checkpoints: those that were good last."""

    metrics: Path
    checkpoints: Path

    @classmethod
    def within(cls, folder: Path) -> "Shared":
        """Make it. Processes that are started from now on know where their metrics belong."""
        made = cls(folder / "metrics", folder / "checkpoints")
        made.make()
        os.environ[VARIABLE] = str(made.metrics)
        return made

    def make(self) -> None:
        """Make the folders, also if something has removed them meanwhile."""
        self.metrics.mkdir(parents=True, exist_ok=True)
        self.checkpoints.mkdir(parents=True, exist_ok=True)
