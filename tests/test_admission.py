"""Too much to do: who is let in, who is refused and how, and that this ends with the load."""

import signal
import threading
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest

from server import Server
from service.admission import Admission, OverloadError
from service.settings import Settings
from test_service import problem
from wire import ASK, Wire, counted, until, wires

# Seconds of work, and counted as much as any request may be.
HARD = "/sample?n=10000&unique=true&temperature=0.05&min_length=60&max_length=60"
# Counted half as much: there is room for some small work besides it and a hard one.
MEDIUM = "/sample?n=4000&unique=true&temperature=0.05&min_length=60&max_length=60"
MILLION = b"GET /sample?n=10000000 HTTP/1.1\r\nHost: a\r\nAccept: text/plain\r\n\r\n"
PROBES = ("/healthz", "/readyz", "/metrics")


def asking(path: str) -> bytes:
    return f"GET {path} HTTP/1.1\r\nHost: a\r\n\r\n".encode()


def refused(reply: httpx.Response, status: int = 503) -> None:
    """A refusal, as it must be."""
    problem(reply, status)
    assert int(reply.headers["retry-after"]) >= 1


def shed(server: Server, reason: str) -> float:
    return counted(server, f'moniker_requests_shed_total{{reason="{reason}"}}')


@pytest.fixture(scope="module")
def small(one_model: Path) -> Iterator[Server]:
    """A service that takes one stream at a time, and lets few wait."""
    settings = {
        "MONIKER_CHECKPOINTS": str(one_model),
        "MONIKER_MAX_STREAMS": "1",
        "MONIKER_MAX_WAITING": "4",
        "MONIKER_SHED_STATUS": "429",
        "MONIKER_READER_SECONDS": "60",
    }
    with Server(**settings) as running:
        yield running


def test_work_is_let_in_until_it_is_too_much_and_again_when_some_is_done() -> None:
    admission = Admission(Settings(max_work=1_000_000))
    with admission.work(200_000), admission.work(200_000):  # and 100,000 each besides
        with admission.work(200_000), pytest.raises(OverloadError, match="work"):
            admission.check(1)
        admission.check(1)


def test_no_request_counts_more_than_half() -> None:
    admission = Admission(Settings(max_work=900_000))
    with admission.work(1e12), admission.work(1e12), pytest.raises(OverloadError):
        admission.check(0)
    admission.check(1e12)


def test_what_was_too_much_is_known_again_as_long_as_it_is() -> None:
    admission = Admission(Settings(max_work=1_000_000))
    with admission.work(600_000), admission.work(100_000):
        with pytest.raises(OverloadError) as refused:
            admission.check(300_000)
        admission.remember(7, refused.value.work)
        assert admission.is_still_too_much(7)
        assert not admission.is_still_too_much(8)
    assert not admission.is_still_too_much(7)


def test_what_fails_is_no_longer_under_way() -> None:
    admission = Admission(Settings(max_streams=1))
    with pytest.raises(ZeroDivisionError), admission.stream(), admission.work(1e12):
        raise ZeroDivisionError
    with admission.stream(), admission.work(1e12):
        pass


@contextmanager
def busy(server: Server, second: str = HARD) -> Iterator[None]:
    """Two requests are under way until the block ends; two HARD ones are all that may be."""
    # Compiled now, so that whatever is in flight is at work.
    server.get(HARD.replace("n=10000", "n=1")).raise_for_status()
    until(lambda: in_flight(server) == 1)
    with wires(server, 2) as two:
        for wire, path in zip(two, (HARD, second), strict=True):
            wire.send(asking(path))
        until(lambda: in_flight(server) == 3)
        yield
        assert in_flight(server) == 3, "the work was done before the test was"
    until(lambda: in_flight(server) == 1)


def in_flight(server: Server) -> float:
    """Requests that are being answered, the one for this figure included."""
    return counted(server, "moniker_requests_in_flight")


