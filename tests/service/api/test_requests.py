"""No bytes, anywhere in a request, cause a 5xx response or are echoed in one."""

import asyncio
import gzip
import json
import re
import socket
from codecs import BOM_UTF8
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple
from urllib.parse import quote_from_bytes, urlsplit

import httpx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from starlette.types import Message

from service.app import create_app
from service.settings import Settings
from tests.support.http.server import PATIENCE, Server

MARKER = "secret-7531"  # sent in requests; no vocabulary contains its digits
MARK = MARKER.encode()
JSON = {"Content-Type": "application/json"}
POSTS = ["/sample", "/top", "/lengths", "/score", "/next"]
GETS = [*POSTS, "/models", "/models/bigram", "/healthz", "/readyz"]
BRIEF = 0.2  # seconds of silence in which the service waits for more of a request
# Always the same examples, so that a failure can be reproduced.
REPRODUCIBLE = settings(derandomize=True)


@pytest.fixture(scope="module", autouse=True)
def unharmed(server: Server) -> Iterator[None]:
    """Check after the tests of this module that the service has not crashed."""
    yield
    assert server.get("/healthz").json() == {"status": "alive"}
    assert server.get("/readyz").json() == {"status": "ready"}
    assert "Traceback" not in server.log
    assert MARKER not in server.log


class Reply(NamedTuple):
    """A response received through a socket."""

    status: int  # 0 without a response
    media: str
    text: str


def ask(server: Server, request: bytes, patience: float = PATIENCE) -> Reply:
    """Return the response to the bytes of a request, sent without a client library."""
    address = urlsplit(server.url)
    assert address.hostname
    assert address.port
    with socket.create_connection((address.hostname, address.port), timeout=patience) as connected:
        received = b"".join(_received(connected, request))
    # An interim response to Expect: 100-continue may come first.
    head, _, body = received.removeprefix(b"HTTP/1.1 100 Continue\r\n\r\n").partition(b"\r\n\r\n")
    status = re.match(rb"HTTP/1\.1 (\d{3})", head)
    media = re.search(rb"(?i)\r\ncontent-type: ([^\r;]*)", head)
    return Reply(
        status=int(status[1]) if status else 0,
        media=media[1].decode() if media else "",
        text=body.decode(errors="replace"),
    )


def _received(connected: socket.socket, request: bytes) -> Iterator[bytes]:
    """Yield bytes until the service closes the connection or is silent for the timeout."""
    try:
        connected.sendall(request)
        while part := connected.recv(2**16):
            yield part
    except OSError:  # timeout, or closed by the service
        return


def get(target: bytes, **headers: bytes) -> bytes:
    """Return a GET request as bytes."""
    lines = [b"GET " + target + b" HTTP/1.1", b"Host: moniker", b"Connection: close"]
    lines += [name.replace("_", "-").encode() + b": " + value for name, value in headers.items()]
    return b"\r\n".join([*lines, b"", b""])


def check(reply: Reply) -> None:
    """Check that a response is not a 5xx, and that an error is a problem without an echo."""
    assert reply.status < 500, reply
    if reply.status < 400:
        return
    assert reply.media == "application/problem+json", reply
    problem = json.loads(reply.text)
    assert {"type", "title", "status", "detail"} <= problem.keys()
    assert problem["status"] == reply.status
    fields = [error["field"] for error in problem.get("errors", [])]
    assert all(len(field) <= 100 for field in fields)
    # A problem may repeat the name of a field, and nothing else.
    texts = [
        problem["title"],
        problem["detail"],
        *(error["detail"] for error in problem.get("errors", [])),
    ]
    for field in fields:
        texts = [text.replace(field, "") for text in texts]
    assert MARKER not in "".join(texts)


def check_rejected(reply: httpx.Response, *statuses: int) -> None:
    """Check that a response is a problem with one of these statuses."""
    assert reply.status_code in statuses, reply.text
    check(Reply(reply.status_code, reply.headers["content-type"], reply.text))


