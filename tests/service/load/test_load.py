"""Load control: which requests wait, which are rejected, and that every counter returns to zero."""

import asyncio
import gzip
import json
import random
import signal
import threading
import time
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager, contextmanager, suppress
from pathlib import Path

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st
from prometheus_client import CollectorRegistry, Gauge
from starlette.types import Scope

from service.errors import OverloadError
from service.http.exchange import Exchange
from service.load import stream_slots
from service.load.queue import RequestQueue, Work
from service.load.stream_slots import StreamSlot, StreamSlots
from tests.support.http.problems import problem
from tests.support.http.server import Server
from tests.support.http.wire import ASK, Wire, counted, until, wires

# Seconds of work in threads.
HARD = "/sample?n=10000&unique=true&temperature=0.05&min_length=60&max_length=60"
MILLION = b"GET /sample?n=10000000 HTTP/1.1\r\nHost: a\r\nAccept: text/plain\r\n\r\n"
TEXT = {"Accept": "text/plain"}
LINES = {"Content-Type": "text/plain"}
PROBES = ("/healthz", "/readyz", "/metrics")
GAUGES = ("moniker_requests_waiting", "moniker_jobs", "moniker_streams")


def request_for(path: str) -> bytes:
    return f"GET {path} HTTP/1.1\r\nHost: a\r\n\r\n".encode()


def assert_shed(reply: httpx.Response, status: int = 503) -> None:
    """The reply is an overload problem with a Retry-After header."""
    problem(reply, status)
    assert int(reply.headers["retry-after"]) >= 1


def shed(server: Server, reason: str) -> float:
    return counted(server, f'moniker_requests_shed_total{{reason="{reason}"}}')


def in_flight(server: Server) -> float:
    """The requests that have no reply yet, including the one for this metric."""
    return counted(server, "moniker_requests_in_flight")


@pytest.fixture(scope="module")
def strict(one_model: Path) -> Iterator[Server]:
    """A service in which no request may wait, with a single stream slot."""
    settings = {
        "MONIKER_CHECKPOINTS": str(one_model),
        "MONIKER_MAX_STREAMS": "1",
        "MONIKER_MAX_WAIT_SECONDS": "0",
        "MONIKER_SHED_STATUS": "429",
        "MONIKER_WRITE_SECONDS": "60",
    }
    with Server(**settings) as running:
        yield running


def gauge() -> Gauge:
    return Gauge("test", "Of a test.", registry=CollectorRegistry())


def value(of: Gauge) -> float:
    return next(iter(of.collect())).samples[0].value


