"""Tests from outside: browser caches, a proxy, concurrent and slow clients, exported lists."""

import csv
import json
import random
import shutil
import socket
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx
import pyarrow.csv
import pyarrow.parquet
import pytest
from playwright.sync_api import Browser, BrowserContext, ConsoleMessage, Page, expect

from models.chain.markov_chain import compile_chain
from models.checkpoint import load
from models.scoring.likelihoods import log_likelihoods
from tests.support.http.browser import profile
from tests.support.http.clients import closed_loop, dripping
from tests.support.http.proxy import behind_prefix
from tests.support.http.server import PLAIN, Server
from tests.support.http.wire import Wire, until
from tests.support.lists import LISTS, NAMES, RECORDS
from tests.support.paths import ROOT
from training.__main__ import main as train

pytestmark = pytest.mark.usefixtures("coarse_percentiles")

JSON = {"Content-Type": "application/json"}
TEXT = {"Content-Type": "text/plain"}
LINES = b"POST /score HTTP/1.1\r\nHost: a\r\nContent-Type: text/plain\r\n"
CHUNKED = b"Transfer-Encoding: chunked\r\n\r\n"


# Browser profile with a persistent cache


def test_a_browser_profile_keeps_its_cache_between_visits(
    browser: Browser, server: Server, tmp_path: Path
) -> None:
    responses: list[tuple[str, int]] = []
    for _ in range(2):
        with profile(browser, tmp_path / "profile", server.url) as context:
            page = context.new_page()
            page.on("response", lambda reply: responses.append((reply.url, reply.status)))
            page.goto("/")
            # A cached copy is revalidated with its tag; the page itself sees a 200.
            (size,) = page.evaluate(
                "performance.getEntriesByType('navigation').map(entry => entry.transferSize)"
            )
    assert 0 < size < len(server.get("/").content)  # the headers of a 304 without a body
    assert {status for url, status in responses if url == f"{server.url}/"} <= {200, 304}


def assert_complete(page: Page) -> None:
    """Assert that a page has its styles, and shows 12 names or all operations."""
    assert page.evaluate("document.styleSheets.length") > 0
    if page.url.endswith("/docs"):
        paths = page.request.get("/openapi.json").json()["paths"].values()
        expect(page.locator(".opblock")).to_have_count(sum(map(len, paths)))
    else:
        expect(page.locator("#names li")).to_have_count(12)


@contextmanager
def returning(browser: Browser, folder: Path, server: Server) -> Iterator[BrowserContext]:
    """Open a browser with a persistent profile.

    Asserts at the end of the block that no script failed and no policy was violated.
    """
    failures: list[str] = []

    def check_message(message: ConsoleMessage) -> None:
        if "Content Security Policy" in message.text:
            failures.append(message.text)

    with profile(browser, folder, server.url) as context:
        context.on("console", check_message)
        context.on("weberror", lambda error: failures.append(str(error.error)))
        yield context
    assert not failures, "\n".join(failures)


@pytest.mark.parametrize("path", ["/", pytest.param("/docs", marks=pytest.mark.slow)])
def test_a_page_is_the_same_on_every_visit(
    browser: Browser, server: Server, tmp_path: Path, path: str
) -> None:
    for _ in range(2):  # the second time with a filled cache
        with returning(browser, tmp_path / "profile", server) as visitor:
            page = visitor.new_page()
            for load_page in (partial(page.goto, path), partial(page.goto, path), page.reload):
                load_page()
                assert_complete(page)
            other = visitor.new_page()
            other.goto(path)
            assert_complete(other)
            page.goto("/healthz")
            page.go_back()
            assert_complete(page)
            page.go_forward()
            expect(page.locator("body")).to_contain_text("status")
            page.go_back()
            assert_complete(page)
            assert_complete(other)


def transferred(browser: Browser, folder: Path, server: Server, path: str) -> dict[str, int]:
    """Return the bytes that a visit transfers, headers included, by path."""
    paths: dict[str, str] = {}
    sizes: Counter[str] = Counter()
    with returning(browser, folder, server) as visitor:
        page = visitor.new_page()
        protocol = visitor.new_cdp_session(page)
        protocol.on(
            "Network.requestWillBeSent",
            lambda event: paths.update(
                {event["requestId"]: urlsplit(event["request"]["url"]).path}
            ),
        )
        protocol.on(
            "Network.loadingFinished",
            lambda event: sizes.update(
                {paths[event["requestId"]]: int(event["encodedDataLength"])}
            ),
        )
        protocol.send("Network.enable")
        page.goto(path)
        assert_complete(page)
        page.wait_for_load_state("networkidle")
    return sizes


