"""A reply in parts, of which so many are under way at a time."""

from fastapi.responses import StreamingResponse
from starlette.types import Receive, Scope, Send


class Stream(StreamingResponse):
    """The parts that an iterator makes, each in a thread."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send all of them. Raises OverloadError before the first."""
        with scope["state"]["admission"].stream():
            await super().__call__(scope, receive, send)
