"""New checkpoints are put in service as they come, and bad ones are not, without a restart."""

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
from tests.support.versions import SPOILED, versions
from training.atomic_files import write_atomically

CALM = 2.5  # seconds in which the service would have tried again
MISSES = 'moniker_constraints_cache_lookups_total{result="miss"}'


@pytest.fixture(scope="session")
def others(small_checkpoints: Path) -> dict[str, list[bytes]]:
    """Further versions of each."""
    return {name: versions(checkpoint(small_checkpoints, name).read_bytes(), 12) for name in MODELS}


@pytest.fixture
def folder(small_checkpoints: Path, tmp_path: Path) -> Path:
    """A folder of checkpoints to change."""
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


def fault(server: Server) -> str:
    """What /readyz tells of the files."""
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
    known = ServedModel("positional", load(new))
    assert reply["names"] == known.compile(Constraints()).draw(10, np.random.default_rng(5))
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


def make_a_folder(path: Path) -> None:
    path.unlink()
    path.mkdir()


def let_nobody_follow(path: Path) -> None:
    path.unlink()
    path.symlink_to(path)


WAYS: list[tuple[Callable[[Path], None], str]] = [
    (remove, "No such file or directory"),
    (make_a_folder, "not a regular file"),
    (let_nobody_follow, "Too many levels of symbolic links"),
]


def written(spoil: Callable[[bytes], bytes]) -> Callable[[Path], None]:
    return lambda path: write_atomically(path, spoil(path.read_bytes()))


SHORT = {"with_a_bit_flipped", "remove"}  # the rest is for make test-all


def spoilt(how: Callable[..., object], spoil: Callable[[Path], None], reason: str) -> Any:
    marks = () if how.__name__ in SHORT else pytest.mark.slow
    return pytest.param(spoil, reason, id=how.__name__, marks=marks)


@pytest.mark.parametrize(
    ("spoil", "reason"),
    [
        *(spoilt(how, written(how), why) for how, why in SPOILED.items()),
        *(spoilt(how, how, why) for how, why in WAYS),
    ],
)
def test_what_is_bad_leaves_the_one_before_in_service_and_is_told(
    running: Server, folder: Path, spoil: Callable[[Path], None], reason: str
) -> None:
    path = checkpoint(folder, "positional")
    good, before = path.read_bytes(), in_service(running)
    told = f"{path}: {reason}"
    spoil(path)
    assert comes_true(lambda: fault(running) == told)
    assert running.get("/readyz").status_code == 200
    assert in_service(running) == before
    assert running.get("/sample").status_code == 200
    assert f"not served: {told}; the one before stays in service" in running.log
    assert (loaded(running), failed(running)) == (0, 1)
    assert (failing(running, "positional"), failing(running, "bigram")) == (1, 0)
    missed = metric(running, MISSES)
    most = 1
    if path.is_dir():
        path.rmdir()
        most = 2  # that the file is missing may be seen, too
    write_atomically(path, good)
    assert comes_true(lambda: not fault(running))
    assert in_service(running) == before
    assert running.get("/sample").status_code == 200
    assert metric(running, MISSES) == missed  # it was never away
    assert loaded(running) == 1
    assert 1 <= failed(running) <= most
    assert failing(running, "positional") == 0


