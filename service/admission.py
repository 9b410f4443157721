"""Who is let in when there is much to do: as much at a time as can be done soon.

Work is counted in characters of names: so many names of so many characters each, and the
characters that are drawn are the unit of all others. What is done within a few milliseconds
is not counted, for it is done at once.
"""

from collections import OrderedDict
from collections.abc import Iterator
from contextlib import contextmanager

from service.settings import Settings

BASE = 100_000  # what a request takes besides its names
LARGEST = 1 / 2  # of all there may be: a single request never keeps all others out
REMEMBERED = 1024  # requests that have been refused for their work


class OverloadError(Exception):
    """There is too much to do.

    reason: of what; a label of the metric
    work: that was asked for, as it is counted
    """

    def __init__(self, reason: str, work: int = 0) -> None:
        super().__init__(reason)
        self.reason, self.work = reason, work


class Admission:
    """The work that is under way, and the streams.

    waiting: requests that have come and whose turn has not
    """

    def __init__(self, settings: Settings) -> None:
        self._most, self._most_streams = settings.max_work, settings.max_streams
        self._work = self._streams = 0
        self.waiting = 0
        self._refused: OrderedDict[int, int] = OrderedDict()

    def check(self, characters: float) -> None:
        """Raises OverloadError if so much work could not be begun now."""
        counted = self._counted(characters)
        if self._work + counted > self._most:
            raise OverloadError("work", counted)

    def remember(self, request: int, work: int) -> None:
        """Know again, by its hash, a request that was too much work."""
        self._refused[request] = work
        if len(self._refused) > REMEMBERED:
            self._refused.popitem(last=False)

    def is_still_too_much(self, request: int) -> bool:
        """Whether a request is known to be more work than could be begun now."""
        return self._work + self._refused.get(request, 0) > self._most

    @contextmanager
    def work(self, characters: float) -> Iterator[None]:
        """Have so much work under way. Raises OverloadError."""
        self.check(characters)
        counted = self._counted(characters)
        self._work += counted
        try:
            yield
        finally:
            self._work -= counted

    @contextmanager
    def stream(self) -> Iterator[None]:
        """Have a stream under way. Raises OverloadError."""
        if self._streams >= self._most_streams:
            raise OverloadError("streams")
        self._streams += 1
        try:
            yield
        finally:
            self._streams -= 1

    def _counted(self, characters: float) -> int:
        return int(min(BASE + characters, self._most * LARGEST))
