"""Tests of the reloader: valid checkpoints enter service without a restart, invalid ones do not."""

import http.client
import json
import os
import random
import shutil
import signal
import threading
import time
from collections.abc import Callable, Iterator
from functools import cache, cached_property
from itertools import cycle, product
from pathlib import Path
from string import ascii_lowercase
from typing import Any

import numpy as np
import pytest

from models.checkpoint import load
from models.constraints.constraints import Constraints
from models.queries.next_character import next_character_distribution
from service.catalog.catalog import ServedModel
from tests.support.http.reloads import comes_true, failed, loaded, metric
from tests.support.http.server import PATIENCE, THRIFTY, Server
from tests.support.http.wire import counted, until
from tests.support.post import OF_THE_POST as MODELS
from tests.support.versions import DAMAGES, versions
from training.atomic_files import write_atomically

RETRY = 2.5  # seconds; the service retries more often


@pytest.fixture(scope="session")
def others(small_checkpoints: Path) -> dict[str, list[bytes]]:
    """Twelve further versions of each model."""
    return {name: versions(checkpoint(small_checkpoints, name).read_bytes(), 12) for name in MODELS}


@pytest.fixture
def folder(small_checkpoints: Path, tmp_path: Path) -> Path:
    """A copy of the checkpoints, for a test to change."""
    copy = tmp_path / "checkpoints"
    copy.mkdir()
    for name in MODELS:
        shutil.copy(checkpoint(small_checkpoints, name), copy)
    return copy


@pytest.fixture
def running(folder: Path) -> Iterator[Server]:
    """A service of this folder."""
    with Server(MONIKER_CHECKPOINTS=str(folder)) as server:
        yield server


def checkpoint(folder: Path, name: str) -> Path:
    return folder / f"{name}.safetensors"


def version(payload: bytes) -> str:
    return load(payload).digest[:12]


def in_service(server: Server) -> dict[str, str]:
    """The models in service and their versions."""
    models = server.get("/models").json()["models"]
    return {model["name"]: model["checkpoint"] for model in models}


def failing(server: Server, name: str) -> float:
    return metric(server, f'moniker_model_failing{{model="{name}"}}')


def failures(server: Server) -> str:
    """The text in which /readyz lists the checkpoints that are not loaded."""
    detail: str = server.get("/readyz").json().get("detail", "")
    return detail


def serves(server: Server, name: str, payload: bytes) -> Callable[[], bool]:
    return lambda: in_service(server).get(name) == version(payload)


def test_a_new_checkpoint_is_put_in_service(
    running: Server, folder: Path, others: dict[str, list[bytes]]
) -> None:
    before = in_service(running)
    new = others["positional"][0]
    write_atomically(checkpoint(folder, "positional"), new)
    assert comes_true(serves(running, "positional", new))
    assert in_service(running) == before | {"positional": version(new)}
    reply = running.get("/sample?seed=5").json()
    assert reply["checkpoint"] == version(new)
    expected = ServedModel("positional", load(new))
    sampler = expected.compile(Constraints()).sampler
    assert reply["names"] == sampler.draw(10, np.random.default_rng(5))
    assert loaded(running) == 1
    assert f"serving positional, checkpoint {version(new)}" in running.log


def test_a_new_model_is_served_under_the_name_of_its_file(
    running: Server, folder: Path, others: dict[str, list[bytes]]
) -> None:
    assert running.get("/sample?model=another").status_code == 404
    write_atomically(checkpoint(folder, "another"), others["bigram"][0])
    assert comes_true(serves(running, "another", others["bigram"][0]))
    assert running.get("/sample?model=another").json()["model"] == "another"


def remove(path: Path) -> None:
    path.unlink()


def replace_by_a_folder(path: Path) -> None:
    path.unlink()
    path.mkdir()


def replace_by_a_looping_link(path: Path) -> None:
    path.unlink()
    path.symlink_to(path)


REPLACEMENTS: list[tuple[Callable[[Path], None], str]] = [
    (remove, "No such file or directory"),
    (replace_by_a_folder, "not a regular file"),
    (replace_by_a_looping_link, "Too many levels of symbolic links"),
]


def written(damage: Callable[[bytes], bytes]) -> Callable[[Path], None]:
    return lambda path: write_atomically(path, damage(path.read_bytes()))


FAST = {"with_a_bit_flipped", "remove"}  # the others run in make test-all


def damage_case(
    function: Callable[..., object], damage: Callable[[Path], None], reason: str
) -> Any:
    marks = () if function.__name__ in FAST else pytest.mark.slow
    return pytest.param(damage, reason, id=function.__name__, marks=marks)


