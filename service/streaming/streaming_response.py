"""Streaming response that holds a stream slot."""

from starlette.responses import StreamingResponse
from starlette.types import Receive, Scope, Send

from service.load.stream_slots import StreamSlots


class SlotStreamingResponse(StreamingResponse):
    """Starlette's StreamingResponse, limited by the stream slots of the service."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Stream the body. Raises OverloadError before the first part if no slot is free."""
        if scope["method"] == "HEAD":
            await send({"type": "http.response.start", "status": 200, "headers": self.raw_headers})
            await send({"type": "http.response.body"})
            return
        async with StreamSlots.in_state(scope["state"]).slot(scope) as slot:
            await super().__call__(scope, receive, slot.recording(send))
