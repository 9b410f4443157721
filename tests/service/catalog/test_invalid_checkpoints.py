"""Tests of invalid checkpoints: each is reported in one line, and the other models serve."""

import os
import pickle
from collections.abc import Callable, Iterator
from pathlib import Path
from shutil import copyfile, copytree

import numpy as np
import pytest
from numpy.typing import ArrayLike

from fuzz.sealing import Parts
from tests.support.http.server import Server

Damage = Callable[[Path], object]  # changes the file at a path; the result is ignored


def replaced(content: bytes) -> Damage:
    """Replace the content of a file."""
    return lambda path: path.write_bytes(content)


def cut(share: float) -> Damage:
    """Keep only the first part of a file."""
    return lambda path: os.truncate(path, int(path.stat().st_size * share))


def flip_a_bit(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[-1000] ^= 1
    path.write_bytes(content)


def sealed(facts: dict[str, object] | None = None, **tensors: ArrayLike) -> Damage:
    """Change facts or tensors, and seal them with a matching digest."""
    return lambda path: path.write_bytes(
        Parts.of(path.read_bytes()).change(facts or {}, tensors).seal()
    )


def another_version(path: Path) -> None:
    parts = Parts.of(path.read_bytes())
    parts.metadata["format"] = "moniker/99"
    path.write_bytes(parts.write())


def claimed(**weights: object) -> Damage:
    """Change the entry of the weights in the header of a file."""

    def claim(path: Path) -> None:
        parts = Parts.of(path.read_bytes())
        vars(parts.tensors["weights"]).update(weights)
        path.write_bytes(parts.write())

    return claim


def instead(make: Damage) -> Damage:
    """Remove the file and make something else in its place."""

    def change(path: Path) -> None:
        path.unlink()
        make(path)

    return change


def linked(target: str) -> Damage:
    """Replace the file by a symbolic link."""
    return instead(lambda path: path.symlink_to(target))


NOT_SAFETENSORS = "not a complete safetensors file"
NOT_REGULAR = "not a regular file"
DAMAGES: dict[str, tuple[Damage, str]] = {
    "empty": (replaced(b""), NOT_SAFETENSORS),
    "garbage": (replaced(bytes(range(256)) * 100), NOT_SAFETENSORS),
    "pickle": (replaced(pickle.dumps({"weights": [1.0] * 100})), NOT_SAFETENSORS),
    "cut-in-its-first-bytes": (lambda path: os.truncate(path, 5), NOT_SAFETENSORS),
    "cut-in-its-header": (lambda path: os.truncate(path, 500), NOT_SAFETENSORS),
    "cut-in-half": (cut(0.5), NOT_SAFETENSORS),
    "cut-near-its-end": (cut(0.9999), NOT_SAFETENSORS),
    "claims-100000x100000": (claimed(shape=[100_000, 100_000]), NOT_SAFETENSORS),
    "claims-70-axes": (claimed(shape=[27, 27] + [1] * 68), "weights must have at most"),
    "claims-another-type": (claimed(code="I32"), "weights must be float32"),
    "bit-flip": (flip_a_bit, "damaged: the content does not match its digest"),
    "version": (another_version, "not in the format"),
    "shape": (sealed(weights=np.zeros((5, 5), np.float32)), "weights of shape (5, 5), expected"),
    "type": (sealed(weights=np.zeros((27, 27))), "weights must be float32"),
    "nan": (sealed(weights=np.full((27, 27), np.nan, np.float32)), "weights must be finite"),
    "line-ends": (sealed({"characters": "\n\rabcdefghijklmnopqrstuvwx"}), "control characters"),
    "folder": (instead(Path.mkdir), NOT_REGULAR),
    "pipe": (instead(os.mkfifo), NOT_REGULAR),
    "device": (linked("/dev/zero"), NOT_REGULAR),
    "link-to-itself": (linked("link-to-itself.safetensors"), "Too many levels of symbolic links"),
    "link-to-nothing": (linked("nothing"), "No such file or directory"),
    # A sparse file, which takes no space on the disk.
    "32-gigabytes": (
        lambda path: os.truncate(path, 2**35),
        "34,359,738,368 bytes, the limit is 536,870,912",
    ),
    "forbidden": (lambda path: path.chmod(0), "Permission denied"),
}
VALID = ["bigram", "fivegram", "positional", "sinusoidal"]


@pytest.fixture(scope="module")
def folder(checkpoints: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Valid checkpoints, and a damaged copy of one of them for each kind of damage."""
    folder = copytree(checkpoints, tmp_path_factory.mktemp("damage") / "checkpoints")
    for name, (damage, _) in DAMAGES.items():
        damage(copyfile(folder / "bigram.safetensors", folder / f"{name}.safetensors"))
    return folder


@pytest.fixture(scope="module")
def server(folder: Path) -> Iterator[Server]:
    """A service of this folder."""
    with Server(MONIKER_CHECKPOINTS=str(folder)) as running:
        yield running


@pytest.mark.parametrize("name", DAMAGES)
def test_an_invalid_checkpoint_is_reported_with_its_path_and_reason_in_one_line(
    server: Server, folder: Path, name: str
) -> None:
    if name == "forbidden" and os.access(folder / "forbidden.safetensors", os.R_OK):
        pytest.skip("root can read every file")
    prefix = f"{folder}/{name}.safetensors: "
    reason = DAMAGES[name][1]
    (line,) = [line for line in server.log.splitlines() if f"/{name}.safetensors" in line]
    assert f"checkpoint not loaded: {prefix}" in line
    assert reason in line
    ready = server.get("/readyz")
    assert ready.status_code == 200  # the default model is in service
    (part,) = [part for part in ready.json()["detail"].split("; ") if prefix in part]
    assert reason in part
    assert server.get(f"/sample?model={name}").status_code == 503


def test_the_other_models_serve(server: Server) -> None:
    with server.client() as client:
        served = [model["name"] for model in client.get("/models").json()["models"]]
        assert [name for name in served if name != "forbidden"] == VALID
        for name in VALID:
            assert len(client.get(f"/sample?model={name}&n=2").json()["names"]) == 2
            assert client.get(f"/score?model={name}&name=emma").json()["scores"][0]["percentile"]
    assert "Traceback" not in server.log
