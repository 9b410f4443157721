"""Fixtures of the tests of the page."""

import pytest

from tests.support.http.server import Server


@pytest.fixture(scope="module", autouse=True)
def known_laws(server: Server) -> None:
    """What the first visitor waits for. If several were the first at once, and had left before it
    is known, the next one would be refused and have to try again."""
    for model in ("bigram", "positional", "sinusoidal", "fivegram"):
        constraints = {"model": model, "max_length": "64"}
        server.get("/lengths", params=constraints, timeout=60).raise_for_status()