MAX_HEADER_BYTES = 1000  # more than the headers of a 304


def test_a_visit_of_the_page_transfers_its_files_compressed_and_once(
    browser: Browser, server: Server, tmp_path: Path
) -> None:
    first, second = (transferred(browser, tmp_path / "profile", server, "/") for _ in range(2))
    files = [path for path in first if path == "/" or path.startswith("/assets/")]
    assert len(files) > 5
    assert sum(first.values()) < 100_000, first  # includes the requests of the page to the API
    assert max(second[path] for path in files) < MAX_HEADER_BYTES


@pytest.mark.slow
def test_a_visit_of_the_reference_transfers_its_files_compressed_and_once(
    browser: Browser, server: Server, tmp_path: Path
) -> None:
    first, second = (transferred(browser, tmp_path / "profile", server, "/docs") for _ in range(2))
    assert {"/docs", "/docs/swagger-ui-bundle.js", "/openapi.json"} <= first.keys()
    assert sum(first.values()) < 500_000
    assert first.keys() == second.keys()
    assert max(second.values()) < MAX_HEADER_BYTES


@contextmanager
def reserved_port() -> Iterator[int]:
    """Reserve a port on which several services listen one after the other."""
    with socket.socket() as bound:
        bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        bound.bind((Server.host, 0))
        yield bound.getsockname()[1]


def upgraded(folder: Path, mark: str) -> dict[str, str]:
    """Copy the service with a comment added to each web file; return the environment to run it."""
    shutil.copytree(ROOT / "service", folder / "service")
    (folder / "models").symlink_to(ROOT / "models")
    for pattern, comment in {"*.js": f"\n// {mark}\n", "*.css": f"\n/* {mark} */\n"}.items():
        for file in (folder / "service").rglob(pattern):
            file.write_text(file.read_text() + comment)
    for file in (folder / "service").rglob("*.html"):
        file.write_text(file.read_text().replace("</head>", f"<!-- {mark} --></head>"))
    return {"PYTHONSAFEPATH": "1", "PYTHONPATH": str(folder)}


@pytest.mark.slow
def test_a_page_is_the_same_after_its_files_have_changed(
    browser: Browser, one_model: Path, tmp_path: Path
) -> None:
    changed = upgraded(tmp_path / "upgrade", "changed")
    with reserved_port() as port:
        settings = {"MONIKER_CHECKPOINTS": str(one_model), "MONIKER_PORT": str(port)}
        for version in ({}, {}, changed, changed):
            with Server(**settings, **version) as server:
                assert ("changed" in server.get("/assets/page.js").text) == bool(version)
                with returning(browser, tmp_path / "profile", server) as visitor:
                    for path in ("/", "/docs"):
                        page = visitor.new_page()
                        page.goto(path)
                        assert_complete(page)
                        assert ("changed" in page.content()) == bool(version)
                        page.reload()
                        assert_complete(page)


# A proxy that strips a path prefix


def test_a_proxy_strips_the_prefix_and_passes_on_the_rest(server: Server) -> None:
    path = "/sample?n=3&seed=5"
    with behind_prefix(server) as url, httpx.Client(**PLAIN) as client:
        assert client.get(f"{url}{path}").json() == server.get(path).json()
        scored = client.post(f"{url}/score", json={"names": ["emma"]})
        assert scored.json()["scores"][0]["name"] == "emma"
        assert client.head(f"{url}/").status_code == 200
        assert client.get(f"{url}/nowhere").status_code == 404
        assert client.get(f"{url.removesuffix('/moniker')}{path}").status_code == 404


# Closed-loop clients


def test_closed_loop_clients_get_a_response_to_each_request(server: Server) -> None:
    statuses = closed_loop(server, 4, 10, lambda client: client.get("/healthz"))
    assert statuses == {200: 40}
    statuses = closed_loop(server, 2, 3, lambda client: client.get("/nowhere"))
    assert statuses == {404: 6}


def test_three_closed_loop_clients_are_never_rejected(server: Server) -> None:
    fields = {"names": ["maria lo"] * 2000, "model": "fivegram"}
    statuses = closed_loop(server, 3, 10, lambda client: client.post("/score", json=fields))
    assert statuses == {200: 30}