class TestRequestQueue:
    @staticmethod
    async def start(queue: RequestQueue, work: Work, order: list[str]) -> asyncio.Task[None]:
        """Start a job that appends its kind to `order` at its end."""

        async def run() -> None:
            await queue.call(work, lambda: order.append(work.kind))

        task = asyncio.create_task(run())
        await asyncio.sleep(0)
        return task

    @staticmethod
    @asynccontextmanager
    async def occupied(queue: RequestQueue, units: float = 1) -> AsyncIterator[Callable[[], None]]:
        """Occupy both threads until the block ends; yield a function that frees one of them."""
        ends = threading.Event(), threading.Event()
        work = Work("explain", units)
        tasks = [asyncio.create_task(queue.call(work, end.wait)) for end in ends]
        await asyncio.sleep(0.01)
        try:
            yield ends[0].set
        finally:
            for end in ends:
                end.set()
            await asyncio.gather(*tasks)

    @pytest.mark.parametrize(
        ("units", "seconds", "expected"),
        [(1e8, 0.0, ["query", "unique"]), (1e4, 0.05, ["unique", "query"])],
        ids=["later small work", "earlier large work"],
    )
    def test_small_work_runs_before_large_work_which_does_not_starve(
        self, units: float, seconds: float, expected: list[str]
    ) -> None:
        """The large work takes 40 s and 4 ms."""

        async def main() -> None:
            queue, order = RequestQueue(3600, gauge()), list[str]()
            async with self.occupied(queue) as free_one:
                large = await self.start(queue, Work("unique", units), order)
                await asyncio.sleep(seconds)
                small = await self.start(queue, Work("query", 1), order)
                free_one()
                await asyncio.gather(large, small)
            assert order == expected

        asyncio.run(main())

    def test_work_is_rejected_only_if_its_estimated_wait_is_too_long(self) -> None:
        async def main() -> None:
            of_jobs = gauge()
            queue = RequestQueue(8, of_jobs)
            async with self.occupied(queue, units=5e4):  # 5 s each
                assert value(of_jobs) == 2
                with pytest.raises(OverloadError, match="unique") as error:
                    queue.admit(Work("unique", 1e8))
                assert error.value.seconds == pytest.approx(10, rel=0.1)
                assert 10 <= error.value.retry_after <= 16
                queue.admit(Work("query", 1))  # it has an earlier deadline
                queue.admit(Work("sample", 1e12, light=True))  # the event loop is idle
            queue.admit(Work("unique", 1e8))
            assert value(of_jobs) == 0

        asyncio.run(main())

    def test_the_overhead_of_small_work_does_not_raise_the_estimate_of_large_work(self) -> None:
        async def main() -> None:
            queue = RequestQueue(2, gauge())
            for _ in range(50):
                await queue.call(Work("unique", 10), lambda: time.sleep(0.002))
            async with self.occupied(queue, units=1e3):  # 0.1 s each
                queue.admit(Work("unique", 1e6))
                large = [await self.start(queue, Work("unique", 1e5), []) for _ in range(8)]
            await asyncio.gather(*large)

        asyncio.run(main())

    def test_jitter_keeps_rejected_clients_apart(self) -> None:
        assert len({OverloadError("work", 20.0).retry_after for _ in range(100)}) > 3
        assert {OverloadError("work", 0.01).retry_after for _ in range(100)} == {1}

    def test_failed_and_cancelled_jobs_release_their_slots(self) -> None:
        def fail() -> None:
            raise ZeroDivisionError

        async def main() -> None:
            of_jobs = gauge()
            queue, order = RequestQueue(3600, of_jobs), list[str]()
            for _ in range(3):
                with pytest.raises(ZeroDivisionError):
                    await queue.call(Work("query", 1), fail)
            async with self.occupied(queue):
                waiting = [await self.start(queue, Work("query", 1), order) for _ in range(5)]
                for task in waiting[:4]:
                    task.cancel()
            await asyncio.wait(waiting)
            assert order == ["query"]
            assert value(of_jobs) == 0
            async with self.occupied(queue):  # both threads are free again
                pass

        asyncio.run(main())


def scope(abort: Callable[[], None] = lambda: None) -> Scope:
    return {"state": {"exchange": Exchange(abort=abort)}}