class TestBodies:
    @pytest.mark.parametrize("path", POSTS)
    @pytest.mark.parametrize(
        ("value", "statuses"),
        [
            ("NaN", [422]),
            ("Infinity", [422]),
            ("-Infinity", [422]),
            ("1e999", [422]),
            ("9" * 5_000, [400, 422]),
            ("-" + "9" * 5_000, [400, 422]),
            ("0." + "9" * 5_000, [422]),
            (r'"\ud800"', [400]),
            (r'"\udfff\ud800"', [400]),
            (rf'"{MARKER}\ud83d"', [400]),
            ("[" * 990 + "]" * 990, [400, 422]),
            ("[" * 5_000 + "]" * 5_000, [400]),
            ('{"a":' * 5_000, [400]),
            ("[" * 100_000 + "]" * 100_000, [413, 422]),
            ('{"a":' * 100_000, [413, 422]),
            ('{"a":' * 100 + "1" + "}" * 100, [422]),
            ("true", [422]),
            ("{}", [422]),
            ("\x00", [400]),
            (f'"{MARKER}\x01"', [400]),
            (f"'{MARKER}'", [400]),
            (f"5, // {MARKER}", [400]),
            ("5,", [400]),
            ("05", [400]),
        ],
        ids=lambda value: str(value)[:20],
    )
    @pytest.mark.parametrize("field", ["model", "names", MARKER])
    def test_an_invalid_value_is_rejected(
        self, client: httpx.Client, path: str, field: str, value: str, statuses: list[int]
    ) -> None:
        body = f'{{"{field}": {value}}}'
        check_rejected(client.post(path, content=body, headers=JSON), *statuses)

    @pytest.mark.parametrize("path", POSTS)
    @pytest.mark.parametrize(
        "body",
        [
            b"",
            b" ",
            MARK,
            BOM_UTF8 + b"{}",
            b'{"names": ["emma"]}'.decode().encode("utf-16"),
            b'{"names": ["emma"]}'.decode().encode("utf-32-le"),
            b'{"names": ["' + MARK + b'\xff"]}',
            b'{"names": ["' + MARK + b'\xed\xa0\x80"]}',
            b'{"names": ["' + MARK + b'\xc0\xaf"]}',
            b'{"' + MARK + b'\xff": 1}',
            gzip.compress(b'{"names": ["emma"]}', mtime=0),
            b'{"names": ["emma"]} ' + MARK,
            b'{"names": ["emma"]}{"names": ["emma"]}',
        ],
        ids=lambda body: repr(body)[:30],
    )
    def test_a_body_that_is_not_json_in_utf_8_is_rejected(
        self, client: httpx.Client, path: str, body: bytes
    ) -> None:
        check_rejected(client.post(path, content=body, headers=JSON), 400)

    @pytest.mark.parametrize("path", POSTS)
    @pytest.mark.parametrize(
        "body", [f'"{MARKER}"', f'["{MARKER}"]', f'[["names", ["{MARKER}"]]]', "1", "null", "NaN"]
    )
    def test_a_body_that_is_not_an_object_is_rejected(
        self, client: httpx.Client, path: str, body: str
    ) -> None:
        check_rejected(client.post(path, content=body, headers=JSON), 422)

    @pytest.mark.parametrize("path", POSTS)
    def test_a_repeated_field_is_rejected(self, client: httpx.Client, path: str) -> None:
        for twice in ('"model": "bigram", "model": "bigram"', '"mod\\u0065l": null, "model": null'):
            body = f'{{"names": ["{MARKER}"], {twice}}}' if path == "/score" else f"{{{twice}}}"
            check_rejected(client.post(path, content=body, headers=JSON), 422)

    @pytest.mark.parametrize(
        ("line", "error"),
        [
            ('{"name": "emma", "name": "olivia"}', "the name is given more than once"),
            ('{"n\\u0061me": "emma", "name": "emma"}', "the name is given more than once"),
            ('{"name": "emma", "of": {"name": "olivia"}}', None),
            (r'{"name": "\u0065mma", "id": 7, "\u0061": [{"name": 1, "name": 2}]}', None),
            (f'{{"name": "emma", "name": "emma", "id": {"9" * 5_000}}}', "cannot be read as JSON"),
            (r'{"name": "\ud800"}', "cannot be read as JSON"),
            ('{"name": NaN}', "neither a string nor an object with a name"),
            ("[" * 9_000, "cannot be read as JSON"),
            ("9" * 5_000, "cannot be read as JSON"),
        ],
        ids=lambda one: str(one)[:30],
    )
    def test_an_invalid_line_has_an_error_in_its_place(
        self, client: httpx.Client, line: str, error: str | None
    ) -> None:
        headers = {"Content-Type": "application/jsonl", "Accept": "application/jsonl"}
        reply = client.post("/score", content=f'"ann"\n{line}\n"zoe"', headers=headers)
        assert reply.status_code == 200
        first, middle, last = map(json.loads, reply.text.splitlines())
        assert (first["name"], last["name"]) == ("ann", "zoe")
        assert middle.get("error") == error
        assert middle["name"] == (None if error else "emma")

    @pytest.mark.parametrize("path", POSTS)
    @pytest.mark.parametrize(
        "headers",
        [
            {},
            {"Content-Type": ""},
            {"Content-Type": MARKER},
            {"Content-Type": f"application/{MARKER}"},
            {"Content-Type": "application/json; charset=utf-16"},
            {"Content-Type": f"application/json; charset={MARKER}"},
            {"Content-Type": "application/x-www-form-urlencoded"},
            {"Content-Type": "multipart/form-data"},
            {"Content-Type": "application/json, text/plain"},
            {"Content-Type": "application/json", "Content-Encoding": "deflate"},
            {"Content-Type": "application/json", "Content-Encoding": "gzip, gzip"},
            {"Content-Type": "application/json", "Content-Encoding": MARKER},
        ],
        ids=str,
    )
    def test_a_body_of_another_media_type_or_coding_is_rejected(
        self, client: httpx.Client, path: str, headers: dict[str, str]
    ) -> None:
        check_rejected(client.post(path, content=b'{"names": ["emma"]}', headers=headers), 415)

    @pytest.mark.parametrize("path", POSTS)
    @pytest.mark.parametrize(
        "twice",
        [
            ("Content-Type", "application/json", "text/plain"),
            ("Content-Encoding", "identity", "gzip"),
        ],
    )
    def test_a_body_with_a_repeated_header_is_rejected(
        self, client: httpx.Client, path: str, twice: tuple[str, str, str]
    ) -> None:
        name, *values = twice
        headers = [*((name, value) for value in values)]
        if name != "Content-Type":
            headers += JSON.items()
        body = b'{"names": ["emma"]}' if path == "/score" else b"{}"
        check_rejected(client.post(path, content=body, headers=headers), 415)


