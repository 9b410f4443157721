"""The process of the server: its libraries and its memory."""

from pathlib import Path

import httpx

from tests.support.http.server import Server


def test_the_server_runs_on_uvloop_and_httptools_without_a_server_header(
    client: httpx.Client, server: Server
) -> None:
    mapped = (Path("/proc") / str(server.process.pid) / "maps").read_text()
    assert "uvloop" in mapped
    assert "httptools" in mapped
    assert "server" not in client.get("/healthz").headers


def test_the_process_uses_little_memory_and_no_torch(checkpoints: Path) -> None:
    with Server(MONIKER_CHECKPOINTS=str(checkpoints)) as server:
        assert server.resident < 130 * 1024  # kB
        assert "torch" not in (Path("/proc") / str(server.process.pid) / "maps").read_text()