@pytest.mark.parametrize(
    ("damage", "reason"),
    [
        *(damage_case(damage, written(damage), reason) for damage, reason in DAMAGES.items()),
        *(damage_case(replace, replace, reason) for replace, reason in REPLACEMENTS),
    ],
)
def test_an_invalid_checkpoint_is_reported_and_leaves_the_previous_version_in_service(
    running: Server, folder: Path, damage: Callable[[Path], None], reason: str
) -> None:
    path = checkpoint(folder, "positional")
    valid, before = path.read_bytes(), in_service(running)
    failure = f"{path}: {reason}"
    damage(path)
    assert comes_true(lambda: failures(running) == failure)
    assert running.get("/readyz").status_code == 200
    assert in_service(running) == before
    assert running.get("/sample").status_code == 200
    kept = "its last valid version stays in service"
    assert f"checkpoint not loaded: {failure}; {kept}" in running.log
    assert (loaded(running), failed(running)) == (0, 1)
    assert (failing(running, "positional"), failing(running, "bigram")) == (1, 0)
    missed = metric(running, 'moniker_constraints_cache_lookups_total{result="miss"}')
    max_failed = 1
    if path.is_dir():
        path.rmdir()
        max_failed = 2  # the service may also notice the missing file
    write_atomically(path, valid)
    assert comes_true(lambda: not failures(running))
    assert in_service(running) == before
    assert running.get("/sample").status_code == 200
    assert (
        metric(running, 'moniker_constraints_cache_lookups_total{result="miss"}') == missed
    )  # the model stayed in service
    assert loaded(running) == 1
    assert 1 <= failed(running) <= max_failed
    assert failing(running, "positional") == 0


