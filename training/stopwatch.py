"""The time of a job, in laps that add up to all of it."""

from time import perf_counter


class Stopwatch:
    """Laps from `started`, a value of `time.perf_counter`, in seconds."""

    def __init__(self, started: float) -> None:
        self._started = self._lap = started

    def lap(self) -> float:
        """The time since the last lap ended, or since the start."""
        before, self._lap = self._lap, perf_counter()
        return self._lap - before

    @property
    def total(self) -> float:
        """The laps so far."""
        return self._lap - self._started
