"""Lifecycle of a process: whether it is draining."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, cast


@dataclass
class Lifecycle:
    """State of the process, shared by the server and the application.

    draining: whether the process has been asked to stop, so that clients should reconnect
    """

    draining: bool = False

    @classmethod
    def in_state(cls, state: Mapping[str, Any]) -> "Lifecycle":
        """Return the lifecycle in the state of an ASGI scope."""
        return cast(Lifecycle, state["lifecycle"])
