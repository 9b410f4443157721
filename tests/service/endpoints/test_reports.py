"""The report of a training over HTTP: returned for each model whose checkpoint it names."""

import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import pytest
from playwright.sync_api import Browser

from models.checkpoint import load
from tests.support.http.hypertext import Hypertext
from tests.support.http.problems import problem
from tests.support.http.reloads import comes_true, failed, loaded
from tests.support.http.server import Server
from tests.support.versions import versions
from training.__main__ import main as train
from training.atomic_files import write_atomically

pytestmark = pytest.mark.usefixtures("coarse_percentiles")

MODELS = ["bigram", "positional"]
TEN = ["ada", "bea", "cleo", "dora", "ella", "finn", "gus", "hal", "ida", "jo"]
NO_REPORT = "This model has no report; train it with --evaluate."


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with small checkpoints and their report."""
    folder = tmp_path_factory.mktemp("trained")
    (folder / "names.txt").write_text("\n".join(TEN))
    arguments = ["--data", str(folder / "names.txt"), "--models", ",".join(MODELS)]
    assert train([*arguments, "--evaluate", "--out", str(folder)]) == 0
    return folder


@pytest.fixture
def folder(trained: Path, tmp_path: Path) -> Path:
    """A copy of the checkpoints without the report."""
    copy = tmp_path / "checkpoints"
    copy.mkdir()
    for name in MODELS:
        shutil.copy(trained / f"{name}.safetensors", copy)
    return copy


@pytest.fixture
def running(folder: Path) -> Iterator[Server]:
    """A running service of this folder."""
    with Server(MONIKER_CHECKPOINTS=str(folder)) as server:
        yield server


@pytest.fixture
def report(trained: Path) -> bytes:
    """The content of the report."""
    return (trained / "report.html").read_bytes()


def version(folder: Path, name: str) -> str:
    return load((folder / f"{name}.safetensors").read_bytes()).version


def report_of(*checkpoints: str) -> bytes:
    versions = " ".join(checkpoints)
    return f'<!doctype html>\n<meta name="moniker-checkpoints" content="{versions}">Zoë'.encode()


def get_report(server: Server, name: str) -> httpx.Response:
    return server.get(f"/models/{name}/report")


def serves(server: Server, name: str, content: bytes) -> Callable[[], bool]:
    return lambda: get_report(server, name).content == content


def lacks(server: Server, name: str) -> Callable[[], bool]:
    return lambda: get_report(server, name).status_code == 404


def report_paths(server: Server) -> dict[str, str | None]:
    """The path of the report of each model, from /models and /models/{name}."""
    models = server.get("/models").raise_for_status().json()["models"]
    for model in models:
        single = server.get(f"/models/{model['name']}").json()
        assert single["report"] == model["report"]
    return {model["name"]: model["report"] for model in models}


def test_a_report_is_returned_unchanged(folder: Path, report: bytes) -> None:
    (folder / "report.html").write_bytes(report)
    with Server(MONIKER_CHECKPOINTS=str(folder)) as server:
        assert report_paths(server) == {name: f"/models/{name}/report" for name in MODELS}
        for path in report_paths(server).values():
            reply = server.get(f"{path}").raise_for_status()
            assert reply.content == report
            assert reply.headers["content-type"] == "text/html; charset=utf-8"
            assert reply.headers["cache-control"] == "no-cache"
            assert reply.headers["x-content-type-options"] == "nosniff"
            assert reply.headers.get_list("content-security-policy") == [
                "default-src 'none'; style-src 'unsafe-inline'; img-src data:; base-uri 'none'; "
                "form-action 'none'; frame-ancestors 'none'; sandbox"
            ]
            head = server.head(f"{path}")
            assert (head.status_code, head.content) == (200, b"")
            assert head.headers["content-length"] == str(len(report))


def test_a_browser_runs_nothing_in_a_report(
    folder: Path, running: Server, browser: Browser
) -> None:
    hostile = """<meta http-equiv="refresh" content="0;url=/models"><title>report</title>
    <script>document.title = "run"</script><body onload="document.title = 'loaded'">
    <img src="/metrics" onerror="document.title = 'failed'"><iframe src="/models"></iframe>"""
    content = report_of(version(folder, "bigram")) + hostile.encode()
    (folder / "report.html").write_bytes(content)
    assert comes_true(serves(running, "bigram", content))
    page = browser.new_page()
    urls: list[str] = []
    page.on("requestfinished", lambda request: urls.append(request.url))
    page.goto(f"{running.url}/models/bigram/report")
    page.wait_for_timeout(1000)
    assert urls == [f"{running.url}/models/bigram/report"]
    assert page.title() == "report"
    page.close()


def test_the_error_for_a_missing_report_names_the_option(running: Server) -> None:
    assert report_paths(running) == dict.fromkeys(MODELS)
    details = problem(get_report(running, "positional"), 404)
    assert details["detail"] == NO_REPORT
    assert "errors" not in details


def test_an_unknown_model_has_no_report(running: Server) -> None:
    for name in ("unknown", "%FF", "..%2F..%2Fetc"):
        problem(get_report(running, name), 404)
    assert problem(get_report(running, "unknown"), 404)["errors"]


def test_a_report_of_other_checkpoints_is_not_returned(running: Server, folder: Path) -> None:
    content = report_of("0123456789ab", version(folder, "bigram"))
    write_atomically(folder / "report.html", content)
    assert comes_true(serves(running, "bigram", content))
    assert problem(get_report(running, "positional"), 404)["detail"] == NO_REPORT
    assert report_paths(running) == {"bigram": "/models/bigram/report", "positional": None}


def test_a_report_is_added_replaced_and_removed_while_the_service_runs(
    running: Server, folder: Path, report: bytes
) -> None:
    path = folder / "report.html"
    for content in (report, report.replace(b"Models of", b"Models made of")):
        write_atomically(path, content)
        assert comes_true(serves(running, "positional", content))
    path.unlink()
    assert comes_true(lacks(running, "positional"))
    assert (loaded(running), failed(running)) == (0, 0)
    assert running.log.count("serving positional") == 1
    assert "report" not in running.get("/readyz").text


def test_a_report_of_the_previous_checkpoint_is_not_returned(
    running: Server, folder: Path, report: bytes
) -> None:
    write_atomically(folder / "report.html", report)
    assert comes_true(serves(running, "positional", report))
    path = folder / "positional.safetensors"
    old, (new,) = path.read_bytes(), versions(path.read_bytes(), 1)
    write_atomically(path, new)
    assert comes_true(lacks(running, "positional"))
    assert get_report(running, "bigram").content == report
    write_atomically(path, b"invalid")  # the previous checkpoint remains in service
    assert comes_true(lambda: failed(running) == 1)
    assert get_report(running, "positional").status_code == 404
    write_atomically(path, old)
    assert comes_true(serves(running, "positional", report))


def test_a_model_whose_new_checkpoint_is_invalid_keeps_its_report(
    running: Server, folder: Path, report: bytes
) -> None:
    write_atomically(folder / "report.html", report)
    write_atomically(folder / "positional.safetensors", b"invalid")
    assert comes_true(lambda: failed(running) == 1)
    assert comes_true(serves(running, "positional", report))


def too_long(path: Path, content: bytes) -> None:
    path.write_bytes(content.ljust(2**24 + 1))


def not_utf8(path: Path, content: bytes) -> None:
    path.write_bytes(content + b"\xff")


def without_checkpoints(path: Path, content: bytes) -> None:
    path.write_bytes(content.replace(b"moniker-checkpoints", b"description"))


def empty(path: Path, content: bytes) -> None:
    path.write_bytes(b"")


def a_folder(path: Path, content: bytes) -> None:
    path.mkdir()


def a_pipe(path: Path, content: bytes) -> None:
    os.mkfifo(path)


def a_link_to_itself(path: Path, content: bytes) -> None:
    path.symlink_to(path)


@pytest.mark.parametrize(
    "make",
    [
        too_long,
        a_pipe,
        *(
            pytest.param(make, marks=pytest.mark.slow)
            for make in (not_utf8, without_checkpoints, empty, a_folder, a_link_to_itself)
        ),
    ],
    ids=lambda make: make.__name__,
)
def test_an_invalid_report_is_ignored(
    folder: Path, report: bytes, make: Callable[[Path, bytes], None]
) -> None:
    path = folder / "report.html"
    make(path, report)
    with Server(MONIKER_CHECKPOINTS=str(folder)) as server:
        assert server.get("/readyz").json() == {"status": "ready"}
        assert report_paths(server) == dict.fromkeys(MODELS)
        assert get_report(server, "positional").status_code == 404
        assert server.get("/sample").status_code == 200
        path.rmdir() if path.is_dir() else path.unlink()
        write_atomically(path, report)
        assert comes_true(serves(server, "positional", report))
        assert '"level":"error"' not in server.log


def test_a_report_of_maximum_size_is_returned(folder: Path, report: bytes) -> None:
    content = report.ljust(2**24)
    (folder / "report.html").write_bytes(content)
    with Server(MONIKER_CHECKPOINTS=str(folder)) as server:
        assert get_report(server, "positional").content == content


def test_new_checkpoints_are_served_with_their_report(running: Server, folder: Path) -> None:
    (folder / "names.txt").write_text("\n".join([*TEN, "kim"]))
    arguments = ["--data", str(folder / "names.txt"), "--models", ",".join(MODELS)]
    assert train([*arguments, "--evaluate", "--out", str(folder)]) == 0
    content = (folder / "report.html").read_bytes()
    for name in MODELS:
        assert comes_true(serves(running, name, content))
        checkpoint = running.get(f"/models/{name}").json()["checkpoint"]
        assert checkpoint == version(folder, name)
        (title,) = Hypertext(get_report(running, name).text).all("h1")
        assert title.text == "Models of names.txt"


@pytest.mark.slow
def test_every_worker_returns_the_report(folder: Path, report: bytes) -> None:
    settings = {"MONIKER_CHECKPOINTS": str(folder), "MONIKER_WORKERS": "2"}
    with Server(**settings) as server:

        def statuses() -> list[int]:
            return [get_report(server, "positional").status_code for _ in range(10)]

        write_atomically(folder / "report.html", report)
        assert comes_true(lambda: statuses() == [200] * 10)


def test_a_report_requires_an_api_key(folder: Path, report: bytes) -> None:
    (folder / "report.html").write_bytes(report)
    settings = {"MONIKER_CHECKPOINTS": str(folder), "MONIKER_API_KEYS": "a-key-7531"}
    with Server(**settings) as server:
        problem(get_report(server, "positional"), 401)
        headers = {"Authorization": "Bearer a-key-7531"}
        reply = server.get("/models/positional/report", headers=headers)
        assert reply.content == report
