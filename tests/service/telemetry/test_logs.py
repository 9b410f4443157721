"""The log of a running service."""

import httpx

from tests.support.http.server import Server


def test_the_log_contains_no_names(client: httpx.Client, server: Server) -> None:
    client.get("/score?name=secretname7531").raise_for_status()
    assert "serving positional, checkpoint" in server.log
    assert "secretname7531" not in server.log
