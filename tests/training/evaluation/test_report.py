"""The report of a training over HTTP, for the models that it tells of."""

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
NONE = "There is no report of this model; train it with --evaluate."


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Small checkpoints, evaluated."""
    folder = tmp_path_factory.mktemp("trained")
    (folder / "names.txt").write_text("\n".join(TEN))
    given = ["--data", str(folder / "names.txt"), "--models", ",".join(MODELS)]
    assert train([*given, "--evaluate", "--out", str(folder)]) == 0
    return folder


@pytest.fixture
def folder(trained: Path, tmp_path: Path) -> Path:
    """A folder of checkpoints to change, without their report."""
    copy = tmp_path / "checkpoints"
    copy.mkdir()
    for name in MODELS:
        shutil.copy(trained / f"{name}.safetensors", copy)
    return copy


@pytest.fixture
def running(folder: Path) -> Iterator[Server]:
    """A service of this folder."""
    with Server(MONIKER_CHECKPOINTS=str(folder)) as server:
        yield server


@pytest.fixture
def report(trained: Path) -> bytes:
    """The report as the training has written it."""
    return (trained / "report.html").read_bytes()


def version(folder: Path, name: str) -> str:
    return load((folder / f"{name}.safetensors").read_bytes()).version


def telling_of(*checkpoints: str) -> bytes:
    told = " ".join(checkpoints)
    return f'<!doctype html>\n<meta name="moniker-checkpoints" content="{told}">Zoë'.encode()


def asked(server: Server, name: str) -> httpx.Response:
    return server.get(f"/models/{name}/report")


def serves(server: Server, name: str, content: bytes) -> Callable[[], bool]:
    return lambda: asked(server, name).content == content


def lacks(server: Server, name: str) -> Callable[[], bool]:
    return lambda: asked(server, name).status_code == 404


def reports(server: Server) -> dict[str, str | None]:
    """What /models tells of them."""
    models = server.get("/models").raise_for_status().json()["models"]
    for model in models:
        alone = server.get(f"/models/{model['name']}").json()
        assert alone["report"] == model["report"]
    return {model["name"]: model["report"] for model in models}


def test_a_report_is_served_as_it_was_written(folder: Path, report: bytes) -> None:
    (folder / "report.html").write_bytes(report)
    with Server(MONIKER_CHECKPOINTS=str(folder)) as server:
        assert reports(server) == {name: f"/models/{name}/report" for name in MODELS}
        for path in reports(server).values():
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


def test_whatever_a_report_holds_it_does_nothing(
    folder: Path, running: Server, browser: Browser
) -> None:
    hostile = """<meta http-equiv="refresh" content="0;url=/models"><title>report</title>
    <script>document.title = "run"</script><body onload="document.title = 'loaded'">
    <img src="/metrics" onerror="document.title = 'failed'"><iframe src="/models"></iframe>"""
    content = telling_of(version(folder, "bigram")) + hostile.encode()
    (folder / "report.html").write_bytes(content)
    assert comes_true(serves(running, "bigram", content))
    page = browser.new_page()
    went: list[str] = []
    page.on("requestfinished", lambda request: went.append(request.url))
    page.goto(f"{running.url}/models/bigram/report")
    page.wait_for_timeout(1000)
    assert went == [f"{running.url}/models/bigram/report"]
    assert page.title() == "report"
    page.close()


def test_a_model_without_a_report_says_how_to_come_by_one(running: Server) -> None:
    assert reports(running) == dict.fromkeys(MODELS)
    told = problem(asked(running, "positional"), 404)
    assert told["detail"] == NONE
    assert "errors" not in told


def test_a_model_that_there_is_not_has_no_report(running: Server) -> None:
    for name in ("nobody", "%FF", "..%2F..%2Fetc"):
        problem(asked(running, name), 404)
    assert problem(asked(running, "nobody"), 404)["errors"]


def test_a_report_that_tells_of_others_is_not_of_this_model(running: Server, folder: Path) -> None:
    content = telling_of("0123456789ab", version(folder, "bigram"))
    write_atomically(folder / "report.html", content)
    assert comes_true(serves(running, "bigram", content))
    assert problem(asked(running, "positional"), 404)["detail"] == NONE
    assert reports(running) == {"bigram": "/models/bigram/report", "positional": None}


def test_a_report_comes_goes_and_is_replaced_while_the_service_runs(
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


def test_a_report_of_the_checkpoint_before_is_stale(
    running: Server, folder: Path, report: bytes
) -> None:
    write_atomically(folder / "report.html", report)
    assert comes_true(serves(running, "positional", report))
    path = folder / "positional.safetensors"
    old, (new,) = path.read_bytes(), versions(path.read_bytes(), 1)
    write_atomically(path, new)
    assert comes_true(lacks(running, "positional"))
    assert asked(running, "bigram").content == report
    write_atomically(
        path, b"bad"
    )  # the one before stays in service, and so does what is known of it
    assert comes_true(lambda: failed(running) == 1)
    assert asked(running, "positional").status_code == 404
    write_atomically(path, old)
    assert comes_true(serves(running, "positional", report))


def test_a_checkpoint_that_goes_bad_keeps_its_report(
    running: Server, folder: Path, report: bytes
) -> None:
    write_atomically(folder / "report.html", report)
    write_atomically(folder / "positional.safetensors", b"bad")
    assert comes_true(lambda: failed(running) == 1)
    assert comes_true(serves(running, "positional", report))


def too_long(path: Path, content: bytes) -> None:
    path.write_bytes(content.ljust(2**24 + 1))


def not_utf8(path: Path, content: bytes) -> None:
    path.write_bytes(content + b"\xff")


def without_checkpoints(path: Path, content: bytes) -> None:
    path.write_bytes(content.replace(b"moniker-checkpoints", b"description"))


def nothing(path: Path, content: bytes) -> None:
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
            for make in (not_utf8, without_checkpoints, nothing, a_folder, a_link_to_itself)
        ),
    ],
    ids=lambda make: make.__name__,
)
def test_what_is_no_report_harms_nothing(
    folder: Path, report: bytes, make: Callable[[Path, bytes], None]
) -> None:
    path = folder / "report.html"
    make(path, report)
    with Server(MONIKER_CHECKPOINTS=str(folder)) as server:
        assert server.get("/readyz").json() == {"status": "ready"}
        assert reports(server) == dict.fromkeys(MODELS)
        assert asked(server, "positional").status_code == 404
        assert server.get("/sample").status_code == 200
        path.rmdir() if path.is_dir() else path.unlink()
        write_atomically(path, report)
        assert comes_true(serves(server, "positional", report))
        assert '"level":"error"' not in server.log


def test_the_longest_report_is_served(folder: Path, report: bytes) -> None:
    content = report.ljust(2**24)
    (folder / "report.html").write_bytes(content)
    with Server(MONIKER_CHECKPOINTS=str(folder)) as server:
        assert asked(server, "positional").content == content


def test_a_new_training_is_served_with_its_report(running: Server, folder: Path) -> None:
    (folder / "names.txt").write_text("\n".join([*TEN, "kim"]))
    given = ["--data", str(folder / "names.txt"), "--models", ",".join(MODELS)]
    assert train([*given, "--evaluate", "--out", str(folder)]) == 0
    written = (folder / "report.html").read_bytes()
    for name in MODELS:
        assert comes_true(serves(running, name, written))
        told = running.get(f"/models/{name}").json()["checkpoint"]
        assert told == version(folder, name)
        (title,) = Hypertext(asked(running, name).text).all("h1")
        assert title.text == "Models of names.txt"


def test_every_process_has_the_report(folder: Path, report: bytes) -> None:
    settings = {"MONIKER_CHECKPOINTS": str(folder), "MONIKER_WORKERS": "2"}
    with Server(**settings) as server:

        def of_ten() -> list[int]:
            return [asked(server, "positional").status_code for _ in range(10)]

        write_atomically(folder / "report.html", report)
        assert comes_true(lambda: of_ten() == [200] * 10)


def test_a_report_needs_the_key_like_everything_else(folder: Path, report: bytes) -> None:
    (folder / "report.html").write_bytes(report)
    settings = {"MONIKER_CHECKPOINTS": str(folder), "MONIKER_API_KEYS": "a-key-7531"}
    with Server(**settings) as server:
        problem(asked(server, "positional"), 401)
        headers = {"Authorization": "Bearer a-key-7531"}
        reply = server.get("/models/positional/report", headers=headers)
        assert reply.content == report