def test_a_slowly_written_checkpoint_is_loaded_when_it_is_complete(
    running: Server, folder: Path, others: dict[str, list[bytes]]
) -> None:
    new = others["positional"][0]
    with checkpoint(folder, "positional").open("wb", buffering=0) as file:
        for start in range(0, len(new), len(new) // 10):
            file.write(new[start : start + len(new) // 10])
            assert running.get("/sample").status_code == 200
            time.sleep(0.2)
    assert comes_true(serves(running, "positional", new))
    assert comes_true(lambda: not failures(running))


def test_updates_of_a_kubernetes_volume_are_noticed(
    folder: Path, tmp_path: Path, others: dict[str, list[bytes]]
) -> None:
    volume = tmp_path / "volume"

    def release(number: int, payload: bytes) -> None:
        """Update as kubelet does: make a new folder and rename a link to it over the old link."""
        (volume / f"..{number}").mkdir(parents=True)
        checkpoint(volume / f"..{number}", "positional").write_bytes(payload)
        (volume / "..data_tmp").symlink_to(f"..{number}")
        (volume / "..data_tmp").rename(volume / "..data")

    release(1, checkpoint(folder, "positional").read_bytes())
    checkpoint(volume, "positional").symlink_to(checkpoint(Path("..data"), "positional"))
    with Server(MONIKER_CHECKPOINTS=str(volume)) as server:
        for number, payload in enumerate(others["positional"][:3], start=2):
            release(number, payload)
            assert comes_true(serves(server, "positional", payload))
            shutil.rmtree(volume / f"..{number - 1}")
        wait_for_a_scan(server, volume, others)
        assert not failures(server)
        assert failed(server) == 0


@pytest.mark.parametrize("name", ["positional", "bigram"])
def test_a_checkpoint_that_is_invalid_at_the_start_is_loaded_when_it_is_repaired(
    folder: Path, name: str
) -> None:
    path = checkpoint(folder, name)
    valid = path.read_bytes()
    path.write_bytes(b"")
    with Server(MONIKER_CHECKPOINTS=str(folder)) as server:
        status = 503 if name == "positional" else 200  # positional is the default
        assert server.get("/readyz").status_code == status
        assert server.get(f"/sample?model={name}").status_code == 503
        write_atomically(path, valid)
        assert comes_true(lambda: server.get("/readyz").json() == {"status": "ready"})
        assert server.get(f"/sample?model={name}").status_code == 200


def test_a_file_that_was_never_valid_is_no_longer_reported_after_its_removal(
    running: Server, folder: Path
) -> None:
    path = checkpoint(folder, "another")
    for _ in range(2):  # the same content is reported again
        path.write_bytes(b"bad")
        assert comes_true(lambda: str(path) in failures(running))
        path.unlink()
        assert comes_true(lambda: not failures(running))
    assert "another" not in in_service(running)


def wait_for_a_scan(
    server: Server, folder: Path, others: dict[str, list[bytes]], name: str = "seen"
) -> None:
    """Write another model and wait until it serves: earlier changes have been scanned by then."""
    write_atomically(checkpoint(folder, name), others["bigram"][0])
    assert comes_true(serves(server, name, others["bigram"][0]))


def test_other_files_are_ignored(
    running: Server, folder: Path, others: dict[str, list[bytes]]
) -> None:
    (folder / "names.txt").write_text("emma")
    (folder / ".positional.safetensors.abcdef").write_bytes(b"half")
    (folder / "positional.safetensors.tmp").write_bytes(b"half")
    (folder / ".hidden.safetensors").write_bytes(b"half")
    (folder / "report").mkdir()
    wait_for_a_scan(running, folder, others)
    assert not failures(running)
    assert (loaded(running), failed(running)) == (1, 0)


def test_a_file_rewritten_with_the_same_content_is_not_loaded_again(
    running: Server, folder: Path, others: dict[str, list[bytes]]
) -> None:
    path = checkpoint(folder, "positional")
    running.get("/sample?pattern=k*").raise_for_status()
    missed = metric(running, 'moniker_constraints_cache_lookups_total{result="miss"}')
    size = metric(running, "moniker_constraints_cache_bytes")
    for _ in range(3):
        write_atomically(path, path.read_bytes())
    wait_for_a_scan(running, folder, others)
    path.touch()
    wait_for_a_scan(running, folder, others, "again")
    assert (loaded(running), failed(running)) == (2, 0)  # the two new models only
    running.get("/sample?pattern=k*").raise_for_status()
    assert (
        metric(running, 'moniker_constraints_cache_lookups_total{result="miss"}') == missed
    )  # the model object is the same
    assert metric(running, "moniker_constraints_cache_bytes") == size


@pytest.mark.slow
def test_a_folder_that_is_removed_and_created_again_is_watched_again(
    running: Server, folder: Path, others: dict[str, list[bytes]]
) -> None:
    before = in_service(running)
    shutil.rmtree(folder)
    assert comes_true(lambda: failing(running, "bigram"))
    assert in_service(running) == before
    time.sleep(RETRY)
    assert running.log.count("cannot be watched") == 1
    folder.mkdir()
    for name in MODELS:
        checkpoint(folder, name).write_bytes(others[name][0])
    for number in (0, 1):  # the second is a change in a watched folder
        write_atomically(checkpoint(folder, "positional"), others["positional"][number])
        assert comes_true(serves(running, "positional", others["positional"][number]))
        assert comes_true(lambda: not failures(running))
    assert running.log.count("is watched again") == 1


def test_a_folder_that_replaces_another_is_noticed(
    folder: Path, tmp_path: Path, others: dict[str, list[bytes]]
) -> None:
    current = tmp_path / "current"
    current.symlink_to(folder)
    with Server(MONIKER_CHECKPOINTS=str(current)) as server:
        for number in (0, 1):
            release = tmp_path / f"release{number}"
            shutil.copytree(folder, release)
            checkpoint(release, "positional").write_bytes(others["positional"][number])
            (tmp_path / "next").symlink_to(release)
            (tmp_path / "next").rename(current)
            assert comes_true(serves(server, "positional", others["positional"][number]))
        write_atomically(checkpoint(current, "positional"), others["positional"][2])
        assert comes_true(serves(server, "positional", others["positional"][2]))


@pytest.mark.parametrize("times", [6, pytest.param(50, marks=pytest.mark.slow)])
def test_the_compiled_constraints_of_replaced_models_are_freed(
    running: Server, folder: Path, others: dict[str, list[bytes]], times: int
) -> None:
    sizes = []
    with running.client() as client:
        for _, payload in zip(range(times), cycle(others["positional"]), strict=False):
            write_atomically(checkpoint(folder, "positional"), payload)
            assert comes_true(serves(running, "positional", payload))
            for pattern in ("k*", "*lyn", "*a*e*"):
                client.get("/sample", params={"pattern": pattern}).raise_for_status()
            sizes.append(metric(running, "moniker_constraints_cache_bytes"))
    assert max(sizes) < 1.2 * sizes[0]


@pytest.mark.slow
def test_an_overloaded_service_loads_new_checkpoints(
    running: Server, folder: Path, others: dict[str, list[bytes]]
) -> None:
    over = threading.Event()

    def request_new_constraints(number: int) -> None:
        pairs = product(ascii_lowercase, repeat=2)
        with running.client() as client:
            while not over.is_set():
                pattern = f"*{'*'.join(next(pairs))}*?*[!{ascii_lowercase[number]}]*"
                client.get("/sample", params={"n": 1, "pattern": pattern, "max_length": 64})

    threads = [
        threading.Thread(target=request_new_constraints, args=(number,)) for number in range(16)
    ]
    for thread in threads:
        thread.start()
    try:
        assert comes_true(lambda: counted(running, "moniker_jobs") > 8)
        for payload in others["positional"][:8]:
            write_atomically(checkpoint(folder, "positional"), payload)
            assert comes_true(serves(running, "positional", payload))
    finally:
        over.set()
        for thread in threads:
            thread.join()
    assert "Traceback" not in running.log


@pytest.mark.slow
def test_every_worker_loads_new_checkpoints_and_a_new_worker_the_last_valid_ones(
    folder: Path, others: dict[str, list[bytes]]
) -> None:
    new = others["positional"][0]
    with Server(MONIKER_CHECKPOINTS=str(folder), MONIKER_WORKERS="2") as server:

        def processes_with(payload: bytes) -> set[int]:
            records = map(json.loads, server.log.splitlines())
            serving = f"serving positional, checkpoint {version(payload)}"
            return {line["pid"] for line in records if line["message"] == serving}

        old = checkpoint(folder, "positional").read_bytes()
        assert comes_true(lambda: len(processes_with(old)) == 2)
        write_atomically(checkpoint(folder, "positional"), new)
        assert comes_true(lambda: processes_with(new) == processes_with(old))
        write_atomically(checkpoint(folder, "positional"), b"bad")
        assert comes_true(lambda: server.log.count("not a complete safetensors file") == 2)
        os.kill(processes_with(new).pop(), signal.SIGKILL)
        assert comes_true(lambda: len(processes_with(new)) == 3)
        for _ in range(10):  # each on a new connection, so that both workers answer
            assert in_service(server)["positional"] == version(new)


# Number of files, in rounds of one for each model.
REPLACED = [60, pytest.param(1_000, marks=pytest.mark.slow)]
MODEL_NAMES = [f"model{number}" for number in range(10)]
SEEDS = 40  # few, so that the expected names are computed once each
SCORED = ["emma", "xqzwv", "olivia"]
STREAMED = 20_000


class Expected:
    """The replies of a version of a model, computed without a service."""

    def __init__(self, payload: bytes) -> None:
        self.served = ServedModel("known", load(payload))
        self.sampler = self.served.compile(Constraints()).sampler
        self.names = cache(self._names)

    def _names(self, seed: int, count: int) -> list[str]:
        return self.sampler.draw(count, np.random.default_rng(seed))

    @cached_property
    def scores(self) -> list[tuple[float | None, float | None]]:
        return [
            (score.log_likelihood, score.percentile) for score in self.served.scorer.score(SCORED)
        ]

    @cached_property
    def next(self) -> list[tuple[str | None, float]]:
        return next_character_distribution(self.served.chain, "em")


class Client(threading.Thread):
    """Sends one kind of request repeatedly and records the replies.

    send: sends a request and records the version and the content of the reply
    """

    def __init__(self, port: int, send: Callable[["Client", str], None]) -> None:
        super().__init__()
        self._send = send
        self._connection = http.client.HTTPConnection("127.0.0.1", port, timeout=PATIENCE)
        self.random = random.Random(repr(send))
        self.over = threading.Event()
        # version, the matching content of `Expected`, content of the reply
        self.replies: list[tuple[str, Callable[[Expected], object], object]] = []
        self.error: Exception | None = None

    def run(self) -> None:
        try:
            while not self.over.wait(0.005):
                self._send(self, self.random.choice(MODEL_NAMES))
        except Exception as error:
            self.error = error
        finally:
            self._connection.close()

    def get(self, path: str, media: str = "application/json") -> tuple[Any, str | None]:
        """Return the content of the reply and the version in its headers."""
        self._connection.request("GET", path, headers={"Accept": media})
        reply = self._connection.getresponse()
        content = reply.read()
        assert reply.status == 200, content
        text = content.decode()
        return json.loads(text) if media == "application/json" else text, reply.getheader(
            "Moniker-Checkpoint"
        )


def request_names(client: Client, model: str) -> None:
    seed = client.random.randrange(SEEDS)
    reply, _ = client.get(f"/sample?model={model}&n=10&seed={seed}")
    client.replies.append(
        (reply["checkpoint"], lambda expected: expected.names(seed, 10), reply["names"])
    )


def request_scores(client: Client, model: str) -> None:
    reply, _ = client.get(f"/score?model={model}&" + "&".join(f"name={name}" for name in SCORED))
    scores = [(score["log_likelihood"], score["percentile"]) for score in reply["scores"]]
    client.replies.append((reply["checkpoint"], lambda expected: expected.scores, scores))


def request_next_characters(client: Client, model: str) -> None:
    reply, _ = client.get(f"/next?model={model}&prefix=em")
    following = [(item["character"], item["log_likelihood"]) for item in reply["next"]]
    client.replies.append((reply["checkpoint"], lambda expected: expected.next, following))


def request_models(client: Client, model: str) -> None:
    reply, _ = client.get("/models")
    assert sorted(info["name"] for info in reply["models"]) == MODEL_NAMES
    for info in reply["models"]:
        digest = info["checkpoint"]
        client.replies.append((digest, lambda expected: expected.served.version, digest))


def request_a_stream(client: Client, model: str) -> None:
    text, digest = client.get(f"/sample?model={model}&n={STREAMED}&seed=1", "text/plain")
    assert digest
    client.replies.append(
        (digest, lambda expected: expected.names(1, STREAMED), text.split("\n")[:-1])
    )


REQUESTS = [
    request_names,
    request_scores,
    request_next_characters,
    request_models,
    request_a_stream,
]


def resources(server: Server) -> tuple[int, int, int]:
    """Resident memory in kB, number of file descriptors, number of metric series."""
    descriptors = len(list((Path("/proc") / str(server.process.pid) / "fd").iterdir()))
    return server.resident, descriptors, server.get("/metrics").text.count("\n")


@pytest.mark.parametrize("replaced", REPLACED)
def test_replacements_under_load_fail_no_request_and_mix_no_versions(
    tmp_path: Path, others: dict[str, list[bytes]], replaced: int
) -> None:
    payloads = {name: others[MODELS[index % 3]] for index, name in enumerate(MODEL_NAMES)}
    current = {name: versions[0] for name, versions in payloads.items()}
    for name, payload in current.items():
        checkpoint(tmp_path, name).write_bytes(payload)
    settings = {"MONIKER_CHECKPOINTS": str(tmp_path), "MONIKER_DEFAULT_MODEL": MODEL_NAMES[0]}
    with Server(**settings, **THRIFTY) as server:
        clients = [Client(int(server.url.rpartition(":")[2]), send) for send in REQUESTS]
        for client in clients:
            client.start()
        try:
            damages, valid_count, before = cycle(DAMAGES), 0, (0, 0, 0)
            for number in range(replaced):
                name = MODEL_NAMES[number % len(MODEL_NAMES)]
                payload = payloads[name][(number // len(MODEL_NAMES) + 1) % len(payloads[name])]
                if number % 3:
                    current[name], valid_count = payload, valid_count + 1
                else:
                    payload = next(damages)(payload)
                write_atomically(checkpoint(tmp_path, name), payload)
                if name == MODEL_NAMES[-1]:
                    changes = number + 1
                    assert comes_true(lambda: loaded(server) + failed(server) == changes)  # noqa: B023
                if number == replaced // 5:
                    before = resources(server)
            assert loaded(server) == valid_count
            expected = {name: version(payload) for name, payload in current.items()}
            assert in_service(server) == expected
            after = resources(server)
        finally:
            for client in clients:
                client.over.set()
            for client in clients:
                client.join()
        assert "Traceback" not in server.log
    for client in clients:
        assert client.error is None
        assert client.replies
    assert after[0] < 1.05 * before[0] + 8_000
    assert after[1] <= before[1] + 1
    # On a busy machine a model may have its two counters of names only now.
    assert after[2] <= before[2] + 5 + 2 * len(MODEL_NAMES)
    by_version = {
        version(payload): Expected(payload) for payloads in others.values() for payload in payloads
    }
    for digest, content, reply in [reply for client in clients for reply in client.replies]:
        matching = [name for name, expected in by_version.items() if content(expected) == reply]
        assert matching == [digest]


def test_a_file_name_that_is_not_utf8_is_reported_with_replacement_characters(
    running: Server, folder: Path
) -> None:
    (folder / os.fsdecode(b"caf\xe9.safetensors")).write_bytes(b"foreign")
    until(lambda: "caf\ufffd.safetensors" in running.get("/readyz").text)
    assert running.get("/readyz").status_code == 200
    metrics = running.get("/metrics").raise_for_status().text
    assert 'moniker_model_failing{model="caf\ufffd"} 1.0' in metrics
    assert "Traceback" not in running.log
