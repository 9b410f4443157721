"""Where a process of the service is between its start and its end."""

from dataclasses import dataclass


@dataclass
class Lifecycle:
    """Shared by the server, which is told to stop, and the application, which tells others.

    leaving: it has been told to stop, so nobody should send more requests here
    """

    leaving: bool = False
