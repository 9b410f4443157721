"""Several processes at one address: replacement of dead and hung ones, signals, metrics."""

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
    """A copy of a valid checkpoint."""
    return Path(shutil.copytree(one_model, tmp_path / "checkpoints"))


@pytest.fixture
def server(folder: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Server]:
    """A service of two processes, with its shared folder in `tmp_path`."""
    (tmp_path / "shared").mkdir()
    monkeypatch.setenv("TMPDIR", str(tmp_path / "shared"))
    monkeypatch.setattr(tempfile, "tempdir", None)
    with service(folder) as running:
        until(lambda: len(workers(running)) == 2)
        yield running


def workers(server: Server) -> set[int]:
    """The processes that have begun to serve and have not ended."""
    complete, _, _ = server.log.rpartition("\n")  # the last line may be incomplete
    lines = [json.loads(line) for line in complete.splitlines() if line.startswith("{")]
    started = {line["pid"] for line in lines if "running on" in line["message"]}
    return {process for process in started if is_alive(process)}


def is_alive(process: int) -> bool:
    try:
        status = (Path("/proc") / str(process) / "stat").read_text()
    except OSError:
        return False
    return status.rpartition(")")[2].split()[0] != "Z"


def until_dead(process: int) -> None:
    until(lambda: not is_alive(process))


def sample_status(server: Server) -> int:
    return server.get("/sample").status_code


def test_each_process_reports_the_counts_of_all_even_of_ended_ones(server: Server) -> None:
    for count in range(1, 21):
        assert sample_status(server) == 200
        until(lambda count=count: counted(server, REQUESTS) == count)  # type: ignore[misc]
    os.kill(min(workers(server)), signal.SIGKILL)
    until(lambda: len(workers(server)) == 2)
    for _ in range(10):
        assert counted(server, REQUESTS) == 20
        until(lambda: counted(server, "moniker_requests_in_flight") == 1)


def test_a_dead_process_is_replaced_even_if_the_files_are_damaged(
    server: Server, folder: Path
) -> None:
    version = server.get("/sample").json()["checkpoint"]
    (folder / "positional.safetensors").write_bytes(b"foreign" * 100)
    for _ in range(2):  # then no process is left that has loaded the valid file
        dead = min(workers(server))
        os.kill(dead, signal.SIGKILL)
        until_dead(dead)
        until(lambda: sample_status(server) == 200 and len(workers(server)) == 2)
    for _ in range(10):
        assert server.get("/sample").json()["checkpoint"] == version
    assert "positional.safetensors" in server.get("/readyz").text


@pytest.mark.slow
def test_all_processes_are_replaced_if_they_die_together(server: Server) -> None:
    for process in workers(server):
        os.kill(process, signal.SIGKILL)
    until(lambda: len(workers(server)) == 2)
    assert sample_status(server) == 200


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


def test_workers_end_with_their_parent(server: Server) -> None:
    server.process.kill()
    until(lambda: not workers(server))


def test_no_process_is_replaced_if_there_is_no_model(tmp_path: Path) -> None:
    stopped = run_service(MONIKER_CHECKPOINTS=str(tmp_path), MONIKER_WORKERS="2")
    assert stopped.returncode == 3
    assert f"{tmp_path}/positional.safetensors: No such file" in stopped.stderr
    assert "Traceback" not in stopped.stderr


@pytest.mark.slow
def test_a_signal_to_all_processes_stops_them_gracefully(server: Server) -> None:
    """systemd sends it: each process gets its own signal and that of its parent."""
    for process in (*workers(server), server.process.pid):
        os.kill(process, signal.SIGTERM)
    assert server.process.wait(PATIENCE) == 0
    assert server.log.count("Finished server process") == 2


def test_a_second_signal_kills_all_processes(folder: Path) -> None:
    settings = {"MONIKER_WORKERS": "2", "MONIKER_DRAIN_SECONDS": "60"}
    with Server(MONIKER_CHECKPOINTS=str(folder), **settings) as server:
        until(lambda: len(workers(server)) == 2)
        processes = workers(server)
        server.process.terminate()
        until(lambda: server.log.count("draining for") == 2)
        server.process.terminate()
        assert server.process.wait(PATIENCE) == 128 + signal.SIGTERM
        for process in processes:
            until_dead(process)


@pytest.mark.slow
def test_a_process_is_replaced_even_if_the_shared_folder_was_removed(
    server: Server, tmp_path: Path
) -> None:
    (shared,) = (tmp_path / "shared").glob("moniker-*")
    shutil.rmtree(shared)
    dead = min(workers(server))
    os.kill(dead, signal.SIGKILL)
    until_dead(dead)
    until(lambda: sample_status(server) == 200 and len(workers(server)) == 2)