class TestQueries:
    @pytest.mark.parametrize(
        "query",
        [
            f"{MARKER}=1",
            f"n=1&{MARKER}",
            f"n={MARKER}",
            f"model={MARKER}&model=bigram",
            "n=1&n=1",
            "n=1&%6E=1",
            "n=NaN",
            "n=Infinity",
            "n=1e999",
            f"n={'9' * 5_000}",
            f"n=-{'9' * 5_000}",
            "temperature=nan",
            "temperature=-inf",
            f"temperature={'9' * 5_000}",
            "pattern=%00",
            "pattern=" + "[" * 256,
            f"pattern=%ED%A0%80{MARKER}",
            f"pattern=%FF{MARKER}",
            f"%FF{MARKER}=1",
            f"exclude=%C3{MARKER}",
            f"exclude={'a' * 65}{MARKER}",
            f"novel={MARKER}",
            "=",
            "=1",
            "n[]=1",
            "names=emma",
            "%EF%BB%BFn=1",
        ],
        ids=lambda query: query[:30],
    )
    @pytest.mark.parametrize("path", GETS)
    def test_an_invalid_query_is_rejected(
        self, client: httpx.Client, path: str, query: str
    ) -> None:
        check_rejected(client.get(f"{path}?{query}"), 422)

    def test_a_query_that_is_not_ascii_is_rejected_behind_any_parser(
        self, checkpoints: Path
    ) -> None:
        app = create_app(Settings(checkpoints=checkpoints))
        scope = {
            **{"type": "http", "method": "GET", "path": "/healthz", "headers": []},
            "query_string": "é".encode(),
        }
        sent: list[Message] = []

        async def receive() -> Message:
            return {"type": "http.request"}

        async def send(message: Message) -> None:
            sent.append(message)

        asyncio.run(app(scope, receive, send))
        assert sent[0]["status"] == 422
        assert json.loads(sent[1]["body"])["errors"][0]["field"] == "query"

    @pytest.mark.parametrize("path", ["/nowhere", "/models/nobody", "/models/%FF", "/%ED%A0%80"])
    def test_an_unknown_path_is_rejected(self, client: httpx.Client, path: str) -> None:
        check_rejected(client.get(f"{path}{MARKER}"), 404)