class TestStreamSlots:
    def test_a_stream_waits_for_a_slot_and_is_refused_after_the_longest_wait(self) -> None:
        async def main() -> None:
            of_streams = gauge()
            slots = StreamSlots(1, 0.05, of_streams)
            async with slots.slot(scope()):
                with pytest.raises(OverloadError, match="streams"):
                    async with slots.slot(scope()):
                        pass

                async def wait() -> None:
                    async with slots.slot(scope()):
                        pass

                waiting = asyncio.create_task(wait())
                await asyncio.sleep(0)
            await waiting
            async with slots.slot(scope()):
                assert value(of_streams) == 1
            assert value(of_streams) == 0

        asyncio.run(main())

    def test_a_client_below_the_minimum_rate_loses_its_slot_to_another(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(stream_slots, "WINDOW", 0.05)
        aborted: list[str] = []

        async def main() -> None:
            slots = StreamSlots(2, 0, gauge())
            async with (
                slots.slot(scope(lambda: aborted.append("slow"))),
                slots.slot(scope(lambda: aborted.append("fast"))) as fast,
            ):
                with pytest.raises(OverloadError):  # the slots of both are protected
                    async with slots.slot(scope()):
                        pass
                await asyncio.sleep(0.06)
                fast.record_bytes(10_000)
                async with slots.slot(scope()) as third:
                    third.record_bytes(10_000)
                    with pytest.raises(OverloadError):
                        async with slots.slot(scope()):
                            pass
            assert aborted == ["slow"]

        asyncio.run(main())

    def test_a_slot_is_protected_at_the_minimum_rate(self, monkeypatch: pytest.MonkeyPatch) -> None:
        now = 0.0
        monkeypatch.setattr(stream_slots, "perf_counter", lambda: now)
        slot = StreamSlot(scope())
        slot.begin()
        for second in range(1, 200):
            now = float(second)
            slot.record_bytes(stream_slots.MIN_RATE)
        assert slot.protected_until == now + stream_slots.WINDOW
        for second in range(200, 400):
            now = float(second)
            slot.record_bytes(stream_slots.MIN_RATE // 2)
        assert slot.protected_until < now + 1


@contextmanager
def busy(server: Server) -> Iterator[None]:
    """Keep two HARD requests in progress until the block ends."""
    # Compile the constraints first, so that requests in flight are at work.
    server.get(HARD.replace("n=10000", "n=1")).raise_for_status()
    until(lambda: in_flight(server) == 1)
    with wires(server, 2) as two:
        for wire in two:
            wire.send(request_for(HARD))
            until(lambda: in_flight(server) >= 2)
        until(lambda: counted(server, "moniker_jobs") >= 1)
        yield
        assert counted(server, "moniker_jobs") >= 1, "the work ended before the test"
    until(lambda: in_flight(server) == 1)
    until(lambda: counted(server, "moniker_jobs") == 0)  # a thread ends later than its request


class TestWork:
    def test_work_that_would_wait_too_long_is_refused_before_it_starts(
        self, strict: Server
    ) -> None:
        before = shed(strict, "unique")
        with busy(strict):
            assert_shed(strict.get(HARD), 429)
        assert shed(strict, "unique") >= before + 1

    def test_small_requests_and_probes_are_served_beside_large_work(self, strict: Server) -> None:
        with busy(strict):
            for path in ("/sample", "/score?name=emma", "/next", "/models", *PROBES):
                assert strict.get(path).status_code == 200
        assert strict.get("/sample?n=10000").status_code == 200

    def test_small_work_in_threads_runs_before_large_work(self, server: Server) -> None:
        with busy(server):
            for path in ("/top?n=3", "/lengths", "/transitions", "/score?name=emma&explain=true"):
                assert server.get(path).status_code == 200

    @pytest.mark.parametrize(
        ("clients", "path"),
        [
            (4, "/sample?n=10000"),
            (16, "/sample?n=10000"),
            (64, "/sample?n=100"),
            (16, "/sample?n=3&unique=true"),
            (8, "/lengths"),
            (16, "/score?name=emma&explain=true"),
        ],
    )
    def test_clients_that_wait_for_their_replies_are_never_refused(
        self, server: Server, clients: int, path: str
    ) -> None:
        assert statuses_of(server, clients, lambda client: client.get(path)) == {200: clients * 3}

    def test_clients_with_new_constraints_wait_for_their_compilation(self, server: Server) -> None:
        letters = iter("abcdefghijklmnop" * 3)
        statuses = statuses_of(
            server, 16, lambda client: client.get(f"/sample?n=1&pattern=*{next(letters)}?x*")
        )
        assert statuses == {200: 48}


def statuses_of(
    server: Server, clients: int, send: Callable[[httpx.Client], httpx.Response]
) -> Counter[int]:
    """The statuses of concurrent clients that send three requests each, one after another."""

    def run(_: int) -> list[int]:
        with server.client() as client:
            return [send(client).status_code for _ in range(3)]

    with ThreadPoolExecutor(clients) as pool:
        return Counter(status for statuses in pool.map(run, range(clients)) for status in statuses)


class TestStreams:
    def test_streams_have_their_own_slots(self, strict: Server) -> None:
        before = shed(strict, "streams")
        with Wire(strict) as one:
            one.send(MILLION)
            one.more()
            assert_shed(strict.get("/sample?n=100000", headers=TEXT), 429)
            long = b"emma\n" * 100_000
            assert_shed(strict.post("/score", content=long, headers=LINES), 429)
            assert strict.get("/sample?n=10000").status_code == 200
            assert strict.head("/sample?n=100000", headers=TEXT).status_code == 200
            assert shed(strict, "streams") == before + 2
        until(lambda: strict.post("/score", content=long, headers=LINES).is_success)

    def test_the_decompressed_size_of_a_list_decides_whether_it_is_long(
        self, strict: Server
    ) -> None:
        headers = LINES | {"Content-Encoding": "gzip"}
        with Wire(strict) as one:
            one.send(MILLION)
            one.more()
            assert_shed(strict.post("/score", content=PACKED, headers=headers), 429)

    def test_short_lists_are_scheduled_like_other_work(self, strict: Server) -> None:
        lines, media = b'"emma"\n' * 2000, {"Content-Type": "application/jsonl"}
        before = shed(strict, "explain")

        def score(_: int) -> int:
            path = "/score?explain=true"
            return strict.post(path, content=lines, headers=media).status_code

        with ThreadPoolExecutor(12) as clients:
            assert {*clients.map(score, range(12))} == {200, 429}
        assert shed(strict, "explain") > before

    def test_a_short_list_of_lines_needs_no_slot(self, strict: Server) -> None:
        with Wire(strict) as one:
            one.send(MILLION)
            one.more()
            for names in (1, 1000):
                reply = strict.post("/score", content="emma\n" * names, headers=LINES)
                assert reply.text.count("\temma\n") == names


def statuses_at_once(server: Server, path: str, number: int) -> Counter[int]:
    """The statuses of requests that all arrive while the service is suspended."""
    with wires(server, number) as connections:
        for wire in connections:
            wire.send(ASK)
            wire.reply()  # the connection is accepted
        server.process.send_signal(signal.SIGSTOP)
        for wire in connections:
            wire.send(request_for(path))
        server.process.send_signal(signal.SIGCONT)
        return Counter(wire.reply().status for wire in connections)


class TestAdmission:
    def test_requests_that_arrive_together_wait(self, one_model: Path) -> None:
        # On a busy machine 200 requests may take longer than the default limit of the wait.
        settings = {"MONIKER_CHECKPOINTS": str(one_model), "MONIKER_MAX_WAIT_SECONDS": "60"}
        with Server(**settings) as server:
            assert statuses_at_once(server, "/sample", 200) == {200: 200}

    def test_requests_that_would_wait_too_long_are_refused_but_never_probes(
        self, strict: Server
    ) -> None:
        before = shed(strict, "requests")
        statuses = statuses_at_once(strict, "/sample", 100)
        assert statuses.keys() == {200, 429}
        assert shed(strict, "requests") == before + statuses[429]
        for path in ("/healthz", "/metrics"):
            assert statuses_at_once(strict, path, 30) == {200: 30}
        assert strict.get("/sample").status_code == 200


@pytest.mark.parametrize("requests", [40, pytest.param(2_000, marks=pytest.mark.slow)])
def test_a_flood_of_large_requests_is_survived(strict: Server, requests: int) -> None:
    """Each request is served or rejected, the probes are served, the counters return to zero."""
    replies, probes = Counter[int](), Counter[int]()
    over = threading.Event()

    def flood(_: int) -> None:
        with strict.client() as client:
            while not over.is_set():
                reply = client.get("/sample?n=10000")
                replies[reply.status_code] += 1
                if reply.status_code != 200:
                    assert_shed(reply, 429)

    def probe() -> None:
        while not over.is_set():
            for path in PROBES:
                probes[strict.get(path).status_code] += 1

    with ThreadPoolExecutor(41) as clients:
        floods = [clients.submit(flood, number) for number in range(40)]
        probing = clients.submit(probe)
        try:
            until(lambda: replies[200] >= 20 and replies[429] >= requests and probes[200] >= 30)
        finally:
            over.set()
    for done in [*floods, probing]:
        done.result()
    assert replies.keys() == {200, 429}
    assert probes.keys() == {200}
    assert strict.get("/sample?n=10000").status_code == 200
    assert_at_rest(strict)


# Clients that disconnect

RARE = "pattern=*a*e*i*o*u*&novel=true&model=fivegram&max_length=20&temperature="
EXPLAINED = json.dumps(
    {"names": ["alexandra" * 20] * 100, "model": "fivegram", "explain": True}
).encode()
# Route -> a request of a second or more. The temperatures differ, so that no constraints are
# cached.
SLOW = {
    "/score": b"POST /score HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\n"
    b"Content-Length: %d\r\n\r\n" % len(EXPLAINED) + EXPLAINED,
    "/sample": f"GET /sample?{RARE}0.51 HTTP/1.1\r\nHost: a\r\n\r\n".encode(),
    "/top": f"GET /top?{RARE}0.52&n=1000 HTTP/1.1\r\nHost: a\r\n\r\n".encode(),
    "/lengths": f"GET /lengths?{RARE}0.53 HTTP/1.1\r\nHost: a\r\n\r\n".encode(),
    "/transitions": f"GET /transitions?{RARE}0.54 HTTP/1.1\r\nHost: a\r\n\r\n".encode(),
}


@pytest.mark.parametrize(
    "route",
    [route if route == "/score" else pytest.param(route, marks=pytest.mark.slow) for route in SLOW],
)
def test_a_client_that_disconnects_is_logged_with_status_499(checkpoints: Path, route: str) -> None:
    # Its own service: the measured time of a compilation would have it reject other tests.
    with Server(MONIKER_CHECKPOINTS=str(checkpoints)) as server:
        with Wire(server) as wire:
            wire.send(SLOW[route])
            until(lambda: counted(server, "moniker_jobs") == 1)  # the work has started
        until(lambda: f'"route":"{route}"' in server.log)
        assert f'"route":"{route}","status":499' in server.log
        assert_at_rest(server)


# Requests of every kind

KEY = "a-key-of-the-tests"
AUTHORIZED = f"Host: a\r\nAuthorization: Bearer {KEY}\r\n".encode()
POST = b"POST /score HTTP/1.1\r\n" + AUTHORIZED + b"Content-Type: "
PREFLIGHT = (
    b"OPTIONS /sample HTTP/1.1\r\nHost: a\r\nOrigin: https://elsewhere.example\r\n"
    b"Access-Control-Request-Method: GET\r\n\r\n"
)


def get(path: bytes, method: bytes = b"GET", more: bytes = b"") -> bytes:
    return method + b" " + path + b" HTTP/1.1\r\n" + AUTHORIZED + more + b"\r\n"


def posted(media: bytes, body: bytes, length: int | None = None) -> bytes:
    size = len(body) if length is None else length
    return POST + media + b"\r\nContent-Length: %d\r\n\r\n" % size + body


PACKED = gzip.compress(b"a\n" * 1_000_000, mtime=0)
STREAM = get(b"/sample?n=1000000", more=b"Accept: text/plain\r\n")
SENT = {
    "names": get(b"/sample?n=5"),
    "many names": get(b"/sample?n=10000"),
    "different names": get(b"/sample?n=300&unique=true"),
    "new constraints": get(b"/sample?pattern=*%61??[b-z]*&max_length=13"),
    "lengths": get(b"/lengths?min_length=3"),
    "HEAD": get(b"/score?name=emma", b"HEAD"),
    "HEAD of a stream": get(b"/sample?n=10000000", b"HEAD", b"Accept: text/plain\r\n"),
    "a preflight": PREFLIGHT,
    "without a key": b"GET /sample HTTP/1.1\r\nHost: a\r\n\r\n",
    "no such path": get(b"/nowhere"),
    "no such method": get(b"/sample", b"DELETE"),
    "a wrong field": get(b"/sample?n=0&x=1"),
    "not HTTP": b"\x16\x03\x01\r\n\r\n",
    "half a head": get(b"/sample")[:-4],
    "half a body": posted(b"application/json", b'{"names":["em', 1000),
    "half a list": posted(b"text/plain", b"emma\nav", 10**6),
    "a list": posted(b"text/plain", b"emma\nava\n"),
    "a list to explain": POST.replace(b"/score", b"/score?explain=true")
    + b"application/jsonl\r\nContent-Length: 3500\r\n\r\n"
    + b'"emma"\n' * 500,
    "a packed list": POST
    + b"text/plain\r\nContent-Encoding: gzip\r\nContent-Length: %d\r\n\r\n" % len(PACKED)
    + PACKED,
    "a long list": posted(b"text/plain", b"emma\n" * 40_000),
    "a body that is too long": posted(b"application/json", b"", 10**9),
    "a stream": STREAM,
    "pipelined": get(b"/sample") + PREFLIGHT + get(b"/nowhere") + get(b"/sample?n=10000") * 3,
}
ENDS = ["disconnect", "first byte", "wait"]
ACTIONS = st.tuples(st.sampled_from(sorted(SENT)), st.sampled_from(ENDS))


@pytest.fixture(scope="module")
def with_keys(one_model: Path) -> Iterator[Server]:
    """A service with keys and CORS, and short time limits."""
    settings = {
        "MONIKER_CHECKPOINTS": str(one_model),
        "MONIKER_API_KEYS": KEY,
        "MONIKER_CORS_ORIGINS": "https://here.example",
        "MONIKER_HEADER_SECONDS": "0.5",
        "MONIKER_BODY_SECONDS": "0.5",
    }
    with Server(**settings) as running:
        yield running
        assert "Traceback" not in running.log


def act(server: Server, kind: str, end: str) -> None:
    """Send something, and disconnect at once, when the reply begins, or after a while."""
    with Wire(server) as wire:
        wire.send(SENT[kind])
        if end == "disconnect":
            return
        wire.socket.settimeout(0.02 if end == "wait" else 5)
        with suppress(TimeoutError):
            for _ in range(1 if end == "first byte" else 5):
                wire.receive()


def assert_at_rest(server: Server) -> None:
    """Every gauge is zero but for the request that reads them."""
    headers = {"Authorization": f"Bearer {KEY}"}

    def at_rest() -> bool:
        shown = dict(
            line.rsplit(" ", 1) for line in server.get("/metrics", headers=headers).text.split("\n")
            if line and not line.startswith("#")
        )  # fmt: skip
        values = [float(shown[name]) for name in ("moniker_requests_in_flight", *GAUGES)]
        return values == [1, 0, 0, 0]

    until(at_rest)
    assert server.get("/sample", headers=headers).status_code == 200


@given(st.lists(ACTIONS, min_size=1, max_size=12))
def test_every_gauge_returns_to_zero_after_requests_of_any_kind(
    with_keys: Server, actions: list[tuple[str, str]]
) -> None:
    with ThreadPoolExecutor(4) as clients:
        for done in [clients.submit(act, with_keys, *action) for action in actions]:
            done.result()
    assert_at_rest(with_keys)


@pytest.mark.slow
def test_every_gauge_returns_to_zero_after_ten_thousand_requests(with_keys: Server) -> None:
    kinds, ends = sorted(SENT), ("disconnect", *ENDS)
    draw = random.Random(0)
    with ThreadPoolExecutor(8) as clients:
        actions = [(draw.choice(kinds), draw.choice(ends)) for _ in range(10_000)]
        for done in [clients.submit(act, with_keys, *action) for action in actions]:
            done.result()
    assert_at_rest(with_keys)
