"""The OpenAPI document is true: schemathesis asks for all that it allows and much that it does not.

tests/conformance.py tells it what a schema cannot say, and has a check besides its own.
"""

import os
import re
import subprocess
import sys
from pathlib import Path

import httpx
import pytest

from server import Server

HOOKS = Path(__file__).parent / "conformance.py"
EXAMPLES = 60  # of each method of each path, in each phase that draws them
PATIENCE = 300  # seconds, for what takes about 20 of them


@pytest.fixture(scope="module")
def told(server: Server, tmp_path_factory: pytest.TempPathFactory) -> str:
    """What schemathesis tells of the running service, with all checks in all phases."""
    run = subprocess.run(
        [
            *(sys.executable, "-m", "schemathesis.cli", "run", f"{server.url}/openapi.json"),
            *("--checks", "all", "--phases", "examples,coverage,fuzzing,stateful"),
            *("--max-examples", str(EXAMPLES), "--generation-deterministic"),
            *("--continue-on-failure", "--no-color"),
        ],
        env=os.environ | {"SCHEMATHESIS_HOOKS": str(HOOKS)},
        cwd=tmp_path_factory.mktemp("schemathesis"),  # where it leaves its files
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=False,
    )
    assert run.returncode == 0, run.stdout + run.stderr
    return run.stdout


def test_nothing_is_otherwise_than_documented(told: str) -> None:
    assert "No issues found" in told
    assert "Warnings" not in told  # which tell of what could not be tried


def test_every_method_of_every_path_was_asked(told: str, client: httpx.Client) -> None:
    paths = client.get("/openapi.json").json()["paths"]
    methods = sum(len(path) for path in paths.values())
    assert f"Tested: {methods}\n" in told
    generated, passed = map(int, re.findall(r"(\d+) generated, (\d+) passed", told)[0])
    assert generated == passed > EXAMPLES * methods


def test_nothing_of_it_was_a_crash(told: str, server: Server) -> None:
    assert told
    assert "Traceback" not in server.log
