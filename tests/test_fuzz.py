"""A few seconds of fuzzing in child processes; `make fuzz` takes longer."""

import importlib.util
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.paths import ROOT

SECONDS = [2, pytest.param(20, marks=pytest.mark.slow)]


def fuzz(*arguments: str) -> subprocess.CompletedProcess[str]:
    if importlib.util.find_spec("atheris") is None:
        pytest.skip("atheris is not installed; it has no wheel for this platform")
    command = [sys.executable, "-m", "fuzz", *arguments]
    return subprocess.run(
        command, cwd=ROOT, capture_output=True, text=True, errors="replace", check=False
    )


@pytest.mark.parametrize("seconds", SECONDS)
@pytest.mark.parametrize("target", ["pattern", "checkpoint"])
def test_no_input_fails_within_seconds(target: str, seconds: int) -> None:
    ended = fuzz(target, str(seconds))
    assert ended.returncode == 0, ended.stderr
    done = re.search(r"Done (\d+) runs", ended.stderr)
    assert done, ended.stderr
    assert int(done[1]) > 20, ended.stderr


@pytest.mark.parametrize("target", ["pattern", "checkpoint"])
def test_a_saved_input_can_be_checked_again(target: str, tmp_path: Path) -> None:
    (tmp_path / "input").write_bytes(b"[a-c]*")
    ended = fuzz(target, str(tmp_path / "input"))
    assert ended.returncode == 0, ended.stderr


def test_an_unknown_target_prints_the_usage() -> None:
    ended = fuzz("everything", "5")
    assert ended.returncode == 2
    assert ended.stderr.endswith("checks it again.\n\n")
