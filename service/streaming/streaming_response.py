"""A reply in parts, which holds a stream slot."""

from starlette.responses import StreamingResponse
from starlette.types import Receive, Scope, Send


class SlotStreamingResponse(StreamingResponse):
    """The parts that an iterator makes."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send all of them. Raises OverloadError before the first."""
        if scope["method"] == "HEAD":
            await send({"type": "http.response.start", "status": 200, "headers": self.raw_headers})
            await send({"type": "http.response.body"})
            return
        async with scope["state"]["streams"].slot(scope) as slot:
            await super().__call__(scope, receive, slot.counting(send))