def test_four_hundred_preflights_leave_no_load_behind(one_model: Path) -> None:
    headers = {"Origin": "https://elsewhere.example", "Access-Control-Request-Method": "GET"}
    settings = {
        "MONIKER_CHECKPOINTS": str(one_model),
        "MONIKER_CORS_ORIGINS": "https://here.example",
    }
    with Server(**settings) as server, server.client() as client:
        client.get("/sample").raise_for_status()
        for _ in range(400):
            client.options("/sample", headers=headers)
        assert client.get("/sample").status_code == 200


# Slow clients


def received(wire: Wire, text: bytes) -> Callable[[], bool]:
    """Return a condition: the response contains a text so far."""

    def condition() -> bool:
        wire.more()
        return text in wire.rest

    return condition


def test_a_client_that_sends_byte_by_byte_gets_its_answers(server: Server) -> None:
    body = b"emma\nava\n"
    with dripping(server, 2, LINES + CHUNKED, body, seconds=0.05) as drippers:
        for dripper in drippers:
            until(received(dripper.wire, b"\tava\n"))
            assert dripper.wire.rest.count(b"\temma\n") == 1
            until(lambda: dripper.sent == len(body))  # noqa: B023 - called in this iteration


def test_slow_clients_do_not_block_a_short_list(one_model: Path) -> None:
    server = Server(MONIKER_CHECKPOINTS=str(one_model))
    head = LINES + CHUNKED + b"2\r\na\n\r\n"
    with server, dripping(server, 8, head, b"emma\n" * 1000, seconds=10) as drippers:
        for dripper in drippers:
            until(received(dripper.wire, b"\ta\n"))  # each holds a stream slot
        reply = server.post("/score", content="emma", headers=TEXT)
        assert reply.status_code == 200


# Invalid bodies


@contextmanager
def probing(server: Server) -> Iterator[list[int]]:
    """Request /healthz repeatedly until the block ends; yields the list of statuses."""
    statuses: list[int] = []
    over = threading.Event()

    def probe() -> None:
        with server.client() as client:
            while not over.wait(0.002):
                statuses.append(client.get("/healthz").status_code)

    thread = threading.Thread(target=probe)
    thread.start()
    try:
        yield statuses
    finally:
        over.set()
        thread.join()


