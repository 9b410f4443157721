"""Types of problems: each is documented, explained at its path, and the type of its problem."""

import inspect
import re
from pathlib import Path

import httpx
import pytest

from service.errors import PROBLEMS, ServiceError
from tests.support.http.problems import problem
from tests.support.http.server import Server
from tests.support.http.wire import Wire
from tests.support.paths import ROOT

PAGE = (ROOT / "docs" / "errors.md").read_text(encoding="utf-8")
JSON = {"Content-Type": "application/json"}
GZIP = {**JSON, "Content-Encoding": "gzip"}


def type_of(reply: httpx.Response) -> str:
    """The slug of a problem, whose title and status are those of its type."""
    content = problem(reply, reply.status_code)
    slug = str(content["type"]).removeprefix("/errors/")
    assert content["title"] == PROBLEMS[slug].title
    assert content["status"] == PROBLEMS[slug].status
    return slug


def test_the_page_documents_every_type_and_no_other() -> None:
    rows = re.findall(r"^\| `/errors/(\S+)` \| (\d+) \| (.*) \| (.*) \|$", PAGE, re.MULTILINE)
    expected = {
        (slug, str(kind.status), inspect.getdoc(kind), kind.remedy)
        for slug, kind in PROBLEMS.items()
    }
    assert {*rows} == expected
    assert len(rows) == len(PROBLEMS)


def test_every_type_has_a_title_of_its_own() -> None:
    kinds = ServiceError.__subclasses__()
    assert len({kind.slug for kind in kinds}) == len({kind.title for kind in kinds}) == len(kinds)
    assert all(re.fullmatch("[a-z]+(-[a-z]+)*", kind.slug) for kind in kinds)


@pytest.mark.parametrize("slug", sorted(PROBLEMS))
def test_the_path_of_a_type_explains_it(client: httpx.Client, slug: str) -> None:
    reply = client.get(f"/errors/{slug}").raise_for_status()
    assert reply.headers["content-type"] == "text/plain; charset=utf-8"
    assert PROBLEMS[slug].title in reply.text
    assert PROBLEMS[slug].remedy in reply.text
    assert client.head(f"/errors/{slug}").status_code == 200


def test_an_unknown_type_is_not_found(client: httpx.Client) -> None:
    assert type_of(client.get("/errors/nothing")) == "not-found"


@pytest.mark.parametrize(
    ("path", "slug"),
    [
        ("/nowhere", "not-found"),
        ("/sample?model=nobody", "no-such-model"),
        ("/models/nobody", "no-such-model"),
        ("/sample?n=0", "invalid-fields"),
        ("/sample?n=10001", "invalid-fields"),
        ("/sample?pattern=[a", "invalid-fields"),
        ("/next?prefix=%C3%A9", "invalid-fields"),
        ("/sample?colour=red", "invalid-fields"),
        ("/sample?pattern=%3F&min_length=2", "unsatisfiable"),
        ("/sample?pattern=*a" + 40 * "%3F", "too-complex"),
    ],
)
def test_a_query_gets_the_type_of_its_problem(client: httpx.Client, path: str, slug: str) -> None:
    assert type_of(client.get(path)) == slug


@pytest.mark.parametrize(
    ("headers", "content", "slug"),
    [
        (JSON, b"{", "malformed-json"),
        (JSON, b" " * 70_000, "content-too-large"),
        (JSON, b'{"n": "5"}', "invalid-fields"),
        (GZIP, b"{}", "malformed-gzip"),
        (GZIP, b"", "malformed-gzip"),
        ({"Content-Type": "text/csv"}, b"a", "unsupported-media-type"),
        ({**JSON, "Accept": "image/png"}, b"{}", "not-acceptable"),
    ],
)
def test_a_body_gets_the_type_of_its_problem(
    client: httpx.Client, headers: dict[str, str], content: bytes, slug: str
) -> None:
    assert type_of(client.post("/sample", content=content, headers=headers)) == slug


def test_a_method_gets_the_type_of_its_problem(client: httpx.Client) -> None:
    assert type_of(client.delete("/sample")) == "method-not-allowed"
    assert type_of(client.request("GET", "/sample", content=b"{}")) == "unexpected-body"


def test_what_is_not_http_gets_the_type_of_its_problem(server: Server) -> None:
    for sent, slug in [
        (b"nothing\r\n\r\n", "malformed-http"),
        (b"GET / HTTP/1.1\r\n\r\n", "malformed-http"),
        (b"GET /" + b"a" * 40_000 + b" HTTP/1.1\r\nHost: a\r\n\r\n", "headers-too-large"),
    ]:
        with Wire(server) as wire:
            wire.send(sent)
            assert wire.reply().problem["type"] == f"/errors/{slug}"


def test_types_depend_on_settings_and_an_explanation_needs_no_key(one_model: Path) -> None:
    settings = {"MONIKER_API_KEYS": "first-key-7531", "MONIKER_CORS_ORIGINS": "https://a.example"}
    with Server(MONIKER_CHECKPOINTS=str(one_model), **settings) as locked:
        assert type_of(locked.get("/sample")) == "unauthenticated"
        assert locked.get("/errors/unauthenticated").status_code == 200
        preflight = {"Origin": "https://b.example", "Access-Control-Request-Method": "GET"}
        rejected = locked.request("OPTIONS", "/sample", headers=preflight)
        assert type_of(rejected) == "request-rejected"
        key = {"Authorization": "Bearer first-key-7531"}
        assert type_of(locked.get("/models/positional/report", headers=key)) == "no-report"
