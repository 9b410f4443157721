"""Several processes serve at one address; if one dies, the others do not notice."""

import json
import os
import shutil
import signal
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest

from tests.support.http.server import PATIENCE, Server, run_service
from tests.support.http.wire import counted, until

REQUESTS = 'moniker_request_duration_seconds_count{method="GET",route="/sample",status="200"}'


def service(folder: Path) -> Server:
    settings = {"MONIKER_WORKERS": "2", "MONIKER_DRAIN_SECONDS": "0"}
    return Server(MONIKER_CHECKPOINTS=str(folder), **settings)


@pytest.fixture
def folder(one_model: Path, tmp_path: Path) -> Path:
    """A good checkpoint to spoil."""
    return Path(shutil.copytree(one_model, tmp_path / "checkpoints"))


@pytest.fixture
def server(folder: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Server]:
    """A service of two processes that keeps what they share where it is seen."""
    (tmp_path / "shared").mkdir()
    monkeypatch.setenv("TMPDIR", str(tmp_path / "shared"))
    monkeypatch.setattr(tempfile, "tempdir", None)
    with service(folder) as running:
        until(lambda: len(workers(running)) == 2)
        yield running


def workers(server: Server) -> set[int]:
    """The processes that have begun to answer and have not ended."""
    whole, _, _ = server.log.rpartition("\n")  # another line may be half written
    lines = [json.loads(line) for line in whole.splitlines() if line.startswith("{")]
    begun = {line["pid"] for line in lines if "running on" in line["message"]}
    return {process for process in begun if is_alive(process)}


def is_alive(process: int) -> bool:
    try:
        status = (Path("/proc") / str(process) / "stat").read_text()
    except OSError:
        return False
    return status.rpartition(")")[2].split()[0] != "Z"


def until_dead(process: int) -> None:
    until(lambda: not is_alive(process))


def ask(server: Server) -> int:
    return server.get("/sample").status_code


def test_the_counts_of_all_are_told_by_each_and_outlive_them(server: Server) -> None:
    for count in range(1, 21):
        assert ask(server) == 200
        until(lambda count=count: counted(server, REQUESTS) == count)  # type: ignore[misc]
    os.kill(min(workers(server)), signal.SIGKILL)
    until(lambda: len(workers(server)) == 2)
    for _ in range(10):
        assert counted(server, REQUESTS) == 20
        until(lambda: counted(server, "moniker_requests_in_flight") == 1)


def test_one_that_dies_is_replaced_though_the_files_are_spoiled(
    server: Server, folder: Path
) -> None:
    version = server.get("/sample").json()["checkpoint"]
    (folder / "positional.safetensors").write_bytes(b"foreign" * 100)
    for _ in range(2):  # in the end none is left that has loaded the good file
        dead = min(workers(server))
        os.kill(dead, signal.SIGKILL)
        until_dead(dead)
        until(lambda: ask(server) == 200 and len(workers(server)) == 2)
    for _ in range(10):
        assert server.get("/sample").json()["checkpoint"] == version
    assert "positional.safetensors" in server.get("/readyz").text


@pytest.mark.slow
def test_all_may_die_at_once(server: Server) -> None:
    for process in workers(server):
        os.kill(process, signal.SIGKILL)
    until(lambda: len(workers(server)) == 2)
    assert ask(server) == 200


@pytest.mark.parametrize(
    "sig", [signal.SIGTERM, pytest.param(signal.SIGINT, marks=pytest.mark.slow)]
)
def test_a_stop_leaves_nothing_behind(server: Server, sig: int, tmp_path: Path) -> None:
    assert list((tmp_path / "shared").glob("moniker-*"))
    server.process.send_signal(sig)
    assert server.process.wait(PATIENCE) == 0
    assert not workers(server)
    assert not list((tmp_path / "shared").glob("moniker-*"))
    assert "Traceback" not in server.log


def test_without_a_parent_they_end(server: Server) -> None:
    server.process.kill()
    until(lambda: not workers(server))


def test_without_any_model_none_is_replaced(tmp_path: Path) -> None:
    stopped = run_service(MONIKER_CHECKPOINTS=str(tmp_path), MONIKER_WORKERS="2")
    assert stopped.returncode == 3
    assert f"{tmp_path}/positional.safetensors: No such file" in stopped.stderr
    assert "Traceback" not in stopped.stderr


@pytest.mark.slow
def test_a_signal_to_all_of_them_stops_them_in_order(server: Server) -> None:
    """As systemd sends it: each gets one of its own, and then that of the parent."""
    for process in (*workers(server), server.process.pid):
        os.kill(process, signal.SIGTERM)
    assert server.process.wait(PATIENCE) == 0
    assert server.log.count("Finished server process") == 2


def test_a_second_signal_ends_all_at_once(folder: Path) -> None:
    settings = {"MONIKER_WORKERS": "2", "MONIKER_DRAIN_SECONDS": "60"}
    with Server(MONIKER_CHECKPOINTS=str(folder), **settings) as server:
        until(lambda: len(workers(server)) == 2)
        processes = workers(server)
        server.process.terminate()
        until(lambda: server.log.count("leaving") == 2)
        server.process.terminate()
        assert server.process.wait(PATIENCE) == 128 + signal.SIGTERM
        for process in processes:
            until_dead(process)


