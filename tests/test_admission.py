"""Too much to do: who is let in, who is refused and how, and that this ends with the load."""

import threading
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import pytest

from server import Server
from service.admission import Admission, OverloadError
from service.settings import Settings
from test_service import problem
from wire import Wire, counted, until

# Seconds of work, and counted as much as any request may be.
HARD = "/sample?n=10000&unique=true&temperature=0.05&min_length=40&max_length=40"
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
def small(checkpoints: Path) -> Iterator[Server]:
    """A service that takes one stream at a time, and lets few wait."""
    settings = {
        "MONIKER_CHECKPOINTS": str(checkpoints),
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


class TestWork:
    def test_a_third_large_request_is_refused_before_it_is_begun(self, server: Server) -> None:
        before = shed(server, "work")
        with Wire(server) as one, Wire(server) as two:
            for wire in (one, two):
                wire.send(asking(HARD))
            until(lambda: counted(server, "moniker_requests_in_flight") == 3)  # and /metrics itself
            started = time.monotonic()
            refused(httpx.get(f"{server.url}{HARD}"))
            assert time.monotonic() - started < 3  # it takes several seconds to draw the names
            for path in ("/top?n=3", "/lengths", "/score?" + "&".join(["name=emma"] * 400)):
                refused(httpx.get(f"{server.url}{path}"))
        assert shed(server, "work") == before + 4

    def test_small_requests_and_probes_are_answered_meanwhile(self, server: Server) -> None:
        with Wire(server) as one, Wire(server) as two:
            for wire in (one, two):
                wire.send(asking(HARD))
            until(lambda: counted(server, "moniker_requests_in_flight") == 3)
            for path in ("/sample", "/score?name=emma", "/next", "/models", *PROBES):
                assert httpx.get(f"{server.url}{path}").status_code == 200
        until(lambda: httpx.get(f"{server.url}/sample?n=10000").status_code == 200)

    def test_a_long_list_is_refused_before_it_is_sent(self, server: Server) -> None:
        head = (
            b"POST /score HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\n"
            b"Content-Length: 1000000\r\n\r\n"
        )
        with Wire(server) as one, Wire(server) as two, Wire(server) as last:
            for wire in (one, two):
                wire.send(asking(HARD))
            until(lambda: counted(server, "moniker_requests_in_flight") == 3)
            last.send(head)  # and no name
            assert last.reply().status == 503


class TestStreams:
    def test_streams_are_let_in_for_themselves(self, small: Server) -> None:
        with Wire(small) as one:
            one.send(MILLION)
            one.more()
            text = {"Accept": "text/plain"}
            refused(httpx.get(f"{small.url}/sample?n=100000", headers=text), 429)
            lines = {"Content-Type": "text/plain"}
            refused(httpx.post(f"{small.url}/score", content="emma", headers=lines), 429)
            assert httpx.get(f"{small.url}/sample?n=10000").status_code == 200
        assert shed(small, "streams") == 2
        until(lambda: httpx.post(f"{small.url}/score", content="emma", headers=lines).is_success)


class TestWaiting:
    def test_more_than_may_wait_are_refused_and_the_probes_never(self, small: Server) -> None:
        """All come while the service is busy with nothing but reading them."""
        before = shed(small, "waiting")
        answers: Counter[int] = Counter()

        def ask(path: str) -> None:
            for _ in range(5):
                answers[httpx.get(f"{small.url}{path}", timeout=30).status_code] += 1

        for path, allowed in (("/sample", {200, 429}), ("/healthz", {200}), ("/metrics", {200})):
            answers.clear()
            with ThreadPoolExecutor(30) as clients:
                [*clients.map(ask, [path] * 30)]
            assert answers.keys() <= allowed
            assert answers[200]
        assert shed(small, "waiting") > before
        assert httpx.get(f"{small.url}/sample").status_code == 200


def test_new_wishes_are_let_in_as_far_as_they_can_be_compiled_soon(server: Server) -> None:
    before = shed(server, "wishes")

    def ask(number: int) -> httpx.Response:
        wish = f"pattern=*{'abcdefghijklmnopqrstuvwxyz'[number]}?x*&max_length=41&model=fivegram"
        return httpx.get(f"{server.url}/sample?n=1&{wish}", timeout=60)

    with ThreadPoolExecutor(26) as clients:
        replies = [*clients.map(ask, range(26))]
    some = [reply for reply in replies if reply.status_code != 200]
    for reply in some:
        refused(reply)
    assert 0 < len(some) < 26
    assert shed(server, "wishes") == before + len(some)


def test_a_flood_of_large_requests_is_survived(server: Server) -> None:
    """Each is answered or refused, the probes are answered, and then all is as before."""
    replies, probes = Counter[int](), Counter[int]()
    over = threading.Event()

    def flood(_: int) -> None:
        with httpx.Client(base_url=server.url, timeout=60) as client:
            while not over.is_set():
                reply = client.get("/sample?n=10000")
                replies[reply.status_code] += 1
                if reply.status_code != 200:
                    refused(reply)

    def probe() -> None:
        while not over.is_set():
            for path in PROBES:
                probes[httpx.get(f"{server.url}{path}").status_code] += 1

    with ThreadPoolExecutor(41) as clients:
        floods = [clients.submit(flood, number) for number in range(40)]
        probing = clients.submit(probe)
        time.sleep(3)
        over.set()
    for done in [*floods, probing]:
        done.result()
    assert replies.keys() == {200, 503}
    assert probes.keys() == {200}
    assert httpx.get(f"{server.url}/sample?n=10000").status_code == 200
    until(lambda: counted(server, "moniker_requests_in_flight") == 1)


def statuses(server: Server, path: str, times: int) -> Counter[int]:
    """Those of so many requests at once."""
    with ThreadPoolExecutor(times) as pool:
        asked = pool.map(lambda _: httpx.get(f"{server.url}{path}", timeout=60), range(times))
        return Counter(reply.status_code for reply in asked)


def test_to_go_through_all_names_is_work_and_what_is_known_is_none(server: Server) -> None:
    wish = "model=fivegram&max_length=60&temperature=1.1"
    httpx.get(f"{server.url}/sample?{wish}").raise_for_status()
    assert statuses(server, f"/transitions?{wish}&position=58", 8)[503] >= 4
    assert statuses(server, f"/transitions?{wish}&position=0", 8)[503] == 0  # the first step alone
    assert statuses(server, f"/lengths?{wish}", 8)[503] >= 4
    assert statuses(server, f"/lengths?{wish}", 8) == {200: 8}
    few = f"/transitions?{wish}&position=0&characters=5"  # which of them, only all names tell
    assert statuses(server, few, 8)[503] >= 4
    assert statuses(server, few, 8)[503] == 0
