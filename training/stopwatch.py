"""Stopwatch: the seconds of each phase of the job, which add up to its total."""

from time import perf_counter


class Stopwatch:
    """Consecutive laps, in seconds, from `started`, a value of `time.perf_counter`."""

    def __init__(self, started: float) -> None:
        self._started = self._lap_started = started

    def lap(self) -> float:
        """Return the seconds since the last call or, at the first call, since the start."""
        previous, self._lap_started = self._lap_started, perf_counter()
        return self._lap_started - previous

    @property
    def total(self) -> float:
        """The seconds of all laps."""
        return self._lap_started - self._started
