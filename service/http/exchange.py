"""HTTP exchange: the state of a request and its response that the connection and others share."""

from collections.abc import Callable, MutableMapping
from dataclasses import dataclass, field
from time import perf_counter
from typing import Any

KEY = "exchange"  # in scope["state"]
CLOSE = {"Connection": "close"}  # headers of a response after which input is not read


@dataclass(slots=True)
class Exchange:
    """A request and its response, as seen by their connection.

    arrived: when the last header was received, in seconds of `perf_counter`
    abort: ends a response that cannot be completed, and closes the connection
    body_received: whether the complete body has been received
    """

    arrived: float = field(default_factory=perf_counter)
    abort: Callable[[], None] = lambda: None
    body_received: bool = False

    @classmethod
    def of(cls, scope: MutableMapping[str, Any]) -> "Exchange":
        """Return the exchange of a request.

        Under an ASGI server other than `service.server`, the first call creates it with the
        defaults: the request arrives now, and `abort` has no effect.
        """
        state = scope.setdefault("state", {})
        exchange: Exchange | None = state.get(KEY)
        if exchange is None:
            exchange = state[KEY] = cls()
        return exchange
