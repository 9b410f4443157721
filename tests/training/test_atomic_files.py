"""A checkpoint is replaced whole or not at all: killed at each step, and with the disk full."""

import errno
import os
import resource
import shutil
import signal
import stat
import subprocess
import sys
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import pytest

from fuzz.sealing import Parts
from models.checkpoint import load
from tests.support.paths import ROOT
from training.atomic_files import write_atomically

OUT_OF_ROOM = "No space left on device"

# Writes over argv[1] and kills itself before the line number argv[3] of those it runs.
KILLED_AT = """
import os, signal, sys
from pathlib import Path
from training import atomic_files as files

path, payload, steps = Path(sys.argv[1]), Path(sys.argv[2]).read_bytes(), int(sys.argv[3])

def trace(frame, event, argument):
    global steps
    if frame.f_code.co_filename != files.__file__:
        return None
    if event == "line":
        steps -= 1
        if not steps:
            os.kill(os.getpid(), signal.SIGKILL)
    return trace

sys.settrace(trace)
files.write_atomically(path, payload)
"""

# Writes over argv[1], but no file can be longer than argv[3] bytes. What happens to the
# process that tries is argv[4]: SIG_DFL kills it amid the write, SIG_IGN lets the write fail.
LIMITED = """
import resource, signal, sys
from pathlib import Path
from training.atomic_files import write_atomically

path, payload, most = Path(sys.argv[1]), Path(sys.argv[2]).read_bytes(), int(sys.argv[3])
signal.signal(signal.SIGXFSZ, getattr(signal, sys.argv[4]))
resource.setrlimit(resource.RLIMIT_FSIZE, (most, most))
try:
    write_atomically(path, payload)
except OSError as error:
    sys.exit(f"{error.filename}: {error.strerror}")
"""


def write(program: str, *arguments: object) -> subprocess.CompletedProcess[str]:
    """A process of its own that writes."""
    command = [sys.executable, "-c", program, *map(str, arguments)]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)


@pytest.fixture
def old(checkpoints: Path, tmp_path: Path) -> Path:
    """A good checkpoint, to be replaced; alone in its folder."""
    folder = tmp_path / "out"
    folder.mkdir()
    path = folder / "bigram.safetensors"
    path.write_bytes((checkpoints / path.name).read_bytes())
    return path


@pytest.fixture
def new(old: Path, tmp_path: Path) -> Path:
    """What is to replace it."""
    parts = Parts.of(old.read_bytes())
    path = tmp_path / "new"
    path.write_bytes(parts.change({}, {"weights": np.ones((27, 27), np.float32)}).seal())
    return path


def test_a_writer_killed_at_any_step_leaves_the_old_checkpoint_or_the_new(
    old: Path, new: Path
) -> None:
    contents = [old.read_bytes(), new.read_bytes()]
    found, status, steps = [], -signal.SIGKILL, 0
    while status == -signal.SIGKILL:
        steps += 1
        ended = write(KILLED_AT, old, new, steps)
        status = ended.returncode
        assert status in (0, -signal.SIGKILL), ended.stderr
        found.append(contents.index(old.read_bytes()))
        load(old.read_bytes())
        # The service does not take for a checkpoint what a killed writer left behind.
        assert list(old.parent.glob("*.safetensors")) == [old]
        if found[-1]:
            old.write_bytes(contents[0])
    assert steps > 10
    assert found == sorted(found)  # old up to some step, new from then on
    assert set(found) == {0, 1}
    assert found.count(1) > 1  # some were killed after it was in place


@pytest.mark.parametrize("share", [0.0, 0.01, 0.5, 0.99])
def test_a_writer_killed_amid_the_content_leaves_the_old_checkpoint(
    old: Path, new: Path, share: float
) -> None:
    before = old.read_bytes()
    ended = write(LIMITED, old, new, int(share * new.stat().st_size), "SIG_DFL")
    assert ended.returncode == -signal.SIGXFSZ
    assert old.read_bytes() == before
    write(LIMITED, old, new, resource.RLIM_INFINITY, "SIG_DFL")
    assert old.read_bytes() == new.read_bytes()


