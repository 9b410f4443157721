"""A transport that writes the head and the body of a response in one system call."""

import asyncio
from collections.abc import Callable


class JoinedWrites:
    """The transport of a response, which delays its head until the first part of the body.

    uvicorn writes the head and the body separately. A system call takes longer than everything
    else that a small response needs.

    on_close: closes the connection
    """

    def __init__(self, transport: asyncio.Transport, on_close: Callable[[], None]) -> None:
        self._transport, self._on_close = transport, on_close
        self._head: bytes | None = None
        self.is_closing = self._transport.is_closing
        self.write: Callable[[bytes], None] = self._write_head

    def close(self) -> None:
        """Write a delayed head, and close the connection."""
        self._flush()
        self._on_close()

    def _write_head(self, head: bytes) -> None:
        self._head, self.write = head, self._write_body
        # For a head whose body does not follow in the same iteration of the event loop.
        asyncio.get_running_loop().call_soon(self._flush)

    def _write_body(self, body: bytes) -> None:
        head, self._head, self.write = self._head, None, self._transport.write
        self._transport.write(body if head is None else head + body)

    def _flush(self) -> None:
        if self._head is not None and not self.is_closing():
            self._write_body(b"")
