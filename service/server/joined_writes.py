"""The head and the body of a reply, written in one system call."""

import asyncio
from collections.abc import Callable


class JoinedWrites:
    """The transport of a reply, which writes its head together with what follows.

    uvicorn writes the head and the body one after the other. Each is a system call, which takes
    longer than all else that a small reply takes.

    end: closes the connection
    """

    def __init__(self, transport: asyncio.Transport, end: Callable[[], None]) -> None:
        self._transport, self._end = transport, end
        self._head: bytes | None = None
        self.is_closing = self._transport.is_closing
        self.write: Callable[[bytes], None] = self._hold

    def close(self) -> None:
        """Write what is held back, and let the connection end."""
        self._flush()
        self._end()

    def _hold(self, head: bytes) -> None:
        self._head, self.write = head, self._write_both
        asyncio.get_running_loop().call_soon(self._flush)  # where nothing follows at once

    def _write_both(self, body: bytes) -> None:
        head, self._head, self.write = self._head, None, self._transport.write
        self._transport.write(body if head is None else head + body)

    def _flush(self) -> None:
        if self._head is not None and not self.is_closing():
            self._write_both(b"")