@pytest.mark.parametrize("share", [0.0, 0.01, 0.5, 0.99])
def test_a_write_that_fails_leaves_the_old_checkpoint_and_nothing_else(
    old: Path, new: Path, share: float
) -> None:
    before = old.read_bytes()
    ended = write(LIMITED, old, new, int(share * new.stat().st_size), "SIG_IGN")
    assert (ended.returncode, ended.stderr) == (1, f"{old}: File too large\n")
    assert old.read_bytes() == before
    assert list(old.parent.iterdir()) == [old]


@pytest.mark.parametrize("of_folder", [False, True], ids=["file", "folder"])
def test_a_failed_flush_of_the_file_leaves_the_old_content_and_one_of_the_folder_the_new(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, of_folder: bool
) -> None:
    path, flush = tmp_path / "model", os.fsync
    path.write_bytes(b"old")

    def fail(handle: int) -> None:
        if stat.S_ISDIR(os.fstat(handle).st_mode) == of_folder:
            raise OSError(errno.EIO, os.strerror(errno.EIO))
        flush(handle)

    monkeypatch.setattr("os.fsync", fail)
    handles = len([*Path("/proc/self/fd").iterdir()])
    with pytest.raises(OSError, match="Input/output error") as error:
        write_atomically(path, b"new")
    assert error.value.filename == str(path)
    assert path.read_bytes() == (b"new" if of_folder else b"old")
    assert list(tmp_path.iterdir()) == [path]
    assert len([*Path("/proc/self/fd").iterdir()]) == handles


UNREADABLE = """
import os, sys
from pathlib import Path
from training.atomic_files import write_atomically

if not os.getuid():
    os.setuid(10001)
try:
    write_atomically(Path(sys.argv[1]), b"new")
except OSError as error:
    sys.exit(f"{error.filename}: {error.strerror}")
"""


def test_a_folder_that_cannot_be_flushed_because_it_cannot_be_opened_is_not_written_to() -> None:
    with TemporaryDirectory() as folder:  # not tmp_path, where another user cannot go
        path = Path(folder) / "model"
        path.write_bytes(b"old")
        Path(folder).chmod(0o333)
        ended = write(UNREADABLE, path)
        Path(folder).chmod(0o777)
        assert (ended.returncode, ended.stderr) == (1, f"{path}: Permission denied\n")
        assert path.read_bytes() == b"old"
        assert list(Path(folder).iterdir()) == [path]


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of a megabyte."""
    folder = tmp_path / "disk"
    folder.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", str(folder)]
    try:
        mounted = subprocess.run(command, capture_output=True, text=True, check=False)
    except FileNotFoundError:
        pytest.skip("there is no mount here")
    if mounted.returncode:
        pytest.skip(f"a small disk cannot be mounted here: {mounted.stderr.splitlines()[0]}")
    yield folder
    subprocess.run(["umount", str(folder)], check=True)


def fill(folder: Path) -> None:
    """Leave no room on a disk."""
    with (folder / "filler").open("wb", buffering=0) as file, suppress(OSError):
        while True:
            file.write(b"-" * 4096)
    assert shutil.disk_usage(folder).free == 0


def test_a_full_disk_leaves_the_old_checkpoint_and_nothing_else(
    old: Path, new: Path, small_disk: Path
) -> None:
    before = old.read_bytes()
    path = small_disk / old.name
    path.write_bytes(before)
    fill(small_disk)
    ended = write(LIMITED, path, new, resource.RLIM_INFINITY, "SIG_IGN")
    assert (ended.returncode, ended.stderr) == (1, f"{path}: {OUT_OF_ROOM}\n")
    assert path.read_bytes() == before
    assert {found.name for found in small_disk.iterdir()} == {path.name, "filler"}


def test_the_job_on_a_full_disk_tells_so_in_a_line_and_leaves_the_old_checkpoint(
    old: Path, small_disk: Path, tmp_path: Path
) -> None:
    before = old.read_bytes()
    path = small_disk / old.name
    path.write_bytes(before)
    fill(small_disk)
    (tmp_path / "list").write_text("emma\nava\nmia\n")
    command = [sys.executable, "-m", "training", "--data", str(tmp_path / "list")]
    command += ["--out", str(small_disk), "--models", "bigram"]
    ended = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert ended.returncode == 2
    assert ended.stderr.splitlines()[-1] == f"error: {path}: {OUT_OF_ROOM}"
    assert path.read_bytes() == before
    assert {found.name for found in small_disk.iterdir()} == {path.name, "filler"}
