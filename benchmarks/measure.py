"""A row of the table, and the clock behind it."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from statistics import median

HEADER = f"{'':<40}{'baseline':>14}{'moniker':>14}{'ratio':>9}"


@dataclass(frozen=True)
class Row:
    """One comparison: the same work done by a baseline and by moniker, in the same unit."""

    task: str
    baseline: float
    moniker: float
    unit: str

    def __str__(self) -> str:
        """The row under HEADER; the ratio tells how many times better moniker is."""
        better = self.moniker / self.baseline
        ratio = 1 / better if self.unit in {"s", "MB"} else better
        figures = f"{self.baseline:>14,.4g}{self.moniker:>14,.4g}"
        return f"{f'{self.task}, {self.unit}':<40}{figures}{ratio:>8,.2f}x"


def interleaved(*works: Callable[[], object], rounds: int = 5) -> list[float]:
    """Median seconds of each piece of work; they take turns, so that noise strikes all alike."""
    times: list[list[float]] = [[] for _ in works]
    for _ in range(rounds):
        for work, seconds in zip(works, times, strict=True):
            started = time.perf_counter()
            work()
            seconds.append(time.perf_counter() - started)
    return [median(seconds) for seconds in times]
