"""The start of the service: settings, sockets, checkpoints, and one line for each failure."""

import os
import re
import shlex
import shutil
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import product
from pathlib import Path

import pytest

import models
from service.settings import Settings
from tests.support.http.server import PATIENCE, Server, environment, run_service
from tests.support.http.wire import until


@pytest.fixture
def folder(small_checkpoints: Path, tmp_path: Path) -> Path:
    """A copy of valid checkpoints."""
    copy = tmp_path / "checkpoints"
    shutil.copytree(small_checkpoints, copy)
    return copy


def truncate(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-10])


def overwrite(path: Path) -> None:
    path.write_bytes(b"foreign" * 100)


def replace_by_pipe(path: Path) -> None:
    path.unlink()
    os.mkfifo(path)


damaged_in_each_way = pytest.mark.parametrize(
    ("damage", "reason"),
    [
        pytest.param(Path.unlink, "No such file or directory", id="missing"),
        pytest.param(truncate, "not a complete safetensors file", id="truncated"),
        pytest.param(
            overwrite, "not a complete safetensors file", id="foreign", marks=pytest.mark.slow
        ),
        pytest.param(replace_by_pipe, "not a regular file", id="pipe", marks=pytest.mark.slow),
    ],
)


@damaged_in_each_way
def test_a_service_without_any_model_stops_and_names_the_file(
    folder: Path, damage: Callable[[Path], None], reason: str
) -> None:
    for path in folder.iterdir():
        if path.stem != "positional":
            path.unlink()
    damage(folder / "positional.safetensors")
    ended = run_service(MONIKER_CHECKPOINTS=str(folder))
    assert ended.returncode == 3
    assert "Traceback" not in ended.stderr
    (line,) = [line for line in ended.stderr.splitlines() if str(folder) in line]
    assert f"there is no model to serve: {folder}/positional.safetensors: {reason}" in line
    assert "python -m training" in line


@damaged_in_each_way
def test_a_service_without_its_default_model_runs_but_is_not_ready(
    folder: Path, damage: Callable[[Path], None], reason: str
) -> None:
    damage(folder / "positional.safetensors")
    with Server(MONIKER_CHECKPOINTS=str(folder)) as server:
        assert f"{folder}/positional.safetensors: {reason}" in server.log
        ready = server.get("/readyz")
        assert ready.status_code == 503
        assert f"positional.safetensors: {reason}" in ready.json()["detail"]
        assert server.get("/healthz").status_code == 200
        assert server.get("/sample?model=bigram").status_code == 200
        assert server.get("/sample").status_code == 503
        assert server.get("/models/positional").status_code == 503


def test_a_missing_folder_is_named(tmp_path: Path) -> None:
    ended = run_service(MONIKER_CHECKPOINTS=str(tmp_path / "none"))
    assert ended.returncode == 3
    assert f"{tmp_path}/none/positional.safetensors: No such file or directory" in ended.stderr
    assert "Traceback" not in ended.stderr


def test_the_default_model_can_have_any_file_name(folder: Path) -> None:
    (folder / "bigram.safetensors").rename(folder / "two.letters.safetensors")
    with Server(MONIKER_CHECKPOINTS=str(folder), MONIKER_DEFAULT_MODEL="two.letters") as server:
        reply = server.get("/sample").json()
        assert reply["model"] == "two.letters"
        info = server.get("/models/two.letters").json()
        assert info["architecture"] == "bigram"


def test_a_file_name_that_is_invalid_in_a_path_is_refused(folder: Path) -> None:
    (folder / "bigram.safetensors").rename(folder / "zwei buchstaben.safetensors")
    with Server(MONIKER_CHECKPOINTS=str(folder)) as server:
        assert "a model name may contain" in server.get("/readyz").json()["detail"]


@pytest.mark.parametrize(
    ("variable", "value", "reason"),
    [
        ("MONIKER_PORT", "http", "Input should be a valid integer"),
        ("MONIKER_PORT", "65536", "less than or equal to 65535"),
        ("MONIKER_DEFAULT_MODEL", "../positional", "should match pattern"),
        ("MONIKER_PROT", "80", "there is no such setting"),
    ],
)
def test_an_invalid_setting_stops_the_service_and_is_named(
    variable: str, value: str, reason: str
) -> None:
    ended = run_service(**{variable: value})
    assert ended.returncode == 2
    assert ended.stderr.startswith(f"error: {variable}: ")
    assert reason in ended.stderr
    assert ended.stderr.count("\n") == 1


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("missing", "No such file"),
        ("latin", "not UTF-8"),
        pytest.param(".", "not a regular file", marks=pytest.mark.slow),
        pytest.param("pipe", "not a regular file", marks=pytest.mark.slow),
        pytest.param("long", "more than 65,536 states", marks=pytest.mark.slow),
    ],
)
def test_an_invalid_blocklist_stops_the_service(
    small_checkpoints: Path, tmp_path: Path, name: str, reason: str
) -> None:
    (tmp_path / "latin").write_bytes("zoë".encode("latin-1"))
    words = ["".join(letters) for letters in product("abcdefghijklmnopq", repeat=4)]
    (tmp_path / "long").write_text("\n".join(words))
    os.mkfifo(tmp_path / "pipe")
    path = tmp_path / name
    ended = run_service(MONIKER_CHECKPOINTS=str(small_checkpoints), MONIKER_BLOCKLIST=str(path))
    assert ended.returncode == 3
    assert "MONIKER_BLOCKLIST: " in ended.stderr
    assert reason in ended.stderr
    assert "Traceback" not in ended.stderr


