"""Atomic replacement of a file by writers that are killed or find the disk full."""

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

NO_SPACE = "No space left on device"

# Replaces argv[1] by the content of argv[2] and kills itself before the argv[3]th executed line.
KILLED_AT = """
import os, signal, sys
from pathlib import Path
from training import atomic_files

path, payload, lines = Path(sys.argv[1]), Path(sys.argv[2]).read_bytes(), int(sys.argv[3])

def trace(frame, event, argument):
    global lines
    if frame.f_code.co_filename != atomic_files.__file__:
        return None
    if event == "line":
        lines -= 1
        if not lines:
            os.kill(os.getpid(), signal.SIGKILL)
    return trace

sys.settrace(trace)
atomic_files.write_atomically(path, payload)
"""

# Replaces argv[1] by the content of argv[2] with a limit of argv[3] bytes for files. At the limit,
# the signal handler argv[4] applies: SIG_DFL kills the process, SIG_IGN makes the write fail.
LIMITED = """
import resource, signal, sys
from pathlib import Path
from training.atomic_files import write_atomically

path, payload, limit = Path(sys.argv[1]), Path(sys.argv[2]).read_bytes(), int(sys.argv[3])
signal.signal(signal.SIGXFSZ, getattr(signal, sys.argv[4]))
resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))
try:
    write_atomically(path, payload)
except OSError as error:
    sys.exit(f"{error.filename}: {error.strerror}")
"""


def write(program: str, *arguments: object) -> subprocess.CompletedProcess[str]:
    """Run a program that writes, in a process of its own."""
    command = [sys.executable, "-c", program, *map(str, arguments)]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)


@pytest.fixture
def old(checkpoints: Path, tmp_path: Path) -> Path:
    """A valid checkpoint to replace, the only file of its folder."""
    folder = tmp_path / "out"
    folder.mkdir()
    path = folder / "bigram.safetensors"
    path.write_bytes((checkpoints / path.name).read_bytes())
    return path


@pytest.fixture
def new(old: Path, tmp_path: Path) -> Path:
    """Another valid checkpoint, in another folder."""
    parts = Parts.of(old.read_bytes())
    path = tmp_path / "new"
    path.write_bytes(parts.change({}, {"weights": np.ones((27, 27), np.float32)}).seal())
    return path


def test_a_writer_killed_at_any_line_leaves_the_old_checkpoint_or_the_new(
    old: Path, new: Path
) -> None:
    contents = [old.read_bytes(), new.read_bytes()]
    results, status, lines = [], -signal.SIGKILL, 0
    while status == -signal.SIGKILL:
        lines += 1
        process = write(KILLED_AT, old, new, lines)
        status = process.returncode
        assert status in (0, -signal.SIGKILL), process.stderr
        results.append(contents.index(old.read_bytes()))
        load(old.read_bytes())
        # A killed writer leaves no file that the service reads as a checkpoint.
        assert list(old.parent.glob("*.safetensors")) == [old]
        if results[-1]:
            old.write_bytes(contents[0])
    assert lines > 10
    assert results == sorted(results)  # old up to some line, new from then on
    assert set(results) == {0, 1}
    assert results.count(1) > 1  # some writers were killed after the rename


@pytest.mark.parametrize("share", [0.0, 0.01, 0.5, 0.99])
def test_a_writer_killed_during_the_write_leaves_the_old_checkpoint(
    old: Path, new: Path, share: float
) -> None:
    before = old.read_bytes()
    process = write(LIMITED, old, new, int(share * new.stat().st_size), "SIG_DFL")
    assert process.returncode == -signal.SIGXFSZ
    assert old.read_bytes() == before
    write(LIMITED, old, new, resource.RLIM_INFINITY, "SIG_DFL")
    assert old.read_bytes() == new.read_bytes()


@pytest.mark.parametrize("share", [0.0, 0.01, 0.5, 0.99])
def test_a_failed_write_leaves_only_the_old_checkpoint(old: Path, new: Path, share: float) -> None:
    before = old.read_bytes()
    process = write(LIMITED, old, new, int(share * new.stat().st_size), "SIG_IGN")
    assert (process.returncode, process.stderr) == (1, f"{old}: File too large\n")
    assert old.read_bytes() == before
    assert list(old.parent.iterdir()) == [old]


@pytest.mark.parametrize("of_folder", [False, True], ids=["file", "folder"])
def test_a_failed_flush_of_the_file_leaves_the_old_content_and_of_the_folder_the_new(
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


def test_a_folder_that_cannot_be_opened_remains_unchanged() -> None:
    with TemporaryDirectory() as folder:  # other users have no access to tmp_path
        path = Path(folder) / "model"
        path.write_bytes(b"old")
        Path(folder).chmod(0o333)
        process = write(UNREADABLE, path)
        Path(folder).chmod(0o777)
        assert (process.returncode, process.stderr) == (1, f"{path}: Permission denied\n")
        assert path.read_bytes() == b"old"
        assert list(Path(folder).iterdir()) == [path]


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of one megabyte."""
    folder = tmp_path / "disk"
    folder.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", str(folder)]
    try:
        mounted = subprocess.run(command, capture_output=True, text=True, check=False)
    except FileNotFoundError:
        pytest.skip("the command mount is missing")
    if mounted.returncode:
        pytest.skip(f"cannot mount a small disk: {mounted.stderr.splitlines()[0]}")
    yield folder
    subprocess.run(["umount", str(folder)], check=True)


def fill(folder: Path) -> None:
    """Fill a disk."""
    with (folder / "filler").open("wb", buffering=0) as file, suppress(OSError):
        while True:
            file.write(b"-" * 4096)
    assert shutil.disk_usage(folder).free == 0


def test_a_full_disk_leaves_only_the_old_checkpoint(old: Path, new: Path, small_disk: Path) -> None:
    before = old.read_bytes()
    path = small_disk / old.name
    path.write_bytes(before)
    fill(small_disk)
    process = write(LIMITED, path, new, resource.RLIM_INFINITY, "SIG_IGN")
    assert (process.returncode, process.stderr) == (1, f"{path}: {NO_SPACE}\n")
    assert path.read_bytes() == before
    assert {file.name for file in small_disk.iterdir()} == {path.name, "filler"}


def test_the_job_reports_a_full_disk_and_leaves_the_old_checkpoint(
    old: Path, small_disk: Path, tmp_path: Path
) -> None:
    before = old.read_bytes()
    path = small_disk / old.name
    path.write_bytes(before)
    fill(small_disk)
    (tmp_path / "list").write_text("emma\nava\nmia\n")
    command = [sys.executable, "-m", "training", "--data", str(tmp_path / "list")]
    command += ["--out", str(small_disk), "--models", "bigram"]
    process = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert process.returncode == 2
    assert process.stderr.splitlines()[-1] == f"error: {path}: {NO_SPACE}"
    assert path.read_bytes() == before
    assert {file.name for file in small_disk.iterdir()} == {path.name, "filler"}
