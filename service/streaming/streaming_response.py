"""A reply in parts, which holds a stream slot."""

from starlette.responses import StreamingResponse
from starlette.types import Receive, Scope, Send

from service.load.stream_slots import StreamSlots


class SlotStreamingResponse(StreamingResponse):
    """The parts that an iterator makes."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send all of them. Raises OverloadError before the first."""
        if scope["method"] == "HEAD":
            await send({"type": "http.response.start", "status": 200, "headers": self.raw_headers})
            await send({"type": "http.response.body"})
            return
        async with StreamSlots.in_state(scope["state"]).slot(scope) as slot:
            await super().__call__(scope, receive, slot.recording(send))