# JSON as Python writes it: with NaN, Infinity and lone surrogates, which are not valid JSON.
SCALARS = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20)
VALUES = st.recursive(
    SCALARS | st.just(MARKER),
    lambda value: st.lists(value, max_size=5) | st.dictionaries(st.text(max_size=9), value),
    max_leaves=10,
)
FIELDS = st.sampled_from(
    "n seed model temperature top_k pattern min_length max_length exclude novel unique names "
    f"name explain prefix {MARKER} \ud800".split()
)
OBJECTS = st.dictionaries(FIELDS, VALUES, max_size=4).map(
    lambda fields: json.dumps(fields).encode()
)
CORRUPTED = st.tuples(OBJECTS, st.binary(max_size=4), st.integers(0, 40)).map(
    lambda parts: parts[0][: parts[2]] + parts[1] + parts[0][parts[2] :]
)
BODIES = st.binary(max_size=200) | OBJECTS | CORRUPTED | st.binary().map(lambda sent: sent + MARK)


HEADERS = ["Accept", "Content-Type", "Content-Encoding", "Expect", "Host", "Upgrade", "Cookie"]
# With these headers a request may be incomplete, or the service waits for another request.
FRAMING = ["Content-Length", "Transfer-Encoding", "Connection"]
ASKED = [b"GET /sample", b"POST /sample"]
MISREAD = [
    *(b"*/*;q=9", b"*/*;q=", b"*/*;q=-0", b"*/*;q=nan", b"text/plain;q=\xb2", b";", b",", b"/"),
    *(b"100-continue", b"chunked", b"websocket", b"text/plain;charset=", b"gzip, gzip"),
    *(b"-1", b"+7", b"9" * 5_000, b"0x7", b"7, 7", b"\xb2"),
]


def check_header(server: Server, asked: bytes, header: str, value: bytes) -> None:
    """Check the response to a request with this header, unless the request is incomplete."""
    sent = {"Host": b"moniker", "Content-Type": b"application/json", "Content-Length": b"2"}
    sent |= {"Connection": b"close", header: value}
    head = [asked + b" HTTP/1.1", *(k.encode() + b": " + v for k, v in sent.items())]
    patience = BRIEF if header in FRAMING else PATIENCE
    reply = ask(server, b"\r\n".join([*head, b"", b"{}"]), patience)
    assert bool(reply.status) or header in FRAMING
    assert reply.status < 500
    # A 400 for malformed HTTP is sent before the path is known.
    if reply.status != 400:
        check(reply)
    if len(value) > 8:
        assert value.decode(errors="replace") not in reply.text


