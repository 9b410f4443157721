"""Tests of the API reference at /docs: descriptions, examples and files."""

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
    content: Document = client.get("/openapi.json").raise_for_status().json()
    return content


def operations(document: Document) -> Iterator[tuple[str, Document]]:
    """Yield the name and the description of each operation."""
    for path, methods in document["paths"].items():
        for method, operation in methods.items():
            yield f"{method.upper()} {path}", operation


def schemas(node: object, path: str = "") -> Iterator[tuple[str, Document]]:
    """Yield the path and the content of each object schema in a document."""
    if isinstance(node, dict):
        if isinstance(node.get("properties"), dict):
            yield path, node
        for key, value in node.items():
            yield from schemas(value, f"{path}/{key}")
    elif isinstance(node, list):
        for index, value in enumerate(node):
            yield from schemas(value, f"{path}/{index}")


def test_every_operation_has_a_summary_and_a_description(document: Document) -> None:
    for name, operation in operations(document):
        assert operation["description"], name
        assert operation["summary"], name
        assert operation["description"].startswith(operation["summary"]), name


def test_every_parameter_has_a_description_and_an_example(document: Document) -> None:
    for name, operation in operations(document):
        for parameter in operation.get("parameters", ()):
            assert parameter.get("description"), (name, parameter["name"])
            assert parameter["schema"].get("examples"), (name, parameter["name"])


def test_every_field_of_a_body_has_an_example(document: Document) -> None:
    schemas = document["components"]["schemas"]
    requests = {name: schemas[name] for name in schemas if name.endswith("Request")}
    assert {"SampleRequest", "ScoreRequest"} <= requests.keys()
    for name, schema in requests.items():
        for field, definition in schema["properties"].items():
            assert definition.get("examples"), (name, field)


def test_examples_name_the_default_model(checkpoints: Path) -> None:
    app = create_app(Settings(checkpoints=checkpoints, default_model="bigram"))
    document = app.openapi()
    fields = [schema["properties"] for schema in document["components"]["schemas"].values()]
    examples = [field["model"]["examples"] for field in fields if "model" in field]
    for path in ("/sample", "/score", "/next", "/models/{name}"):
        first, *_ = document["paths"][path]["get"]["parameters"]
        examples += [first["schema"]["examples"], [first["example"]]]
    assert len(examples) > 10
    assert all(values == ["bigram"] for values in examples), examples


def test_every_property_of_every_schema_has_a_description(document: Document) -> None:
    undescribed = [
        f"{path}: {name}"
        for path, schema in schemas(document)
        for name, field in schema["properties"].items()
        if not field.get("description")
    ]
    assert not undescribed, "\n".join(undescribed)


FILES = ["/docs", "/docs/docs.js", "/docs/swagger-ui-bundle.js", "/docs/swagger-ui.css"]


@pytest.mark.parametrize("path", FILES)
def test_files_have_a_strict_policy_and_are_revalidated(client: httpx.Client, path: str) -> None:
    reply = client.get(path).raise_for_status()
    policy = reply.headers["content-security-policy"]
    assert "script-src 'self'; style-src 'self'" in policy
    assert "unsafe" not in policy
    assert client.head(path).headers["etag"] == reply.headers["etag"]
    again = client.get(path, headers={"If-None-Match": reply.headers["etag"]})
    assert again.status_code == 304
    assert reply.headers["cache-control"] == again.headers["cache-control"] == "no-cache"


@pytest.mark.parametrize("path", ["/docs/", "/docs.html", "/docs/docs.html", "/docs/__init__.py"])
def test_other_paths_are_not_found(client: httpx.Client, path: str) -> None:
    assert client.get(path).status_code == 404


def test_urls_are_relative_for_a_path_prefix(
    client: httpx.Client,
) -> None:
    text = "".join(client.get(path).text for path in FILES[:2])
    addresses = re.findall(r'(?:src|href|url)[=:]\s*"([^"]*)"', text)
    assert {"docs/docs.js", "docs/swagger-ui.css", "openapi.json"} <= {*addresses}
    assert not [address for address in addresses if re.match(r"/|https?:", address)]


@pytest.fixture
def docs(visit: Visits) -> Page:
    """The page, once its operations are shown."""
    page = visit("/docs")
    expect(page.locator(".opblock").first).to_be_visible()
    return page


def execute(operation: Locator) -> Locator:
    """Execute an operation with its examples; return the element of the response."""
    operation.locator(".opblock-summary-control").click()
    operation.get_by_role("button", name="Try it out").click()
    operation.get_by_role("button", name="Execute").click()
    reply = operation.locator(".live-responses-table")
    expect(reply.locator(".response-col_status").last).to_have_text("200")
    return reply


def try_out(operation: Locator) -> str:
    """Execute an operation with its examples; return the text of the response."""
    text = execute(operation).locator(".response-col_description").last.inner_text()
    operation.locator(".opblock-summary-control").click()
    return text


@pytest.mark.slow
def test_every_operation_can_be_executed_with_its_examples(docs: Page, document: Document) -> None:
    blocks = docs.locator(".opblock").all()
    assert len(blocks) == len([*operations(document)])
    assert all(try_out(block) for block in blocks)


def test_the_example_of_sample_makes_names(docs: Page) -> None:
    reply = try_out(docs.locator(".opblock-get", has_text="/sample"))
    assert '"names": [' in reply
    assert reply.count("lyn") == 5


@pytest.fixture(params=["direct", "behind a prefix"])
def address(request: pytest.FixtureRequest, server: Server) -> Iterator[str]:
    """The URL of the service or of a proxy in front of it, with a trailing slash."""
    if request.param == "direct":
        yield f"{server.url}/"
    else:
        with behind_prefix(server) as url:
            yield f"{url}/"


@pytest.mark.parametrize(
    ("method", "path", "shown"),
    [
        ("get", "/sample", "sample?model=positional&"),
        pytest.param("post", "/score", "score", marks=pytest.mark.slow),
        pytest.param("get", "/models/{name}", "models/positional", marks=pytest.mark.slow),
    ],
)
def test_requests_go_to_the_base_url_of_the_document(
    visit: Visits, address: str, method: str, path: str, shown: str
) -> None:
    page = visit("docs", base_url=address)
    operation = page.locator(f".opblock-{method}", has=page.locator(f'[data-path="{path}"]'))
    execute(operation)
    expect(operation.locator(".request-url")).to_contain_text(f"{address}{shown}")
    command = operation.locator(".curl").inner_text()
    # Users paste the command into a shell.
    arguments = ["sh", "-c", f"{command} --silent --show-error --fail"]
    reply = subprocess.run(arguments, capture_output=True, text=True, timeout=PATIENCE, check=True)
    assert json.loads(reply.stdout)["limits" if "models" in path else "model"]


def test_the_page_has_a_title_and_a_language(docs: Page) -> None:
    assert "moniker" in docs.title()
    assert docs.locator("html").get_attribute("lang") == "en"