def test_a_blocklist_that_leaves_no_name_is_logged(small_checkpoints: Path, tmp_path: Path) -> None:
    path = tmp_path / "letters"
    path.write_text("\n".join("abcdefghijklmnopqrstuvwxyz"))
    settings = {"MONIKER_CHECKPOINTS": str(small_checkpoints), "MONIKER_BLOCKLIST": str(path)}
    with Server(**settings) as server:
        assert "the blocklist excludes all names of model positional" in server.log
        assert server.get("/sample").status_code == 422
        assert server.get("/score?name=emma").status_code == 200


def test_arguments_are_refused() -> None:
    command = [sys.executable, "-m", "service", "--port", "9999"]
    ended = subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE, check=False)
    assert ended.returncode == 2
    assert "MONIKER_* variables" in ended.stderr


@pytest.mark.parametrize("argument", ["--help", "--version"])
def test_the_help_lists_every_setting_and_the_version_is_printed(argument: str) -> None:
    command = [sys.executable, "-m", "service", argument]
    output = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    if argument == "--version":
        assert output == f"moniker {models.__version__}\n"
        return
    assert output.startswith("usage: ")
    for name, field in Settings.model_fields.items():
        assert re.search(rf"^  MONIKER_{name.upper()} .*", output, re.MULTILINE), name
        assert str(field.description) in output


def test_a_port_in_use_is_reported_without_a_traceback(
    server: Server, small_checkpoints: Path
) -> None:
    port = server.url.rpartition(":")[2]
    ended = run_service(MONIKER_CHECKPOINTS=str(small_checkpoints), MONIKER_PORT=port)
    assert ended.returncode == 3
    assert "Address already in use" in ended.stderr
    assert "Traceback" not in ended.stderr


def test_all_invalid_settings_are_named_at_once() -> None:
    ended = run_service(
        MONIKER_PORT="80a", MONIKER_PROT="80", MONIKER_WORKERS="0", MONIKER_host="a"
    )
    assert ended.returncode == 2
    lines = ended.stderr.splitlines()
    for variable in ("MONIKER_PORT", "MONIKER_PROT", "MONIKER_WORKERS", "MONIKER_host"):
        assert any(line.startswith(f"error: {variable}: ") for line in lines), variable
    assert all(line.startswith("error: MONIKER_") for line in lines)


@contextmanager
def at_unix_socket(folder: Path, path: Path, **settings: str) -> Iterator[Path]:
    """Run the service at a Unix socket, and yield the path of its log."""
    variables = environment(
        MONIKER_CHECKPOINTS=str(folder),
        MONIKER_HOST=f"unix:{path}",
        MONIKER_LOG_FORMAT="text",
        **settings,
    )
    log = path.with_suffix(".log")
    with log.open("w") as file:
        process = subprocess.Popen([sys.executable, "-m", "service"], env=variables, stderr=file)
    try:
        until(lambda: f"running on unix:{path}" in log.read_text() or process.poll() is not None)
        assert process.poll() is None, log.read_text()
        yield log
    finally:
        process.terminate()
        status = process.wait(PATIENCE)
    assert status == 0


@pytest.mark.parametrize("workers", ["1", "2"])
def test_the_service_listens_on_a_unix_socket(
    small_checkpoints: Path, tmp_path: Path, workers: str
) -> None:
    path = tmp_path / "a socket"
    with socket.socket(socket.AF_UNIX) as stale:
        stale.bind(str(path))  # no process listens on it
    with at_unix_socket(small_checkpoints, path, MONIKER_WORKERS=workers) as log:
        commands = [f"curl --unix-socket {shlex.quote(str(path))} 'http://localhost/sample?n=5'"]
        if workers == "1":
            until(lambda: log.read_text().count("try: ") == 2)
            commands = [line.partition("try: ")[2] for line in log.read_text().splitlines()[-2:]]
        for command in commands:
            curl = [*shlex.split(command), "-sS", "--fail"]
            assert b"model" in subprocess.run(curl, capture_output=True, check=True).stdout
        ended = run_service(MONIKER_HOST=f"unix:{path}")
        assert (ended.returncode, ended.stderr) == (3, f"error: {path}: Address already in use\n")
    assert not path.exists()


@pytest.mark.parametrize("name", ["", "file", "long" * 50, "none/socket"])
def test_a_path_that_cannot_be_a_socket_is_refused(tmp_path: Path, name: str) -> None:
    (tmp_path / "file").write_text("precious")
    ended = run_service(MONIKER_HOST=f"unix:{tmp_path / name}")
    assert ended.returncode == 3
    assert ended.stderr.startswith(f"error: {tmp_path / name}: ")
    assert ended.stderr.count("\n") == 1
    assert (tmp_path / "file").read_text() == "precious"
