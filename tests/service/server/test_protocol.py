"""The protocol of a connection: malformed, oversized, slow and pipelined requests, slow readers."""

import json
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, suppress
from pathlib import Path

import pytest

from tests.support.http.server import THRIFTY, Server
from tests.support.http.wire import ASK, Wire, counted, refused, until, wires

HEADER_SECONDS, BODY_SECONDS, WRITE_SECONDS = 1.0, 1.0, 2.0
HOST = b"Host: moniker\r\n"
LINES = b"POST /score HTTP/1.1\r\n" + HOST + b"Content-Type: text/plain\r\n"
JSON = b"POST /score HTTP/1.1\r\n" + HOST + b"Content-Type: application/json\r\n"
CHUNKED = b"Transfer-Encoding: chunked\r\n\r\n"
NOWHERE = b"POST /nowhere HTTP/1.1\r\n" + HOST
NAMES = json.dumps({"names": ["emma"] * 10_000}).encode()
MEGABYTE = 2**20


@pytest.fixture(scope="module")
def server(one_model: Path) -> Iterator[Server]:
    """A service with short time limits, whose log must have no failure at the end."""
    settings = {
        "MONIKER_CHECKPOINTS": str(one_model),
        "MONIKER_HEADER_SECONDS": str(HEADER_SECONDS),
        "MONIKER_BODY_SECONDS": str(BODY_SECONDS),
        "MONIKER_WRITE_SECONDS": str(WRITE_SECONDS),
        "MONIKER_MAX_STREAMS": "112",  # for all clients of assert_crowd_is_refused
        "MONIKER_MAX_WAIT_SECONDS": "60",
        "MONIKER_DRAIN_SECONDS": "0",
        "MONIKER_LOG_REQUESTS": "0",
        **THRIFTY,
    }
    with Server(**settings) as running:
        running.get("/metrics")  # loads what the first request loads
        yield running
        assert "Traceback" not in running.log
        assert "socket.send() raised" not in running.log
        assert "without completing response" not in running.log


def sized(body: bytes) -> bytes:
    """A Content-Length header, the end of the head, and a body."""
    return b"Content-Length: %d\r\n\r\n" % len(body) + body


