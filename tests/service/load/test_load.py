"""Load: who waits, who is refused and how, and that nothing is left of any request."""

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
from service.load import stream_slots as streams
from service.load.queue import Queue, Work
from service.load.stream_slots import Slot, Streams
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


def asking(path: str) -> bytes:
    return f"GET {path} HTTP/1.1\r\nHost: a\r\n\r\n".encode()


def refused(reply: httpx.Response, status: int = 503) -> None:
    """A refusal, as it must be."""
    problem(reply, status)
    assert int(reply.headers["retry-after"]) >= 1


def shed(server: Server, reason: str) -> float:
    return counted(server, f'moniker_requests_shed_total{{reason="{reason}"}}')


def in_flight(server: Server) -> float:
    """Requests that are being answered, the one for this figure included."""
    return counted(server, "moniker_requests_in_flight")


@pytest.fixture(scope="module")
def strict(one_model: Path) -> Iterator[Server]:
    """A service of which nobody waits, with a single stream slot."""
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
    return Gauge("some", "Of a test.", registry=CollectorRegistry())


def value(of: Gauge) -> float:
    return next(iter(of.collect())).samples[0].value


class TestQueue:
    """With work of which each part waits until the test lets it go on."""

    @staticmethod
    async def begun(queue: Queue, work: Work, order: list[str]) -> asyncio.Task[None]:
        """A job that notes its kind in `order` when it is done."""

        async def run() -> None:
            await queue.call(work, lambda: order.append(work.kind))

        task = asyncio.create_task(run())
        await asyncio.sleep(0)
        return task

    @staticmethod
    @asynccontextmanager
    async def occupied(queue: Queue, units: float = 1) -> AsyncIterator[Callable[[], None]]:
        """Both threads work until the block ends; yields what sets one of them free."""
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
        [(1e8, 0.0, ["search", "distinct"]), (1e4, 0.05, ["distinct", "search"])],
        ids=["small work that comes later", "large work that has waited"],
    )
    def test_what_goes_first(self, units: float, seconds: float, expected: list[str]) -> None:
        """Small work does, but large work, here of 40 s and of 4 ms, is not overtaken for ever."""

        async def main() -> None:
            queue, order = Queue(3600, gauge()), list[str]()
            async with self.occupied(queue) as set_one_free:
                large = await self.begun(queue, Work("distinct", units), order)
                await asyncio.sleep(seconds)
                small = await self.begun(queue, Work("search", 1), order)
                set_one_free()
                await asyncio.gather(large, small)
            assert order == expected

        asyncio.run(main())

    def test_work_is_refused_if_the_estimated_wait_is_too_long_and_else_waits(self) -> None:
        async def main() -> None:
            of_jobs = gauge()
            queue = Queue(8, of_jobs)
            async with self.occupied(queue, units=5e4):  # 5 s each
                assert value(of_jobs) == 2
                with pytest.raises(OverloadError, match="distinct") as error:
                    queue.check(Work("distinct", 1e8))
                assert error.value.seconds == pytest.approx(10, rel=0.1)
                assert 10 <= error.value.retry_after <= 16
                queue.check(Work("search", 1))  # it goes before
                queue.check(Work("sample", 1e12, light=True))  # the event loop has time
            queue.check(Work("distinct", 1e8))
            assert value(of_jobs) == 0

        asyncio.run(main())

    def test_small_work_with_its_fixed_costs_does_not_make_large_work_seem_long(self) -> None:
        async def main() -> None:
            queue = Queue(2, gauge())
            for _ in range(50):
                await queue.call(Work("distinct", 10), lambda: time.sleep(0.002))
            async with self.occupied(queue, units=1e3):  # 0.1 s each
                queue.check(Work("distinct", 1e6))
                large = [await self.begun(queue, Work("distinct", 1e5), []) for _ in range(8)]
            await asyncio.gather(*large)

        asyncio.run(main())

    def test_jitter_keeps_refused_clients_apart(self) -> None:
        assert len({OverloadError("work", 20.0).retry_after for _ in range(100)}) > 3
        assert {OverloadError("work", 0.01).retry_after for _ in range(100)} == {1}

    def test_what_fails_or_is_cancelled_leaves_nothing_behind(self) -> None:
        def fail() -> None:
            raise ZeroDivisionError

        async def main() -> None:
            of_jobs = gauge()
            queue, order = Queue(3600, of_jobs), list[str]()
            for _ in range(3):
                with pytest.raises(ZeroDivisionError):
                    await queue.call(Work("search", 1), fail)
            async with self.occupied(queue):
                waiting = [await self.begun(queue, Work("search", 1), order) for _ in range(5)]
                for task in waiting[:4]:
                    task.cancel()
            await asyncio.wait(waiting)
            assert order == ["search"]
            assert value(of_jobs) == 0
            async with self.occupied(queue):  # both threads can still be had
                pass

        asyncio.run(main())


