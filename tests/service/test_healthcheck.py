"""The HEALTHCHECK of the image, against a real service."""

import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.http.server import PATIENCE, Server, environment
from tests.support.http.wire import until


def check(**settings: str) -> subprocess.CompletedProcess[str]:
    """Run the check with the settings of a service."""
    command = [sys.executable, "-m", "service.healthcheck"]
    return subprocess.run(
        command,
        env=environment(**settings),
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=False,
    )


@pytest.mark.parametrize("host", ["127.0.0.1", "0.0.0.0"])
def test_a_service_that_is_ready_is_healthy(server: Server, host: str) -> None:
    checked = check(MONIKER_HOST=host, MONIKER_PORT=str(server.port))
    assert (checked.returncode, checked.stderr) == (0, "")


def test_the_check_needs_no_key(small_checkpoints: Path) -> None:
    settings = {"MONIKER_CHECKPOINTS": str(small_checkpoints), "MONIKER_API_KEYS": "a-key"}
    with Server(**settings) as server:
        assert server.get("/sample").status_code == 401
        assert check(**settings, MONIKER_PORT=str(server.port)).returncode == 0


def test_a_service_at_a_unix_socket_is_checked(small_checkpoints: Path, tmp_path: Path) -> None:
    settings = {
        "MONIKER_CHECKPOINTS": str(small_checkpoints),
        "MONIKER_HOST": f"unix:{tmp_path}/socket",
    }
    assert check(**settings).returncode == 1
    command = [sys.executable, "-m", "service"]
    with subprocess.Popen(command, env=environment(**settings)) as service:
        try:
            until(lambda: check(**settings).returncode == 0)
        finally:
            service.terminate()


def test_a_service_that_is_not_ready_is_unhealthy_with_the_reason(small_checkpoints: Path) -> None:
    settings = {"MONIKER_CHECKPOINTS": str(small_checkpoints), "MONIKER_DEFAULT_MODEL": "other"}
    with Server(**settings) as server:
        checked = check(**settings, MONIKER_PORT=str(server.port))
    assert checked.returncode == 1
    assert "other" in checked.stderr


def test_without_a_service_the_check_fails_with_one_line(server: Server) -> None:
    checked = check(MONIKER_HOST="127.0.0.2", MONIKER_PORT=str(server.port))
    assert checked.returncode == 1
    assert checked.stderr == "no response: [Errno 111] Connection refused\n"
