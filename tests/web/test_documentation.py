"""The reference at /docs: all is explained, the examples work, nothing comes from elsewhere."""

import json
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from playwright.sync_api import Locator, Page, expect

from service.app import create_app
from service.settings import Settings
from tests.support.http.browser import Visits
from tests.support.http.proxy import behind_prefix
from tests.support.http.server import PATIENCE, Server

Document = dict[str, Any]


@pytest.fixture(scope="module")
def document(client: httpx.Client) -> Document:
    """The OpenAPI document."""
    told: Document = client.get("/openapi.json").raise_for_status().json()
    return told


def operations(document: Document) -> Iterator[tuple[str, Document]]:
    """All methods of all paths."""
    for path, methods in document["paths"].items():
        for method, operation in methods.items():
            yield f"{method.upper()} {path}", operation


def schemas(told: object, where: str = "") -> Iterator[tuple[str, Document]]:
    """All schemas of objects, wherever in a document."""
    if isinstance(told, dict):
        if isinstance(told.get("properties"), dict):
            yield where, told
        for key, value in told.items():
            yield from schemas(value, f"{where}/{key}")
    elif isinstance(told, list):
        for index, value in enumerate(told):
            yield from schemas(value, f"{where}/{index}")


def test_every_operation_has_a_summary_and_a_description(document: Document) -> None:
    for name, operation in operations(document):
        assert operation["description"], name
        assert operation["summary"], name
        assert operation["description"].startswith(operation["summary"]), name


def test_every_parameter_has_a_meaning_and_an_example(document: Document) -> None:
    for name, operation in operations(document):
        for parameter in operation.get("parameters", ()):
            assert parameter.get("description"), (name, parameter["name"])
            assert parameter["schema"].get("examples"), (name, parameter["name"])


def test_every_field_of_a_body_has_an_example(document: Document) -> None:
    for name, schema in document["components"]["schemas"].items():
        if name.endswith("Request"):
            for field, told in schema["properties"].items():
                assert told.get("examples"), (name, field)


def test_examples_are_of_the_model_that_is_the_default_one(checkpoints: Path) -> None:
    app = create_app(Settings(checkpoints=checkpoints, default_model="bigram"))
    document = app.openapi()
    fields = [schema["properties"] for schema in document["components"]["schemas"].values()]
    told = [field["model"]["examples"] for field in fields if "model" in field]
    for path in ("/sample", "/score", "/next", "/models/{name}"):
        first, *_ = document["paths"][path]["get"]["parameters"]
        told += [first["schema"]["examples"], [first["example"]]]
    assert len(told) > 10
    assert all(examples == ["bigram"] for examples in told), told


def test_every_property_of_every_schema_has_a_meaning(document: Document) -> None:
    silent = [
        f"{where}: {name}"
        for where, schema in schemas(document)
        for name, field in schema["properties"].items()
        if not field.get("description")
    ]
    assert not silent, "\n".join(silent)


FILES = ["/docs", "/docs/docs.js", "/docs/swagger-ui-bundle.js", "/docs/swagger-ui.css"]


@pytest.mark.parametrize("path", FILES)
def test_a_file_of_the_page_may_do_little_and_is_sent_once(client: httpx.Client, path: str) -> None:
    reply = client.get(path).raise_for_status()
    policy = reply.headers["content-security-policy"]
    assert "script-src 'self'; style-src 'self'" in policy
    assert "unsafe" not in policy
    assert client.head(path).headers["etag"] == reply.headers["etag"]
    again = client.get(path, headers={"If-None-Match": reply.headers["etag"]})
    assert again.status_code == 304
    assert reply.headers["cache-control"] == again.headers["cache-control"] == "no-cache"


@pytest.mark.parametrize("path", ["/docs/", "/docs.html", "/docs/docs.html", "/docs/__init__.py"])
def test_nothing_else_is_served(client: httpx.Client, path: str) -> None:
    assert client.get(path).status_code == 404


def test_addresses_are_relative_so_that_the_page_works_behind_a_prefix(
    client: httpx.Client,
) -> None:
    text = "".join(client.get(path).text for path in FILES[:2])
    addresses = re.findall(r'(?:src|href|url)[=:]\s*"([^"]*)"', text)
    assert {"docs/docs.js", "docs/swagger-ui.css", "openapi.json"} <= {*addresses}
    assert not [address for address in addresses if re.match(r"/|https?:", address)]


@pytest.fixture
def docs(visit: Visits) -> Page:
    """The page, ready to be read."""
    page = visit("/docs")
    expect(page.locator(".opblock").first).to_be_visible()
    return page


def execute(operation: Locator) -> Locator:
    """Send the examples of an operation, as they are filled in; returns where the reply is."""
    operation.locator(".opblock-summary-control").click()
    operation.get_by_role("button", name="Try it out").click()
    operation.get_by_role("button", name="Execute").click()
    reply = operation.locator(".live-responses-table")
    expect(reply.locator(".response-col_status").last).to_have_text("200")
    return reply


def try_out(operation: Locator) -> str:
    """What the service replies to the examples of an operation, as they are filled in."""
    text = execute(operation).locator(".response-col_description").last.inner_text()
    operation.locator(".opblock-summary-control").click()
    return text


@pytest.mark.parametrize("every", [9, pytest.param(1, marks=pytest.mark.slow)])
def test_operations_can_be_tried_as_they_are_filled_in(
    docs: Page, document: Document, every: int
) -> None:
    """Tries every n-th operation of the page."""
    blocks = docs.locator(".opblock").all()
    assert len(blocks) == len([*operations(document)])
    assert all(try_out(block) for block in blocks[::every])


def test_what_is_filled_in_makes_names(docs: Page) -> None:
    reply = try_out(docs.locator(".opblock-get", has_text="/sample"))
    assert '"names": [' in reply
    assert reply.count("lyn") == 5


@pytest.fixture(params=["direct", "behind a prefix"])
def address(request: pytest.FixtureRequest, server: Server) -> Iterator[str]:
    """An address of the service, with a slash at its end: its own or that of a proxy."""
    if request.param == "direct":
        yield f"{server.url}/"
    else:
        with behind_prefix(server) as url:
            yield f"{url}/"


@pytest.mark.parametrize(
    ("method", "path", "shown"),
    [
        ("get", "/sample", "sample?model=positional&"),
        ("post", "/score", "score"),
        ("get", "/models/{name}", "models/positional"),
    ],
)
def test_requests_go_to_where_the_document_is(
    visit: Visits, address: str, method: str, path: str, shown: str
) -> None:
    page = visit("docs", base_url=address)
    operation = page.locator(f".opblock-{method}", has=page.locator(f'[data-path="{path}"]'))
    execute(operation)
    expect(operation.locator(".request-url")).to_contain_text(f"{address}{shown}")
    command = operation.locator(".curl").inner_text()
    # It is meant to be pasted into a shell.
    run = ["sh", "-c", f"{command} --silent --show-error --fail"]
    reply = subprocess.run(run, capture_output=True, text=True, timeout=PATIENCE, check=True)
    assert json.loads(reply.stdout)["limits" if "models" in path else "model"]


def test_the_page_says_what_it_is_and_in_which_language(docs: Page) -> None:
    assert "moniker" in docs.title()
    assert docs.locator("html").get_attribute("lang") == "en"