class TestWork:
    def test_a_third_large_request_is_refused_before_it_is_begun(self, server: Server) -> None:
        before = shed(server, "work")
        with busy(server):
            for path in (HARD, "/top?n=3", "/lengths", "/score?" + "&".join(["name=emma"] * 400)):
                refused(server.get(path))
        assert shed(server, "work") == before + 4

    def test_small_requests_and_probes_are_answered_meanwhile(self, server: Server) -> None:
        with busy(server):
            for path in ("/sample", "/score?name=emma", "/next", "/models", *PROBES):
                assert server.get(path).status_code == 200
        assert server.get("/sample?n=10000").status_code == 200

    def test_a_long_list_is_refused_before_it_is_sent(self, server: Server) -> None:
        head = (
            b"POST /score HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\n"
            b"Content-Length: 1000000\r\n\r\n"
        )
        with busy(server), Wire(server) as last:
            last.send(head)  # and no name
            assert last.reply().status == 503


class TestStreams:
    def test_streams_are_let_in_for_themselves(self, small: Server) -> None:
        with Wire(small) as one:
            one.send(MILLION)
            one.more()
            text = {"Accept": "text/plain"}
            refused(small.get("/sample?n=100000", headers=text), 429)
            lines = {"Content-Type": "text/plain"}
            refused(small.post("/score", content="emma", headers=lines), 429)
            assert small.get("/sample?n=10000").status_code == 200
        assert shed(small, "streams") == 2
        until(lambda: small.post("/score", content="emma", headers=lines).is_success)


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


class TestWaiting:
    def test_more_than_may_wait_are_refused_and_the_probes_never(self, small: Server) -> None:
        before = shed(small, "waiting")
        statuses = answers_at_once(small, "/sample", 30)
        assert statuses.keys() == {200, 429}
        assert shed(small, "waiting") == before + statuses[429]
        for path in ("/healthz", "/metrics"):
            assert answers_at_once(small, path, 30) == {200: 30}
        assert small.get("/sample").status_code == 200


def test_new_wishes_are_let_in_as_far_as_they_can_be_compiled_soon(server: Server) -> None:
    before = shed(server, "wishes")

    def ask(number: int) -> httpx.Response:
        wish = f"pattern=*{'abcdefghijklmnopqrstuvwxyz'[number]}?x*&max_length=41&model=fivegram"
        return server.get(f"/sample?n=1&{wish}")

    with ThreadPoolExecutor(26) as clients:
        replies = [*clients.map(ask, range(26))]
    some = [reply for reply in replies if reply.status_code != 200]
    for reply in some:
        refused(reply)
    assert 0 < len(some) < 26
    assert shed(server, "wishes") == before + len(some)


@pytest.mark.parametrize("requests", [40, pytest.param(2_000, marks=pytest.mark.slow)])
def test_a_flood_of_large_requests_is_survived(server: Server, requests: int) -> None:
    """Each is answered or refused, the probes are answered, and then all is as before."""
    replies, probes = Counter[int](), Counter[int]()
    over = threading.Event()

    def flood(_: int) -> None:
        with server.client() as client:
            while not over.is_set():
                reply = client.get("/sample?n=10000")
                replies[reply.status_code] += 1
                if reply.status_code != 200:
                    refused(reply)

    def probe() -> None:
        while not over.is_set():
            for path in PROBES:
                probes[server.get(path).status_code] += 1

    with ThreadPoolExecutor(41) as clients:
        floods = [clients.submit(flood, number) for number in range(40)]
        probing = clients.submit(probe)
        try:
            until(lambda: replies[200] >= 20 and replies[503] >= requests and probes[200] >= 30)
        finally:
            over.set()
    for done in [*floods, probing]:
        done.result()
    assert replies.keys() == {200, 503}
    assert probes.keys() == {200}
    assert server.get("/sample?n=10000").status_code == 200
    until(lambda: in_flight(server) == 1)


def test_to_go_through_all_names_is_work_and_what_is_known_is_none(server: Server) -> None:
    wish = "model=fivegram&max_length=60&temperature=1.1"
    server.get(f"/sample?{wish}").raise_for_status()
    first_step = f"/transitions?{wish}&position=0"
    lengths = f"/lengths?{wish}"
    few = f"/transitions?{wish}&position=0&characters=5"  # which of them, only all names tell
    with busy(server, second=MEDIUM):
        for path in (f"/transitions?{wish}&position=58", lengths, few):
            refused(server.get(path))
        assert server.get(first_step).status_code == 200
    # The same wishes in other words: a request that was refused is known again for a while.
    in_other_words = [f"{path}&min_length=1" for path in (lengths, few)]
    for path in in_other_words:
        server.get(path).raise_for_status()
    with busy(server, second=MEDIUM):
        for path in in_other_words:
            assert server.get(path).status_code == 200
