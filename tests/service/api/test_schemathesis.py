"""The OpenAPI document describes the service: schemathesis sends valid and invalid requests.

conformance.py beside this file has its hooks and an additional check.
"""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.http.server import PATIENCE, Server

HOOKS = Path(__file__).parent / "conformance.py"
# Examples for each operation, in each phase that generates them.
EXAMPLES = [4, pytest.param(60, marks=pytest.mark.slow)]


@pytest.fixture(scope="module", params=EXAMPLES)
def examples(request: pytest.FixtureRequest) -> int:
    """The number of examples."""
    number: int = request.param
    return number


@pytest.fixture(scope="module")
def report(server: Server, tmp_path_factory: pytest.TempPathFactory, examples: int) -> str:
    """The report of schemathesis on the running service, with all checks in all phases."""
    run = subprocess.run(
        [
            *(sys.executable, "-m", "schemathesis.cli", "run", f"{server.url}/openapi.json"),
            *("--checks", "all", "--phases", "examples,coverage,fuzzing,stateful"),
            *("--max-examples", str(examples), "--generation-deterministic"),
            *("--continue-on-failure", "--no-color"),
        ],
        env=os.environ | {"SCHEMATHESIS_HOOKS": str(HOOKS)},
        cwd=tmp_path_factory.mktemp("schemathesis"),  # for its files
        capture_output=True,
        text=True,
        timeout=10 * PATIENCE,
        check=False,
    )
    assert run.returncode == 0, run.stdout + run.stderr
    return run.stdout


def test_every_operation_conforms_to_the_document(
    report: str, server: Server, examples: int
) -> None:
    assert "No issues found" in report
    assert "Warnings" not in report  # about operations that could not be tested
    paths = server.get("/openapi.json").json()["paths"]
    methods = sum(len(path) for path in paths.values())
    assert f"Tested: {methods}\n" in report
    generated, passed = map(int, re.findall(r"(\d+) generated, (\d+) passed", report)[0])
    assert generated == passed > examples * methods
    assert "Traceback" not in server.log
