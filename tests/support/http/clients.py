"""Concurrent clients: closed-loop clients, and slow clients that send byte by byte."""

import threading
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress

import httpx

from tests.support.http.server import PATIENCE, Server
from tests.support.http.wire import Wire

Ask = Callable[[httpx.Client], httpx.Response]


def closed_loop(server: Server, clients: int, requests: int, ask: Ask) -> Counter[int]:
    """Run closed-loop clients and return how often each status occurred.

    Each client has its own connection and sends its next request after the previous response.

    clients: number of concurrent clients
    requests: number of requests of each client
    ask: sends one request and returns its response
    """
    ready = threading.Barrier(clients, timeout=PATIENCE)

    def run(_: int) -> Counter[int]:
        with server.client() as client:
            ready.wait()
            return Counter(ask(client).status_code for _ in range(requests))

    with ThreadPoolExecutor(clients) as pool:
        return sum(pool.map(run, range(clients)), Counter[int]())


class Dripper(threading.Thread):
    """A client that sends a chunked body one byte at a time, until it or the service closes.

    seconds: pause after each byte
    sent: number of body bytes sent so far
    """

    def __init__(self, server: Server, head: bytes, body: bytes, seconds: float) -> None:
        super().__init__(daemon=True)
        self.wire = Wire(server)
        self._head, self._body, self._seconds = head, body, seconds
        self._stopped = threading.Event()
        self.sent = 0

    def run(self) -> None:
        with suppress(OSError):
            self.wire.socket.sendall(self._head)
            for byte in self._body:
                self.wire.socket.sendall(b"1\r\n%c\r\n" % byte)
                self.sent += 1
                if self._stopped.wait(self._seconds):
                    return
            self.wire.socket.sendall(b"0\r\n\r\n")

    def stop(self) -> None:
        """Stop sending and close the connection."""
        self._stopped.set()
        self.join()
        self.wire.socket.close()


@contextmanager
def dripping(
    server: Server, count: int, head: bytes, body: bytes, seconds: float
) -> Iterator[list[Dripper]]:
    """Run slow clients until the block ends."""
    drippers = [Dripper(server, head, body, seconds) for _ in range(count)]
    for dripper in drippers:
        dripper.start()
    try:
        yield drippers
    finally:
        for dripper in drippers:
            dripper.stop()