def scope(cut: Callable[[], None] = lambda: None) -> Scope:
    return {"state": {"cut": cut}}


class TestStreamSlots:
    def test_a_stream_waits_for_a_slot_and_is_refused_if_none_comes(self) -> None:
        async def main() -> None:
            of_streams = gauge()
            slots = Streams(1, 0.05, of_streams)
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
        monkeypatch.setattr(streams, "WINDOW", 0.05)
        cut: list[str] = []

        async def main() -> None:
            slots = Streams(2, 0, gauge())
            async with (
                slots.slot(scope(lambda: cut.append("slow"))),
                slots.slot(scope(lambda: cut.append("quick"))) as quick,
            ):
                with pytest.raises(OverloadError):  # neither has had its time
                    async with slots.slot(scope()):
                        pass
                await asyncio.sleep(0.06)
                quick.moved(10_000)
                async with slots.slot(scope()) as third:
                    third.moved(10_000)
                    with pytest.raises(OverloadError):
                        async with slots.slot(scope()):
                            pass
            assert cut == ["slow"]

        asyncio.run(main())

    def test_a_slot_is_held_as_long_as_the_minimum_rate_is_moved(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        now = 0.0
        monkeypatch.setattr(streams, "perf_counter", lambda: now)
        slot = Slot(scope())
        slot.begin()
        for second in range(1, 200):
            now = float(second)
            slot.moved(streams.MIN_RATE)
        assert slot.held_until == now + streams.WINDOW
        for second in range(200, 400):
            now = float(second)
            slot.moved(streams.MIN_RATE // 2)
        assert slot.held_until < now + 1


@contextmanager
def busy(server: Server) -> Iterator[None]:
    """Two HARD requests are under way until the block ends."""
    # Compiled now, so that whatever is in flight is at work.
    server.get(HARD.replace("n=10000", "n=1")).raise_for_status()
    until(lambda: in_flight(server) == 1)
    with wires(server, 2) as two:
        for wire in two:
            wire.send(asking(HARD))
            until(lambda: in_flight(server) >= 2)
        until(lambda: counted(server, "moniker_jobs") >= 1)
        yield
        assert counted(server, "moniker_jobs") >= 1, "the work was done before the test was"
    until(lambda: in_flight(server) == 1)
    until(lambda: counted(server, "moniker_jobs") == 0)  # a thread ends later than its request


class TestWork:
    def test_what_would_have_to_wait_too_long_is_refused_before_it_is_begun(
        self, strict: Server
    ) -> None:
        before = shed(strict, "distinct")
        with busy(strict):
            refused(strict.get(HARD), 429)
        assert shed(strict, "distinct") >= before + 1

    def test_small_requests_and_probes_are_answered_meanwhile(self, strict: Server) -> None:
        with busy(strict):
            for path in ("/sample", "/score?name=emma", "/next", "/models", *PROBES):
                assert strict.get(path).status_code == 200
        assert strict.get("/sample?n=10000").status_code == 200

    def test_small_work_in_threads_goes_before_large_work(self, server: Server) -> None:
        with busy(server):
            for path in ("/top?n=3", "/lengths", "/transitions", "/score?name=emma&explain=true"):
                assert server.get(path).status_code == 200

    @pytest.mark.parametrize(
        ("clients", "asked"),
        [
            (4, "/sample?n=10000"),
            (16, "/sample?n=10000"),
            (64, "/sample?n=100"),
            (16, "/sample?n=3&unique=true"),
            (8, "/lengths"),
            (16, "/score?name=emma&explain=true"),
        ],
    )
    def test_clients_that_wait_for_their_answers_are_never_refused(
        self, server: Server, clients: int, asked: str
    ) -> None:
        assert all_at_once(server, clients, lambda client: client.get(asked)) == {200: clients * 3}

    def test_clients_with_new_constraints_wait_until_these_are_compiled(
        self, server: Server
    ) -> None:
        letters = iter("abcdefghijklmnop" * 3)
        statuses = all_at_once(
            server, 16, lambda client: client.get(f"/sample?n=1&pattern=*{next(letters)}?x*")
        )
        assert statuses == {200: 48}


def all_at_once(
    server: Server, clients: int, ask: Callable[[httpx.Client], httpx.Response]
) -> Counter[int]:
    """The statuses of clients that ask three times each, one request after the other."""

    def run(_: int) -> list[int]:
        with server.client() as client:
            return [ask(client).status_code for _ in range(3)]

    with ThreadPoolExecutor(clients) as pool:
        return Counter(status for statuses in pool.map(run, range(clients)) for status in statuses)


class TestStreams:
    def test_streams_have_slots_of_their_own(self, strict: Server) -> None:
        before = shed(strict, "streams")
        with Wire(strict) as one:
            one.send(MILLION)
            one.more()
            refused(strict.get("/sample?n=100000", headers=TEXT), 429)
            long = b"emma\n" * 100_000
            refused(strict.post("/score", content=long, headers=LINES), 429)
            assert strict.get("/sample?n=10000").status_code == 200
            assert strict.head("/sample?n=100000", headers=TEXT).status_code == 200
            assert shed(strict, "streams") == before + 2
        until(lambda: strict.post("/score", content=long, headers=LINES).is_success)

    def test_a_list_is_long_by_what_it_unpacks_to(self, strict: Server) -> None:
        headers = LINES | {"Content-Encoding": "gzip"}
        with Wire(strict) as one:
            one.send(MILLION)
            one.more()
            refused(strict.post("/score", content=PACKED, headers=headers), 429)

    def test_short_lists_wait_like_other_work(self, strict: Server) -> None:
        lines, media = b'"emma"\n' * 2000, {"Content-Type": "application/jsonl"}
        before = shed(strict, "explain")

        def score(_: int) -> int:
            asked = "/score?explain=true"
            return strict.post(asked, content=lines, headers=media).status_code

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


def answers_at_once(server: Server, path: str, number: int) -> Counter[int]:
    """The statuses of requests that all come before the service sees the first."""
    with wires(server, number) as all_of_them:
        for wire in all_of_them:
            wire.send(ASK)
            wire.reply()  # it is accepted
        server.process.send_signal(signal.SIGSTOP)
        for wire in all_of_them:
            wire.send(asking(path))
        server.process.send_signal(signal.SIGCONT)
        return Counter(wire.reply().status for wire in all_of_them)


class TestEntrance:
    def test_requests_that_come_at_once_wait_for_their_turn(self, server: Server) -> None:
        assert answers_at_once(server, "/sample", 200) == {200: 200}

    def test_those_that_would_wait_too_long_are_refused_and_the_probes_never(
        self, strict: Server
    ) -> None:
        before = shed(strict, "requests")
        statuses = answers_at_once(strict, "/sample", 100)
        assert statuses.keys() == {200, 429}
        assert shed(strict, "requests") == before + statuses[429]
        for path in ("/healthz", "/metrics"):
            assert answers_at_once(strict, path, 30) == {200: 30}
        assert strict.get("/sample").status_code == 200


@pytest.mark.parametrize("requests", [40, pytest.param(2_000, marks=pytest.mark.slow)])
def test_a_flood_of_large_requests_is_survived(strict: Server, requests: int) -> None:
    """Each is answered or refused, the probes are answered, and then all is as before."""
    replies, probes = Counter[int](), Counter[int]()
    over = threading.Event()

    def flood(_: int) -> None:
        with strict.client() as client:
            while not over.is_set():
                reply = client.get("/sample?n=10000")
                replies[reply.status_code] += 1
                if reply.status_code != 200:
                    refused(reply, 429)

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
# Route -> a request of a second or more. The temperatures differ: no constraints are known.
SLOW = {
    "/score": b"POST /score HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\n"
    b"Content-Length: %d\r\n\r\n" % len(EXPLAINED) + EXPLAINED,
    "/sample": f"GET /sample?{RARE}0.51 HTTP/1.1\r\nHost: a\r\n\r\n".encode(),
    "/top": f"GET /top?{RARE}0.52&n=1000 HTTP/1.1\r\nHost: a\r\n\r\n".encode(),
    "/lengths": f"GET /lengths?{RARE}0.53 HTTP/1.1\r\nHost: a\r\n\r\n".encode(),
    "/transitions": f"GET /transitions?{RARE}0.54 HTTP/1.1\r\nHost: a\r\n\r\n".encode(),
}


@pytest.mark.parametrize("route", SLOW)
def test_a_client_that_disconnects_is_logged_as_gone(checkpoints: Path, route: str) -> None:
    # A service of its own: it learns that to compile takes long, and would refuse other tests.
    with Server(MONIKER_CHECKPOINTS=str(checkpoints)) as server:
        with Wire(server) as wire:
            wire.send(SLOW[route])
            until(lambda: counted(server, "moniker_jobs") == 1)  # it is being worked on
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
    "no key": b"GET /sample HTTP/1.1\r\nHost: a\r\n\r\n",
    "no such path": get(b"/nowhere"),
    "no such method": get(b"/sample", b"DELETE"),
    "a wrong field": get(b"/sample?n=0&x=1"),
    "no HTTP": b"\x16\x03\x01\r\n\r\n",
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
    "several": get(b"/sample") + PREFLIGHT + get(b"/nowhere") + get(b"/sample?n=10000") * 3,
}
STEPS = st.tuples(st.sampled_from(sorted(SENT)), st.sampled_from(["leave", "look", "wait"]))


@pytest.fixture(scope="module")
def open_to_all(one_model: Path) -> Iterator[Server]:
    """A service with keys and CORS, that has little time for clients."""
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


def do(server: Server, kind: str, end: str) -> None:
    """Send something, and leave at once, when the reply begins, or after a while."""
    with Wire(server) as wire:
        wire.send(SENT[kind])
        if end == "leave":
            return
        wire.socket.settimeout(0.02 if end == "wait" else 5)
        with suppress(TimeoutError):
            for _ in range(1 if end == "look" else 5):
                wire.receive()


def assert_at_rest(server: Server) -> None:
    """Nothing is left of any request, but for the one that asks this."""
    headers = {"Authorization": f"Bearer {KEY}"}

    def at_rest() -> bool:
        shown = dict(
            line.rsplit(" ", 1) for line in server.get("/metrics", headers=headers).text.split("\n")
            if line and not line.startswith("#")
        )  # fmt: skip
        left = [float(shown[one]) for one in GAUGES]
        return [float(shown["moniker_requests_in_flight"]), *left] == [1, 0, 0, 0]

    until(at_rest)
    assert server.get("/sample", headers=headers).status_code == 200


@given(st.lists(STEPS, min_size=1, max_size=12))
def test_nothing_is_left_of_requests_of_any_kind(
    open_to_all: Server, steps: list[tuple[str, str]]
) -> None:
    with ThreadPoolExecutor(4) as clients:
        for done in [clients.submit(do, open_to_all, *step) for step in steps]:
            done.result()
    assert_at_rest(open_to_all)


@pytest.mark.slow
def test_nothing_is_left_of_ten_thousand_requests(open_to_all: Server) -> None:
    kinds, ends = sorted(SENT), ("leave", "leave", "look", "wait")
    draw = random.Random(0)
    with ThreadPoolExecutor(8) as clients:
        steps = [(draw.choice(kinds), draw.choice(ends)) for _ in range(10_000)]
        for done in [clients.submit(do, open_to_all, *step) for step in steps]:
            done.result()
    assert_at_rest(open_to_all)
