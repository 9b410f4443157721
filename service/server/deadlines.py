"""Deadlines: timers for the time limits of clients."""

import asyncio
from collections.abc import Callable


class Deadline:
    """A timer that calls a function, unless it is stopped in time.

    seconds: from `start` to the call
    on_expiry: the function
    """

    def __init__(self, seconds: float, on_expiry: Callable[[], None]) -> None:
        self._seconds, self._on_expiry = seconds, on_expiry
        self._timer: asyncio.TimerHandle | None = None

    def start(self) -> None:
        """Start the timer, unless it is running already."""
        if self._timer is None:
            self._timer = asyncio.get_running_loop().call_later(self._seconds, self._on_expiry)

    def stop(self) -> None:
        """Stop the timer if it is running."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
