"""Rows of the benchmark table, and the timing of pieces of work."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from statistics import median

HEADER = f"{'':<40}{'baseline':>14}{'moniker':>14}{'ratio':>9}"


@dataclass(frozen=True)
class Row:
    """A comparison of a baseline and moniker at the same task, in the same unit."""

    task: str
    baseline: float
    moniker: float
    unit: str

    def __str__(self) -> str:
        """Return the row for HEADER; a ratio above 1 means that moniker is better."""
        better = self.moniker / self.baseline
        ratio = 1 / better if self.unit in {"s", "MB"} else better
        figures = f"{self.baseline:>14,.4g}{self.moniker:>14,.4g}"
        return f"{f'{self.task}, {self.unit}':<40}{figures}{ratio:>8,.2f}x"


def interleaved(*works: Callable[[], object], rounds: int = 5) -> list[float]:
    """Return the median seconds of each piece of work; they alternate, so noise affects all."""
    times: list[list[float]] = [[] for _ in works]
    for _ in range(rounds):
        for work, seconds in zip(works, times, strict=True):
            started = time.perf_counter()
            work()
            seconds.append(time.perf_counter() - started)
    return [median(seconds) for seconds in times]