@pytest.mark.slow
def test_one_is_replaced_though_what_they_share_was_swept_away(
    server: Server, tmp_path: Path
) -> None:
    (shared,) = (tmp_path / "shared").glob("moniker-*")
    shutil.rmtree(shared)
    dead = min(workers(server))
    os.kill(dead, signal.SIGKILL)
    until_dead(dead)
    until(lambda: ask(server) == 200 and len(workers(server)) == 2)


@contextmanager
def load(server: Server, clients: int = 4) -> Iterator[Counter[object]]:
    """Ask for names over new connections until the block ends; yields what came of it."""
    came, over = Counter[object](), threading.Event()

    def ask_again() -> None:
        while not over.is_set():
            try:
                came[server.get("/sample", timeout=5).status_code] += 1
            except httpx.HTTPError as error:
                came[type(error)] += 1

    threads = [threading.Thread(target=ask_again) for _ in range(clients)]
    for thread in threads:
        thread.start()
    try:
        yield came
    finally:
        over.set()
        for thread in threads:
            thread.join()


def test_one_that_hangs_is_replaced_and_nobody_else_notices(server: Server) -> None:
    with load(server) as came:
        until(lambda: came[200] > 50)
        hung = min(workers(server))
        os.kill(hung, signal.SIGSTOP)
        until_dead(hung)
        until(lambda: len(workers(server)) == 2)
        before = came[200]
        until(lambda: came[200] > before + 50)
    assert f"worker {hung} does not react, killed" in server.log
    # Each client may have had a request with the one that hung.
    del came[200]
    assert sum(came.values()) <= 4


@pytest.mark.slow
def test_one_that_works_for_long_is_not_taken_for_hung(server: Server) -> None:
    """SIGSTOP for less than the limit, again and again."""
    slow = min(workers(server))
    for _ in range(4):
        os.kill(slow, signal.SIGSTOP)
        time.sleep(3)
        os.kill(slow, signal.SIGCONT)
        time.sleep(2)
    assert "killed" not in server.log


def children(server: Server) -> set[int]:
    """The processes that have been started to serve and have not ended, ready or not."""
    pid = server.process.pid
    found = map(int, Path(f"/proc/{pid}/task/{pid}/children").read_text().split())
    return {one for one in found if b"spawn_main" in Path(f"/proc/{one}/cmdline").read_bytes()}


def test_sigterm_in_the_pause_before_a_replacement_ends_all_in_order(server: Server) -> None:
    served = workers(server)
    os.kill(min(served), signal.SIGKILL)
    until(lambda: children(server) - served)
    (starting,) = children(server) - served
    os.kill(starting, signal.SIGKILL)  # it has never served
    until(lambda: f"worker {starting} ended" in server.log)
    server.process.terminate()
    assert server.process.wait(PATIENCE) == 0
    assert "Traceback" not in server.log
    assert server.log.count("Started server process") == 2


def test_counts_are_kept_in_no_more_files_than_there_are_workers(
    server: Server, tmp_path: Path
) -> None:
    (shared,) = (tmp_path / "shared").glob("moniker-*")
    for count in range(1, 4):
        assert ask(server) == 200
        until(lambda count=count: counted(server, REQUESTS) == count)  # type: ignore[misc]
        os.kill(min(workers(server)), signal.SIGKILL)
        until(lambda: len(workers(server)) == 2)
    assert counted(server, REQUESTS) == 3
    counters = {path.stem.rpartition("_")[2] for path in (shared / "metrics").iterdir()}
    assert counters <= {"0", "1"}


def test_sighup_replaces_all_one_by_one_and_loses_no_request(server: Server) -> None:
    before = workers(server)
    with load(server) as came:
        server.process.send_signal(signal.SIGHUP)
        until(lambda: not workers(server) & before and len(workers(server)) == 2)
        until(lambda: server.log.count("Finished server process") == 2)
    assert set(came) == {200}
    assert "ended with status" not in server.log


def test_sighup_takes_new_keys_from_their_file(folder: Path, tmp_path: Path) -> None:
    keys = tmp_path / "keys"
    keys.write_text("one\n")
    settings = {"MONIKER_WORKERS": "2", "MONIKER_API_KEYS_FILE": str(keys)}
    with Server(MONIKER_CHECKPOINTS=str(folder), **settings) as server:
        until(lambda: len(workers(server)) == 2)
        keys.write_text("")
        server.process.send_signal(signal.SIGHUP)
        until(lambda: "not restarted: MONIKER_API_KEYS_FILE: there is no key" in server.log)
        keys.write_text("two\n")
        server.process.send_signal(signal.SIGHUP)
        until(lambda: server.log.count("Finished server process") == 2)
        for key, status in (("one", 401), ("two", 200)):
            headers = {"Authorization": f"Bearer {key}"}
            assert server.get("/sample", headers=headers).status_code == status