@contextmanager
def load(server: Server, clients: int = 4) -> Iterator[Counter[object]]:
    """Send requests over new connections until the block ends; yield the counts of outcomes."""
    outcomes, over = Counter[object](), threading.Event()

    def run() -> None:
        while not over.is_set():
            try:
                outcomes[server.get("/sample", timeout=5).status_code] += 1
            except httpx.HTTPError as error:
                outcomes[type(error)] += 1

    threads = [threading.Thread(target=run) for _ in range(clients)]
    for thread in threads:
        thread.start()
    try:
        yield outcomes
    finally:
        over.set()
        for thread in threads:
            thread.join()


@pytest.mark.slow
def test_a_hung_process_is_replaced_and_the_others_serve_on(server: Server) -> None:
    with load(server) as outcomes:
        until(lambda: outcomes[200] > 50)
        hung = min(workers(server))
        os.kill(hung, signal.SIGSTOP)
        until_dead(hung)
        until(lambda: len(workers(server)) == 2)
        before = outcomes[200]
        until(lambda: outcomes[200] > before + 50)
    assert f"worker {hung} does not respond, killed" in server.log
    # Each client may have had a request at the hung process.
    del outcomes[200]
    assert sum(outcomes.values()) <= 4


@pytest.mark.slow
def test_a_slow_process_is_not_killed(server: Server) -> None:
    """It is stopped repeatedly for less than the limit."""
    slow = min(workers(server))
    for _ in range(4):
        os.kill(slow, signal.SIGSTOP)
        time.sleep(3)
        os.kill(slow, signal.SIGCONT)
        time.sleep(2)
    assert "killed" not in server.log


def children(server: Server) -> set[int]:
    """The workers that have started and have not ended, ready or not."""
    pid = server.process.pid
    processes = map(int, Path(f"/proc/{pid}/task/{pid}/children").read_text().split())
    return {
        process
        for process in processes
        if b"spawn_main" in Path(f"/proc/{process}/cmdline").read_bytes()
    }


@pytest.mark.slow
def test_sigterm_before_a_delayed_restart_stops_all_processes_gracefully(server: Server) -> None:
    serving = workers(server)
    os.kill(min(serving), signal.SIGKILL)
    until(lambda: children(server) - serving)
    (starting,) = children(server) - serving
    os.kill(starting, signal.SIGKILL)  # before it serves
    until(lambda: f"worker {starting} ended" in server.log)
    server.process.terminate()
    assert server.process.wait(PATIENCE) == 0
    assert "Traceback" not in server.log
    assert server.log.count("Started server process") == 2


@pytest.mark.slow
def test_there_are_no_more_files_of_counts_than_workers(server: Server, tmp_path: Path) -> None:
    (shared,) = (tmp_path / "shared").glob("moniker-*")
    for count in range(1, 4):
        assert sample_status(server) == 200
        until(lambda count=count: counted(server, REQUESTS) == count)  # type: ignore[misc]
        os.kill(min(workers(server)), signal.SIGKILL)
        until(lambda: len(workers(server)) == 2)
    assert counted(server, REQUESTS) == 3
    counters = {path.stem.rpartition("_")[2] for path in (shared / "metrics").iterdir()}
    assert counters <= {"0", "1"}


def test_sighup_replaces_all_processes_and_loses_no_request(server: Server) -> None:
    before = workers(server)
    with load(server) as outcomes:
        server.process.send_signal(signal.SIGHUP)
        until(lambda: not workers(server) & before and len(workers(server)) == 2)
        until(lambda: server.log.count("Finished server process") == 2)
    assert set(outcomes) == {200}
    assert "ended with status" not in server.log


@pytest.mark.slow
def test_sighup_reads_new_keys_from_their_file(folder: Path, tmp_path: Path) -> None:
    keys = tmp_path / "keys"
    keys.write_text("one\n")
    settings = {"MONIKER_WORKERS": "2", "MONIKER_API_KEYS_FILE": str(keys)}
    with Server(MONIKER_CHECKPOINTS=str(folder), **settings) as server:
        until(lambda: len(workers(server)) == 2)
        keys.write_text("")
        server.process.send_signal(signal.SIGHUP)
        until(lambda: "workers not replaced: MONIKER_API_KEYS_FILE: it has no key" in server.log)
        keys.write_text("two\n")
        server.process.send_signal(signal.SIGHUP)
        until(lambda: server.log.count("Finished server process") == 2)
        for key, status in (("one", 401), ("two", 200)):
            headers = {"Authorization": f"Bearer {key}"}
            assert server.get("/sample", headers=headers).status_code == status