def test_what_is_written_slowly_in_place_ends_up_right(
    running: Server, folder: Path, others: dict[str, list[bytes]]
) -> None:
    new = others["positional"][0]
    with checkpoint(folder, "positional").open("wb", buffering=0) as file:
        for start in range(0, len(new), len(new) // 10):
            file.write(new[start : start + len(new) // 10])
            assert running.get("/sample").status_code == 200
            time.sleep(0.2)
    assert comes_true(serves(running, "positional", new))
    assert comes_true(lambda: not fault(running))


def test_a_volume_of_kubernetes_is_followed(
    folder: Path, tmp_path: Path, others: dict[str, list[bytes]]
) -> None:
    volume = tmp_path / "volume"

    def release(number: int, payload: bytes) -> None:
        """As kubelet does: a new folder, then one link to it renamed over the one before."""
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
        see_a_new_file(server, volume, others)
        assert not fault(server)
        assert failed(server) == 0


@pytest.mark.parametrize("name", ["positional", "bigram"])
def test_what_was_bad_at_the_start_comes_into_service_when_it_is_put_right(
    folder: Path, name: str
) -> None:
    path = checkpoint(folder, name)
    good = path.read_bytes()
    path.write_bytes(b"")
    with Server(MONIKER_CHECKPOINTS=str(folder)) as server:
        status = 503 if name == "positional" else 200  # positional is the default
        assert server.get("/readyz").status_code == status
        assert server.get(f"/sample?model={name}").status_code == 503
        write_atomically(path, good)
        assert comes_true(lambda: server.get("/readyz").json() == {"status": "ready"})
        assert server.get(f"/sample?model={name}").status_code == 200


def test_what_was_never_good_is_forgotten_with_its_file(running: Server, folder: Path) -> None:
    path = checkpoint(folder, "another")
    for _ in range(2):  # the same content is told again
        path.write_bytes(b"bad")
        assert comes_true(lambda: str(path) in fault(running))
        path.unlink()
        assert comes_true(lambda: not fault(running))
    assert "another" not in in_service(running)


def see_a_new_file(
    server: Server, folder: Path, others: dict[str, list[bytes]], name: str = "seen"
) -> None:
    """Wait until the service has looked at its folder once more: then it has seen all before."""
    write_atomically(checkpoint(folder, name), others["bigram"][0])
    assert comes_true(serves(server, name, others["bigram"][0]))


def test_other_files_do_nothing(
    running: Server, folder: Path, others: dict[str, list[bytes]]
) -> None:
    (folder / "names.txt").write_text("emma")
    (folder / ".positional.safetensors.abcdef").write_bytes(b"half")
    (folder / "positional.safetensors.tmp").write_bytes(b"half")
    (folder / ".hidden.safetensors").write_bytes(b"half")
    (folder / "report").mkdir()
    see_a_new_file(running, folder, others)
    assert not fault(running)
    assert (loaded(running), failed(running)) == (1, 0)


def test_the_same_content_loads_nothing(
    running: Server, folder: Path, others: dict[str, list[bytes]]
) -> None:
    path = checkpoint(folder, "positional")
    running.get("/sample?pattern=k*").raise_for_status()
    missed = metric(running, MISSES)
    kept = metric(running, "moniker_constraints_cache_bytes")
    for _ in range(3):
        write_atomically(path, path.read_bytes())
    see_a_new_file(running, folder, others)
    path.touch()
    see_a_new_file(running, folder, others, "again")
    assert (loaded(running), failed(running)) == (2, 0)  # the new files and nothing else
    running.get("/sample?pattern=k*").raise_for_status()
    assert metric(running, MISSES) == missed  # for the same model
    assert metric(running, "moniker_constraints_cache_bytes") == kept


def test_a_folder_that_is_removed_and_made_anew_is_watched_again(
    running: Server, folder: Path, others: dict[str, list[bytes]]
) -> None:
    before = in_service(running)
    shutil.rmtree(folder)
    assert comes_true(lambda: failing(running, "bigram"))
    assert in_service(running) == before
    time.sleep(CALM)
    assert running.log.count("cannot be watched") == 1
    folder.mkdir()
    for name in MODELS:
        checkpoint(folder, name).write_bytes(others[name][0])
    for number in (0, 1):  # the second is a change in a folder that is watched
        write_atomically(checkpoint(folder, "positional"), others["positional"][number])
        assert comes_true(serves(running, "positional", others["positional"][number]))
        assert comes_true(lambda: not fault(running))
    assert running.log.count("is watched again") == 1


def test_a_folder_that_is_put_in_place_of_another_is_noticed(
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
def test_the_wishes_of_what_is_replaced_are_let_go_of(
    running: Server, folder: Path, others: dict[str, list[bytes]], times: int
) -> None:
    remembered = []
    with running.client() as client:
        for _, payload in zip(range(times), cycle(others["positional"]), strict=False):
            write_atomically(checkpoint(folder, "positional"), payload)
            assert comes_true(serves(running, "positional", payload))
            for pattern in ("k*", "*lyn", "*a*e*"):
                client.get("/sample", params={"pattern": pattern}).raise_for_status()
            remembered.append(metric(running, "moniker_constraints_cache_bytes"))
    assert max(remembered) < 1.2 * remembered[0]


def test_a_service_that_has_too_much_to_do_takes_new_checkpoints_all_the_same(
    running: Server, folder: Path, others: dict[str, list[bytes]]
) -> None:
    over = threading.Event()

    def wish_anew(number: int) -> None:
        pairs = product(ascii_lowercase, repeat=2)
        with running.client() as client:
            while not over.is_set():
                pattern = f"*{'*'.join(next(pairs))}*?*[!{ascii_lowercase[number]}]*"
                client.get("/sample", params={"n": 1, "pattern": pattern, "max_length": 64})

    threads = [threading.Thread(target=wish_anew, args=(number,)) for number in range(16)]
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


def test_every_process_has_what_is_new_and_one_that_begins_later_what_was_good_last(
    folder: Path, others: dict[str, list[bytes]]
) -> None:
    new = others["positional"][0]
    with Server(MONIKER_CHECKPOINTS=str(folder), MONIKER_WORKERS="2") as server:

        def processes_with(payload: bytes) -> set[int]:
            told = map(json.loads, server.log.splitlines())
            serving = f"serving positional, checkpoint {version(payload)}"
            return {line["pid"] for line in told if line["message"] == serving}

        old = checkpoint(folder, "positional").read_bytes()
        assert comes_true(lambda: len(processes_with(old)) == 2)
        write_atomically(checkpoint(folder, "positional"), new)
        assert comes_true(lambda: processes_with(new) == processes_with(old))
        write_whole(checkpoint(folder, "positional"), b"bad")
        assert comes_true(lambda: server.log.count("not a complete safetensors file") == 2)
        os.kill(processes_with(new).pop(), signal.SIGKILL)
        assert comes_true(lambda: len(processes_with(new)) == 3)
        for _ in range(10):  # each of a new connection, so that both are asked
            assert in_service(server)["positional"] == version(new)


# Files, in rounds of as many as there are models.
REPLACED = [60, pytest.param(1_000, marks=pytest.mark.slow)]
SEVERAL = [f"model{number}" for number in range(10)]
SEEDS = 40  # that are asked for, so that what they make needs to be computed only once
SCORED = ["emma", "xqzwv", "olivia"]
STREAMED = 20_000


class Known:
    """What a version of a model replies, computed without a service."""

    def __init__(self, payload: bytes) -> None:
        self.served = ServedModel("known", load(payload))
        self.sampler = self.served.compile(Constraints())
        self.names = cache(self._names)

    def _names(self, seed: int, count: int) -> list[str]:
        return self.sampler.draw(count, np.random.default_rng(seed))

    @cached_property
    def scores(self) -> list[tuple[float | None, float | None]]:
        return [(one.log_likelihood, one.percentile) for one in self.served.scorer.score(SCORED)]

    @cached_property
    def next(self) -> list[tuple[str | None, float]]:
        return next_character_distribution(self.served.chain, "em")


class Client(threading.Thread):
    """Asks for one thing again and again, and keeps what each reply is made of.

    asks: makes a request and keeps which version the reply names and what it holds
    """

    def __init__(self, port: int, asks: Callable[["Client", str], None]) -> None:
        super().__init__()
        self._asks = asks
        self._connection = http.client.HTTPConnection("127.0.0.1", port, timeout=PATIENCE)
        self.random = random.Random(repr(asks))
        self.over = threading.Event()
        # version -> what `Known` is to say to some question
        self.told: list[tuple[str, Callable[[Known], object], object]] = []
        self.error: Exception | None = None

    def run(self) -> None:
        try:
            while not self.over.wait(0.005):
                self._asks(self, self.random.choice(SEVERAL))
        except Exception as error:
            self.error = error
        finally:
            self._connection.close()

    def ask(self, path: str, media: str = "application/json") -> tuple[Any, str | None]:
        """The reply and the version that its headers name."""
        self._connection.request("GET", path, headers={"Accept": media})
        reply = self._connection.getresponse()
        content = reply.read()
        assert reply.status == 200, content
        told = json.loads(content) if media == "application/json" else content.decode()
        return told, reply.getheader("Moniker-Checkpoint")


def asks_for_names(client: Client, model: str) -> None:
    seed = client.random.randrange(SEEDS)
    told, _ = client.ask(f"/sample?model={model}&n=10&seed={seed}")
    client.told.append((told["checkpoint"], lambda known: known.names(seed, 10), told["names"]))


def asks_for_scores(client: Client, model: str) -> None:
    told, _ = client.ask(f"/score?model={model}&" + "&".join(f"name={name}" for name in SCORED))
    scores = [(score["log_likelihood"], score["percentile"]) for score in told["scores"]]
    client.told.append((told["checkpoint"], lambda known: known.scores, scores))


def asks_what_is_next(client: Client, model: str) -> None:
    told, _ = client.ask(f"/next?model={model}&prefix=em")
    following = [(one["character"], one["log_likelihood"]) for one in told["next"]]
    client.told.append((told["checkpoint"], lambda known: known.next, following))


def asks_for_models(client: Client, model: str) -> None:
    told, _ = client.ask("/models")
    assert sorted(one["name"] for one in told["models"]) == SEVERAL
    for one in told["models"]:
        digest = one["checkpoint"]
        client.told.append((digest, lambda known: known.served.version, digest))


def asks_for_a_stream(client: Client, model: str) -> None:
    text, digest = client.ask(f"/sample?model={model}&n={STREAMED}&seed=1", "text/plain")
    assert digest
    client.told.append((digest, lambda known: known.names(1, STREAMED), text.split("\n")[:-1]))


ASKS = [asks_for_names, asks_for_scores, asks_what_is_next, asks_for_models, asks_for_a_stream]


def occupied(server: Server) -> tuple[int, int, int]:
    """Resident memory in kB, descriptors and series."""
    descriptors = len(list((Path("/proc") / str(server.process.pid) / "fd").iterdir()))
    return server.resident, descriptors, server.get("/metrics").text.count("\n")


@pytest.mark.parametrize("replaced", REPLACED)
def test_replacements_under_load_fail_no_request_and_mix_no_versions(
    tmp_path: Path, others: dict[str, list[bytes]], replaced: int
) -> None:
    payloads = {name: others[MODELS[place % 3]] for place, name in enumerate(SEVERAL)}
    in_place = {name: versions[0] for name, versions in payloads.items()}
    for name, payload in in_place.items():
        checkpoint(tmp_path, name).write_bytes(payload)
    settings = {"MONIKER_CHECKPOINTS": str(tmp_path), "MONIKER_DEFAULT_MODEL": SEVERAL[0]}
    with Server(**settings, **THRIFTY) as server:
        clients = [Client(int(server.url.rpartition(":")[2]), asks) for asks in ASKS]
        for client in clients:
            client.start()
        try:
            bad, good_ones, before = cycle(SPOILED), 0, (0, 0, 0)
            for number in range(replaced):
                name = SEVERAL[number % len(SEVERAL)]
                payload = payloads[name][(number // len(SEVERAL) + 1) % len(payloads[name])]
                if number % 3:
                    in_place[name], good_ones = payload, good_ones + 1
                else:
                    payload = next(bad)(payload)
                write_atomically(checkpoint(tmp_path, name), payload)
                if name == SEVERAL[-1]:
                    seen = number + 1
                    assert comes_true(lambda: loaded(server) + failed(server) == seen)  # noqa: B023
                if number == replaced // 5:
                    before = occupied(server)
            assert loaded(server) == good_ones
            expected = {name: version(payload) for name, payload in in_place.items()}
            assert in_service(server) == expected
            after = occupied(server)
        finally:
            for client in clients:
                client.over.set()
            for client in clients:
                client.join()
        assert "Traceback" not in server.log
    for client in clients:
        assert client.error is None
        assert client.told
    assert after[0] < 1.05 * before[0] + 8_000
    assert after[1] <= before[1] + 1
    assert after[2] <= before[2] + 5
    knowns = {version(payload): Known(payload) for made in others.values() for payload in made}
    for digest, question, told in [one for client in clients for one in client.told]:
        assert [known for known in knowns if question(knowns[known]) == told] == [digest]


def test_a_file_whose_name_is_no_text_is_told_as_far_as_it_is_one(
    running: Server, folder: Path
) -> None:
    (folder / os.fsdecode(b"caf\xe9.safetensors")).write_bytes(b"foreign")
    until(lambda: "caf\ufffd.safetensors" in running.get("/readyz").text)
    assert running.get("/readyz").status_code == 200
    metrics = running.get("/metrics").raise_for_status().text
    assert 'moniker_model_failing{model="caf\ufffd"} 1.0' in metrics
    assert "Traceback" not in running.log