def invalid_bodies(size: int) -> dict[str, bytes]:
    """Return invalid bodies for /score, each of at most `size` bytes."""
    start = b'{"names":["emma"],'
    space = size - 100  # bytes for the repeated part
    return {
        "unknown keys": start + b",".join(b'"%07d":1' % key for key in range(space // 12)) + b"}",
        "repeated keys": start + b",".join([b'"model":null'] * (space // 13)) + b"}",
        "integers in names": b'{"names":[' + b"1," * (space // 2) + b"1]}",
        "integers in exclude": start + b'"exclude":[' + b"1," * (space // 2) + b"1]}",
        "brackets": b'{"names":' + b"[" * (space // 2) + b"]" * (space // 2) + b"}",
        "flat brackets": start + b'"x":[' + b"[]," * (space // 3) + b"[]]}",
        "empty names": b'{"names":[' + b'"",' * (space // 3) + b'""]}',
        "unpaired quotes": b'{"names":[' + b'\\"\\\\"' * (space // 5) + b"]}",
    }


def post_at_once(server: Server, count: int, body: bytes, headers: dict[str, str]) -> set[int]:
    """Send a body to /score over several connections at the same time. Returns the statuses."""
    with ThreadPoolExecutor(count) as pool:
        replies = pool.map(
            lambda _: server.post("/score", content=body, headers=headers), range(count)
        )
        return {reply.status_code for reply in replies}


@pytest.mark.parametrize("size", [7_000_000, pytest.param(2_600_000, marks=pytest.mark.slow)])
def test_rejecting_invalid_bodies_costs_less_than_serving(one_model: Path, size: int) -> None:
    """Compares processor time, all of it spent in the event loop, where other requests wait."""
    useful = json.dumps({"names": ["alexandra"] * 10_000}).encode()
    with Server(MONIKER_CHECKPOINTS=str(one_model)) as server:
        before = server.worked
        for _ in range(8):
            assert post_at_once(server, 1, useful, JSON) == {200}
        serving = server.worked - before
        for kind, body in invalid_bodies(size).items():
            assert size * 0.9 < len(body) <= size
            server.forget_peak()
            memory, before = server.resident, server.worked
            for _ in range(2):
                statuses = post_at_once(server, 4, body, JSON)
                assert statuses <= {400, 413, 422}, kind
            assert server.peak - memory < 50 * 1024, kind  # kB
            assert server.worked - before <= serving, kind
            with probing(server) as probed:
                post_at_once(server, 4, body, JSON)
                until(lambda: len(probed) > 3)
            assert {*probed} == {200}


def test_an_invalid_body_is_rejected_while_it_is_still_being_sent(one_model: Path) -> None:
    head = b"POST /score HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\n"
    with Server(MONIKER_CHECKPOINTS=str(one_model)) as server:
        with Wire(server) as wire:
            wire.send(head + b"Content-Length: 7000000\r\n\r\n", b"[" * 1_000_000)
            assert wire.reply().status == 413
        with Wire(server) as wire:
            wire.send(head + CHUNKED, *[b"10000\r\n" + b"[" * 2**16 + b"\r\n"] * 45)
            assert wire.reply().status == 413
        assert "Traceback" not in server.log


# Exported lists


@pytest.fixture
def exported_lists(tmp_path: Path) -> dict[str, Path]:
    """Small lists in many formats: file name -> path."""
    for name, content in LISTS.items():
        (tmp_path / name).write_bytes(content)
    return {name: tmp_path / name for name in LISTS}


def names_of_text(path: Path, encoding: str = "utf-8") -> list[str]:
    return path.read_text(encoding=encoding).split()


def test_exported_lists_contain_the_same_names_in_every_format(
    exported_lists: dict[str, Path],
) -> None:
    """Reads them with other libraries than the training job."""
    lists = exported_lists
    for name, encoding in {
        "plain.txt": "utf-8", "mark.txt": "utf-8-sig", "carriage-returns.txt": "utf-8",
        "windows.txt": "cp1252", "utf-16.txt": "utf-16",
    }.items():  # fmt: skip
        assert names_of_text(lists[name], encoding) == NAMES, name
    for name, separator in {"header.csv": ",", "semicolons.csv": ";", "tabs.tsv": "\t"}.items():
        with lists[name].open(encoding="utf-8", newline="") as file:
            assert [row["name"] for row in csv.DictReader(file, delimiter=separator)] == NAMES
    assert pyarrow.csv.read_csv(lists["packed.csv.gz"])["name"].to_pylist() == NAMES
    table: list[dict[str, Any]] = pyarrow.parquet.read_table(lists["table.parquet"]).to_pylist()
    assert [tuple(row.values()) for row in table] == RECORDS
    assert json.loads(lists["array.json"].read_bytes()) == NAMES
    assert json.loads(lists["escaped.json"].read_bytes()) == NAMES
    assert [item["name"] for item in json.loads(lists["objects.json"].read_bytes())] == NAMES
    assert names_of_text(lists["five-times.txt"]) == NAMES * 5


def test_a_plain_list_trains_without_options(
    exported_lists: dict[str, Path], tmp_path: Path
) -> None:
    out = tmp_path / "out"
    for name in ("plain.txt", "mark.txt", "carriage-returns.txt"):
        arguments = ["--data", str(exported_lists[name]), "--models", "bigram", "--out", str(out)]
        assert train(arguments) == 0
        vocabulary = load((out / "bigram.safetensors").read_bytes()).model.vocabulary
        assert set(vocabulary.characters) == set("".join(NAMES).lower()), name


def held_out_nll(folder: Path, fitted: list[str], held_out: list[str]) -> float:
    """Return the NLL per character of held-out names by a fivegram fitted to other names."""
    data = folder / "list.txt"
    data.write_text("\n".join(fitted), encoding="utf-8")
    assert train(["--data", str(data), "--models", "fivegram", "--out", str(folder)]) == 0
    model = load((folder / "fivegram.safetensors").read_bytes()).model
    transitions = sum(len(name) + 1 for name in held_out)
    return -float(log_likelihoods(compile_chain(model), held_out).sum()) / transitions


def test_repeated_names_do_not_worsen_the_held_out_loss(
    us_names: list[str], tmp_path: Path
) -> None:
    names = sorted(set(us_names))
    random.Random(0).shuffle(names)
    fitted, held_out = names[:500], names[500:1000]
    once = held_out_nll(tmp_path, fitted, held_out)
    five_times = held_out_nll(tmp_path, fitted * 5, held_out)
    assert five_times < once + 0.02