def names(size: int) -> bytes:
    """A path of about `size` bytes, with names in its query."""
    return b"/score?" + b"&".join([b"name=emma"] * (size // 10))


UPGRADE = b"Connection: Upgrade\r\n"
MALFORMED = {
    "garbage": b"\x16\x03\x01\x00\xa5\x01\x00\r\n\r\n",
    "the preface of HTTP/2": b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    "no such method": b"FETCH /healthz HTTP/1.1\r\n" + HOST + b"\r\n",
    "a lower-case method": b"get /healthz HTTP/1.1\r\n" + HOST + b"\r\n",
    "no such version": b"GET /healthz HTTP/7.7\r\n" + HOST + b"\r\n",
    "a space in the path": b"GET /health z HTTP/1.1\r\n" + HOST + b"\r\n",
    "a byte that is not ASCII in the path": b"GET /\xff HTTP/1.1\r\n" + HOST + b"\r\n",
    "NUL in a header": b"GET /healthz HTTP/1.1\r\nHost: a\0b\r\n\r\n",
    "a header without a colon": b"GET /healthz HTTP/1.1\r\nHost\r\n\r\n",
    "a space before a colon": b"GET /healthz HTTP/1.1\r\nHost : a\r\n\r\n",
    "two lengths": LINES + b"Content-Length: 3\r\nContent-Length: 4\r\n\r\nabc",
    "an invalid length": LINES + b"Content-Length: 3x\r\n\r\nabc",
    "a length and chunks": LINES + b"Content-Length: 3\r\n" + CHUNKED + b"0\r\n\r\n",
    "a transfer coding other than chunked": LINES + b"Transfer-Encoding: gzip\r\n\r\nabc",
    "an invalid size of a chunk": JSON + CHUNKED + b"zz\r\nabc\r\n0\r\n\r\n",
    "CONNECT": b"CONNECT moniker:443 HTTP/1.1\r\n" + HOST + b"\r\n",
}
ODD = {
    "an absolute URL": (b"GET http://moniker/healthz HTTP/1.1\r\n" + HOST + b"\r\n", 200),
    "an absolute URL without a path": (
        b"GET http://moniker HTTP/1.1\r\n" + HOST + b"\r\n",
        400,
    ),
    "line feeds without carriage returns": (b"GET /healthz HTTP/1.1\nHost: moniker\n\n", 400),
    "OPTIONS *": (b"OPTIONS * HTTP/1.1\r\n" + HOST + b"\r\n", 404),
    "no Host": (b"GET /healthz HTTP/1.1\r\n\r\n", 400),
    "an empty Host": (b"GET /healthz HTTP/1.1\r\nHost:\r\n\r\n", 200),
    "two Host headers": (b"GET /healthz HTTP/1.1\r\n" + HOST * 2 + b"\r\n", 400),
    "HTTP/1.0 with two Host headers": (b"GET /healthz HTTP/1.0\r\n" + HOST * 2 + b"\r\n", 400),
    "empty lines before": (b"\r\n\r\n" + ASK, 200),
    "a folded header": (b"GET /healthz HTTP/1.1\r\nHost: a\r\n b\r\n\r\n", 400),
    "an upgrade to a websocket": (ASK[:-2] + UPGRADE + b"Upgrade: websocket\r\n\r\n", 200),
    "an upgrade to HTTP/2": (ASK[:-2] + UPGRADE + b"Upgrade: h2c\r\n\r\n", 200),
    "an upgrade to HTTP/2 or another protocol": (
        ASK[:-2] + UPGRADE + b"Upgrade: h2c\r\nUpgrade: foo\r\n\r\n",
        200,
    ),
}


@pytest.mark.parametrize("sent", MALFORMED.values(), ids=MALFORMED)
def test_a_malformed_request_is_refused_with_a_problem(server: Server, sent: bytes) -> None:
    before = refused(server, "malformed")
    with Wire(server) as wire:
        wire.send(sent)
        assert_refused(wire, 400)
    assert refused(server, "malformed") == before + 1


@pytest.mark.parametrize(("sent", "status"), ODD.values(), ids=ODD)
def test_an_unusual_request_is_answered(server: Server, sent: bytes, status: int) -> None:
    with Wire(server) as wire:
        wire.send(sent)
        assert wire.reply().status == status
        wire.send(ASK)
        if status == 400:
            assert wire.all() == b""
        else:
            assert wire.reply().status == 200


@pytest.mark.parametrize("size", [1, 2**20], ids=["in pieces", "at once"])
def test_the_body_of_a_request_to_upgrade_is_read(server: Server, size: int) -> None:
    head = JSON + UPGRADE + b"Upgrade: h2c\r\n"
    chunks = CHUNKED + b'9\r\n{"names":\r\n9\r\n["emma"]}\r\n0\r\n\r\n'
    sent = (head + sized(b'{"names":["emma"]}') + head + chunks) * 3
    with Wire(server) as wire:
        wire.send(*(sent[at : at + size] for at in range(0, len(sent), size)))
        for _ in range(6):
            assert [score["name"] for score in json.loads(wire.reply().body)["scores"]] == ["emma"]


@pytest.mark.parametrize("behind", [b"garbage\r\n\r\n", JSON + CHUNKED + b"zz\r\n"])
def test_a_refused_connection_is_closed_after_the_replies_that_are_due(
    server: Server, behind: bytes
) -> None:
    before = refused(server, "malformed")
    with Wire(server) as wire:
        wire.send(JSON + sized(NAMES) + ASK + behind)
        assert len(json.loads(wire.reply().body)["scores"]) == 10_000
        last = wire.reply()
        assert (last.status, last.headers["connection"]) == (200, "close")
        assert wire.all() == b""
    assert refused(server, "malformed") == before + 1


def test_an_invalid_chunk_closes_the_connection_if_the_reply_has_begun(server: Server) -> None:
    with Wire(server) as wire:
        wire.send(LINES + CHUNKED + b"5\r\nemma\n\r\n")
        while b"emma" not in wire.rest:
            wire.more()
        wire.rest = b""
        wire.send(b"zz\r\n")
        assert wire.all() == b""
    with Wire(server) as wire:
        wire.send(NOWHERE + CHUNKED)
        assert wire.reply().status == 404
        wire.send(b"zz\r\n")
        assert wire.all() == b""


HUGE = b"X-Huge: " + b"a" * 2**16 + b"\r\n\r\n"
MANY = b"".join(b"X-%d: %d\r\n" % (n, n) for n in range(5000)) + b"\r\n"
LARGE = {
    "one header": ASK[:-2] + HUGE,
    "many headers": ASK[:-2] + MANY,
    "a path": b"GET " + names(2**16) + b" HTTP/1.1\r\n\r\n",
    "a head just over": ASK[:-2] + b"X: " + b"a" * 2**15 + b"\r\n\r\n",
}
BEFORE = {
    "first": b"",
    "second": ASK,
    "behind a large body": JSON + sized(NAMES),
}


@pytest.mark.parametrize("sent", LARGE.values(), ids=LARGE)
@pytest.mark.parametrize("size", [2**20, 1000], ids=["at once", "in pieces"])
@pytest.mark.parametrize("before", BEFORE.values(), ids=BEFORE)
def test_a_head_that_is_too_large_is_refused(
    server: Server, sent: bytes, size: int, before: bytes
) -> None:
    counted_before = refused(server, "too_large")
    sent = before + sent
    with Wire(server) as wire:
        wire.send(*(sent[at : at + size] for at in range(0, len(sent), size)))
        if before:
            assert wire.reply().status == 200
            assert wire.all() == b"" or wire.reply().status == 431  # if no reply was due
        else:
            assert_refused(wire, 431)
    assert refused(server, "too_large") == counted_before + 1


def test_a_head_without_an_end_is_refused(server: Server) -> None:
    with Wire(server) as wire:
        wire.send(ASK[:-2] + b"a" * 2**16)
        assert_refused(wire, 431)


def test_a_head_that_begins_with_the_request_before_has_its_full_time(server: Server) -> None:
    with Wire(server) as wire:
        wire.send(ASK + ASK[:-2])
        assert wire.reply().status == 200
        wire.send(b"\r\n" + ASK[:-2])
        assert wire.reply().status == 200
        assert_refused(wire, 408)


def test_a_large_head_is_not_kept_in_memory(server: Server) -> None:
    before = server.resident
    with Wire(server) as wire:
        wire.send(ASK[:-2] + b"X: ", *[b"a" * MEGABYTE] * 64)
        assert_refused(wire, 431)
    assert server.resident < before + 8 * 1024  # kB


def test_a_head_just_below_the_limit_is_accepted(server: Server) -> None:
    with Wire(server) as wire:
        for size in (1000, 2**20):
            sent = b"GET " + names(30_000) + b" HTTP/1.1\r\n" + HOST + b"\r\n"
            wire.send(*(sent[at : at + size] for at in range(0, len(sent), size)))
            assert len(json.loads(wire.reply().body)["scores"]) == 3000


def test_pipelined_requests_do_not_count_as_one_large_head(server: Server) -> None:
    with Wire(server) as wire:
        wire.send((ASK[:-2] + b"X-Long: " + b"x" * 4000 + b"\r\n\r\n") * 16)
        for _ in range(16):
            assert wire.reply().status == 200


def test_requests_are_parsed_whatever_the_size_of_the_packets(server: Server) -> None:
    several = JSON + sized(b'{"names":["emma"]}') + ASK + ASK.replace(b"GET", b"HEAD")[:-2]
    with Wire(server) as wire:
        for size in (1, 7, 2**20):
            sent = several + b"Connection: keep-alive\r\n\r\n"
            wire.send(*(sent[at : at + size] for at in range(0, len(sent), size)))
            assert b"emma" in wire.reply().body
            assert b"alive" in wire.reply().body
            head = wire.reply(has_body=False)
            assert (head.status, head.headers["content-length"]) == (200, "18")


def test_a_connection_of_http_1_0_is_closed(server: Server) -> None:
    with Wire(server) as wire:
        wire.send(b"GET /healthz HTTP/1.0\r\n\r\n")
        reply = wire.reply()
        assert (reply.status, reply.headers["connection"]) == (200, "close")
        assert wire.all() == b""


def test_a_connection_without_a_request_is_closed_without_a_reply(server: Server) -> None:
    late = refused(server, "late")
    began = time.monotonic()
    with Wire(server) as wire:
        assert wire.all() == b""
    # The event loop counts in whole milliseconds.
    assert time.monotonic() - began >= HEADER_SECONDS - 0.01
    assert refused(server, "late") == late


def trickle(wire: Wire, sent: bytes) -> int:
    """Send a byte every half second until the service closes; return the number of bytes."""
    wire.socket.settimeout(0.5)
    for number, byte in enumerate(sent):
        wire.send(bytes([byte]))
        try:
            while wire.receive():
                pass
            return number
        except TimeoutError:
            pass
    return len(sent)


LONG = b"X: " + b"x" * 100  # 50 seconds at two bytes a second
TRICKLES = {
    "a head": (b"", ASK[:-2] + LONG),
    "a second head": (ASK, ASK[:-2] + LONG),
    "a body of JSON": (JSON + b"Content-Length: 100\r\n\r\n", b" " * 100),
    "a body that is not read": (NOWHERE + b"Content-Length: 100\r\n\r\n", b" " * 100),
    "empty lines": (b"", b"\r\n" * 50),
}


@pytest.mark.parametrize(("first", "rest"), TRICKLES.values(), ids=TRICKLES)
def test_a_trickle_of_bytes_does_not_keep_a_connection_open(
    server: Server, first: bytes, rest: bytes
) -> None:
    with Wire(server) as wire:
        wire.send(first)
        assert trickle(wire, rest) < len(rest) - 1


def test_a_slow_list_is_served_if_each_part_is_in_time(server: Server) -> None:
    with Wire(server) as wire:
        # In all they take longer than the time limit of a body, but each pause is shorter.
        lines = [b"5\r\nemma\n\r\n"] * 8
        wire.send(LINES + CHUNKED, *lines, b"0\r\n\r\n", pause=0.2)
        while b"\r\n0\r\n\r\n" not in wire.rest:
            wire.more()
        assert wire.rest.count(b"emma") == 8


def test_a_slow_reader_is_served_if_it_reads_on(server: Server) -> None:
    unread_before = refused(server, "unread")
    with Wire(server, buffer=2**16) as wire:
        wire.send(b"GET /sample?n=600000&seed=1 HTTP/1.0\r\nAccept: text/plain\r\n\r\n")
        size = 0
        while part := wire.receive():
            size += len(part)
            time.sleep(len(part) / MEGABYTE)
    assert size > 4 * MEGABYTE
    assert refused(server, "unread") == unread_before


def assert_refused(wire: Wire, status: int) -> None:
    """The last reply is a problem, after which the connection is closed."""
    reply = wire.reply()
    assert (reply.status, reply.problem["status"]) == (status, status)
    assert reply.headers["connection"] == "close"
    assert wire.all() == b""


def unread(server: Server, count: int, requests: bytes) -> ExitStack:
    """Clients that send as much as the service accepts, and never read."""
    stack = ExitStack()
    for wire in stack.enter_context(wires(server, count, buffer=4096)):
        wire.socket.settimeout(1)  # for each part: a busy service reads late
        rest = memoryview(requests)
        with suppress(TimeoutError):
            while rest:
                rest = rest[wire.socket.send(rest) :]
    return stack


STREAM = b"GET /sample?n=10000000 HTTP/1.1\r\n" + HOST + b"Accept: text/plain\r\n\r\n"
REPLIES = (b"GET /sample?n=10000 HTTP/1.1\r\n" + HOST + b"\r\n") * 100
LIST = LINES + sized(b"emma\n" * 1_000_000)


@pytest.mark.parametrize(
    "share", [pytest.param(share, marks=pytest.mark.slow) for share in (0.1, 1)]
)
def test_a_crowd_of_stalled_clients_is_refused_while_others_are_served(
    server: Server, share: float
) -> None:
    # Once before the measurement, for the memory that the service keeps after the first time.
    assert_crowd_is_refused(server, share)
    memory = server.resident
    assert_crowd_is_refused(server, share)
    until(lambda: server.resident < memory + 16 * 1024)  # kB


def assert_crowd_is_refused(server: Server, share: float) -> None:
    files, unread_before = server.files, refused(server, "unread")
    many = int(100 * share)
    with ExitStack() as crowd:
        heads = crowd.enter_context(wires(server, 2 * many))
        bodies = crowd.enter_context(wires(server, many))
        lists = crowd.enter_context(wires(server, many))
        for wire in heads:
            wire.send(ASK[:-9])
        for wire in bodies:
            wire.send(JSON + b"Content-Length: 100\r\n\r\n{")
        for wire in lists:
            wire.send(LINES + CHUNKED + b"5\r\nemma\n\r\n")
        for requests, count in ((LIST, 4), (REPLIES, 4), (STREAM, many // 2)):
            crowd.enter_context(unread(server, count, requests))
        answered = send_until(server, lambda: server.files <= files + 1)
        for wire in heads + bodies:
            assert_refused(wire, 408)
        for wire in lists:
            assert wire.all().count(b"HTTP/1.1") == 1
    assert refused(server, "unread") >= unread_before + 8  # the others got no stream
    assert counted(server, "moniker_requests_in_flight") == 1  # the request that reads it
    assert answered > 10


def send_until(server: Server, ended: Callable[[], bool]) -> int:
    """Send requests one after another until a condition holds; return their number."""
    answered = 0

    def send() -> bool:
        nonlocal answered
        client.get("/score?name=emma").raise_for_status()
        answered += 1
        return ended()

    with server.client() as client:
        until(send)
    return answered


def test_a_client_that_does_not_read_loses_its_stream_slot(one_model: Path) -> None:
    settings = {
        "MONIKER_CHECKPOINTS": str(one_model),
        "MONIKER_MAX_STREAMS": "2",
        "MONIKER_MAX_WAIT_SECONDS": "0.1",
        "MONIKER_WRITE_SECONDS": "1",
        "MONIKER_DRAIN_SECONDS": "0",
    }
    with Server(**settings) as server, unread(server, 2, STREAM):
        path, text = "/sample?n=100000", {"Accept": "text/plain"}
        until(lambda: server.get(path, headers=text).status_code == 503)
        until(lambda: server.get(path, headers=text).status_code == 200)
        until(lambda: refused(server, "unread") == 2)


class TestPipelining:
    def test_endless_requests_do_not_fill_the_memory(self, server: Server) -> None:
        """Each packet has hundreds of requests, and the replies are not read."""
        before = server.resident
        with Wire(server) as wire:
            wire.socket.settimeout(0.2)
            with suppress(OSError):
                for _ in range(200):
                    wire.socket.sendall(b"GET /healthz HTTP/1.1\r\nHost: a\r\n\r\n" * 1000)
        assert server.resident < before + 24 * 1024  # kB

    def test_too_many_pipelined_requests_are_refused(self, server: Server) -> None:
        with Wire(server) as wire:
            wire.send((b"GET /healthz HTTP/1.1\r\n" + HOST + b"\r\n") * 40)
            statuses = [int(part[:3]) for part in wire.all().split(b"HTTP/1.1 ")[1:]]
        assert set(statuses) == {200}
        assert 16 <= len(statuses) < 40

    def test_pipelined_requests_are_answered_in_order(self, server: Server) -> None:
        with Wire(server) as wire:
            for number in range(12):
                wire.send(b"GET /score?name=%s HTTP/1.1\r\n" % (b"a" * number) + HOST + b"\r\n")
            for number in range(12):
                assert json.loads(wire.reply().body)["scores"][0]["name"] == "a" * number


class TestTrailers:
    def test_a_trailer_is_not_a_header(self, server: Server) -> None:
        """Not even of a request that waits while the trailer arrives."""
        with Wire(server) as wire:
            wire.send(
                ASK + b"POST /sample HTTP/1.1\r\n" + HOST + b"Content-Type: application/json\r\n"
                b"Transfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\nX-Request-ID: trailer\r\n\r\n"
            )
            assert wire.reply().status == 200
            assert wire.reply().headers["x-request-id"] != "trailer"

    def test_endless_trailers_do_not_fill_the_memory(self, server: Server) -> None:
        before = server.resident
        with Wire(server) as wire:
            head = b"POST /nowhere HTTP/1.1\r\n" + HOST + CHUNKED + b"2\r\n{}\r\n0\r\n"
            wire.send(head, *[b"X-T: a\r\n" * 10_000] * 40)
        assert server.resident < before + 24 * 1024  # kB


@pytest.mark.parametrize("version", [b"1.1", b"1.0"])
def test_a_request_to_upgrade_and_close_is_answered(server: Server, version: bytes) -> None:
    with Wire(server) as wire:
        wire.send(
            b"GET /healthz HTTP/%s\r\n" % version
            + HOST
            + b"Connection: close, Upgrade\r\nUpgrade: h2c\r\n\r\n"
        )
        assert wire.reply().status == 200