class TestAnyBytes:
    @pytest.mark.parametrize("path", POSTS)
    def test_any_bytes_in_a_body_are_handled(self, client: httpx.Client, path: str) -> None:
        @REPRODUCIBLE
        @given(BODIES)
        def holds(body: bytes) -> None:
            reply = client.post(path, content=body, headers=JSON)
            check(Reply(reply.status_code, reply.headers["content-type"], reply.text))

        holds()

    @pytest.mark.parametrize("path", GETS)
    def test_any_bytes_in_a_query_are_handled(self, server: Server, path: str) -> None:
        named = st.tuples(FIELDS.map(lambda name: name.encode(errors="replace")), st.binary())
        pairs = st.lists(named, max_size=3).map(
            lambda fields: "&".join(
                f"{name.decode()}={quote_from_bytes(value)}" for name, value in fields
            )
        )
        # No character from ! to ~ ends the request target.
        plain = st.text(st.characters(min_codepoint=0x21, max_codepoint=0x7E)).map(str.encode)
        quoted = (pairs | st.binary().map(quote_from_bytes)).map(str.encode)

        @REPRODUCIBLE
        @given(plain | quoted)
        def holds(query: bytes) -> None:
            reply = ask(server, get(path.encode() + b"?" + query.replace(b"#", b"")))
            assert reply.status
            check(reply)

        holds()

    @pytest.mark.parametrize("accept", ["text/plain", "application/jsonl"])
    @pytest.mark.parametrize("media", ["text/plain", "application/jsonl"])
    def test_any_bytes_in_lines_have_a_line_in_the_response(
        self, client: httpx.Client, media: str, accept: str
    ) -> None:
        line = st.binary(max_size=40).filter(lambda sent: b"\n" not in sent)
        value = VALUES.map(lambda value: json.dumps(value).encode())
        named = VALUES.map(lambda value: json.dumps({"name": value}).encode())
        mark = st.sampled_from([b"", BOM_UTF8])

        @REPRODUCIBLE
        @given(st.lists(line | value | named, max_size=6), mark)
        def holds(lines: list[bytes], mark: bytes) -> None:
            content = mark + b"".join(line + b"\n" for line in lines)
            headers = {"Content-Type": media, "Accept": accept}
            reply = client.post("/score", content=content, headers=headers)
            assert reply.status_code == 200
            answers = reply.content.split(b"\n")
            assert answers.pop() == b""
            assert len(answers) == content.count(b"\n") + (content == BOM_UTF8)
            if accept == "application/jsonl":
                assert all({"name"} <= json.loads(answer).keys() for answer in answers)

        holds()

    @pytest.mark.parametrize("header", [*HEADERS, *FRAMING])
    def test_any_bytes_in_a_header_are_handled(self, server: Server, header: str) -> None:
        # Without line ends, which would begin another header.
        any_bytes = st.binary(max_size=60).map(lambda sent: re.sub(rb"[\r\n]", b"", sent))
        token = st.text(st.characters(min_codepoint=0x20, max_codepoint=0x7E)).map(str.encode)

        @REPRODUCIBLE
        @given(any_bytes | token | st.sampled_from(MISREAD), st.sampled_from(ASKED))
        def holds(value: bytes, asked: bytes) -> None:
            check_header(server, asked, header, value)

        holds()

    @pytest.mark.parametrize("header", HEADERS)
    def test_header_values_that_are_often_misread_are_handled(
        self, server: Server, header: str
    ) -> None:
        for value in MISREAD:
            for asked in ASKED:
                check_header(server, asked, header, value)

    def test_any_bytes_as_a_request_are_handled(self, server: Server) -> None:
        request = b"POST /score HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
        request += b'Content-Length: 18\r\n\r\n{"names":["emma"]}'
        corrupted = st.tuples(st.binary(max_size=4), st.integers(0, 60), st.integers(0, 4)).map(
            lambda edit: request[: edit[1]] + edit[0] + request[edit[1] + edit[2] :]
        )

        @REPRODUCIBLE
        @given(st.binary() | corrupted)
        def holds(sent: bytes) -> None:
            assert ask(server, sent + b"\r\n\r\n", BRIEF).status < 500

        holds()
