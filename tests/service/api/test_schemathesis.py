"""The OpenAPI document is true: schemathesis asks for all that it allows and much that it does not.

tests/conformance.py tells it what a schema cannot say, and has a check besides its own.
"""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.http.server import PATIENCE, Server

HOOKS = Path(__file__).parent / "conformance.py"
# Of each method of each path, in each phase that draws them.
EXAMPLES = [4, pytest.param(60, marks=pytest.mark.slow)]


@pytest.fixture(scope="module", params=EXAMPLES)
def examples(request: pytest.FixtureRequest) -> int:
    """How many examples there are."""
    number: int = request.param
    return number


@pytest.fixture(scope="module")
def told(server: Server, tmp_path_factory: pytest.TempPathFactory, examples: int) -> str:
    """What schemathesis tells of the running service, with all checks in all phases."""
    run = subprocess.run(
        [
            *(sys.executable, "-m", "schemathesis.cli", "run", f"{server.url}/openapi.json"),
            *("--checks", "all", "--phases", "examples,coverage,fuzzing,stateful"),
            *("--max-examples", str(examples), "--generation-deterministic"),
            *("--continue-on-failure", "--no-color"),
        ],
        env=os.environ | {"SCHEMATHESIS_HOOKS": str(HOOKS)},
        cwd=tmp_path_factory.mktemp("schemathesis"),  # where it leaves its files
        capture_output=True,
        text=True,
        timeout=10 * PATIENCE,
        check=False,
    )
    assert run.returncode == 0, run.stdout + run.stderr
    return run.stdout


def test_every_operation_does_what_is_documented_and_nothing_crashes(
    told: str, server: Server, examples: int
) -> None:
    assert "No issues found" in told
    assert "Warnings" not in told  # which tell of what could not be tried
    paths = server.get("/openapi.json").json()["paths"]
    methods = sum(len(path) for path in paths.values())
    assert f"Tested: {methods}\n" in told
    generated, passed = map(int, re.findall(r"(\d+) generated, (\d+) passed", told)[0])
    assert generated == passed > examples * methods
    assert "Traceback" not in server.log
