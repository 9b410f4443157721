"""Fixtures of the tests of the page."""

import pytest

from tests.support.http.server import Server


@pytest.fixture(scope="module", autouse=True)
def cached_lengths(server: Server) -> None:
    """Compute the distributions of lengths before the first visit, which are slow when new.

    Otherwise several first visitors that leave early would make the next one wait and retry.
    """
    for model in ("bigram", "positional", "sinusoidal", "fivegram"):
        constraints = {"model": model, "max_length": "64"}
        server.get("/lengths", params=constraints, timeout=60).raise_for_status()
