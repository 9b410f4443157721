"""Who is let in when there is much to do: as much at a time as can be done soon.

Work is counted in characters of names: so many names of so many characters each, and the
characters that are drawn are the unit of all others. What is done within a few milliseconds
is not counted, for it is done at once.
"""

from collections import OrderedDict
from collections.abc import Hashable, Iterator
from contextlib import contextmanager

from service.settings import Settings

BASE = 100_000  # what a request takes besides its names
LARGEST = 1 / 2  # of all there may be: a single request never keeps all others out


REMEMBERED = 1024  # requests that have been refused for their work


class OverloadError(Exception):
    """There is too much to do.

    reason: of what; a label of the metric
    """

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


class Admission:
    """The work that is under way, and the streams.

    waiting: requests that have come and whose turn has not
    """

    def __init__(self, settings: Settings) -> None:
        self._most, self._most_streams = settings.max_work, settings.max_streams
        self._work = self._streams = 0
        self.waiting = 0
        self._refused: OrderedDict[Hashable, None] = OrderedDict()

    def check(self, characters: float) -> None:
        """Raises OverloadError if so much work could not be begun now."""
        if self._work + self._counted(characters) > self._most:
            raise OverloadError("work")

    def remember(self, request: Hashable) -> None:
        """Know again a request that was too much work."""
        self._refused[request] = None
        if len(self._refused) > REMEMBERED:
            self._refused.popitem(last=False)

    def is_still_too_much(self, request: Hashable) -> bool:
        """Whether a request is one that was too much work, and nothing more can be begun now."""
        return self._work + BASE > self._most and request in self._refused

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
