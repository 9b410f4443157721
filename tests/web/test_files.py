"""Tests of the files of the page: headers, caching, methods and size."""

import re

import httpx
import pytest

from tests.support.paths import ROOT

WEB = ROOT / "service" / "web"


class TestFiles:
    def test_they_are_strict_about_what_they_load(self, client: httpx.Client) -> None:
        for path in ("/", "/assets/page.js", "/docs"):
            headers = client.get(path).raise_for_status().headers
            assert headers["x-content-type-options"] == "nosniff"
            assert headers["content-security-policy"] == (
                "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; "
                "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
            )

    def test_a_browser_asks_each_time_and_is_told_that_nothing_changed(
        self, client: httpx.Client
    ) -> None:
        first = client.get("/")
        assert first.headers["cache-control"] == "no-cache"
        again = client.get("/", headers={"If-None-Match": first.headers["etag"]})
        assert (again.status_code, again.content) == (304, b"")

    @pytest.mark.parametrize(
        "path",
        ["/assets/", "/assets", "/web/index.html", "/assets/../../app.py", "/%2e%2e/app.py",
         "/assets/%00", "/" + "a" * 3000, "/%ff", "/index.html", "/assets/page.js/"],
    )  # fmt: skip
    def test_nothing_else_is_served(self, client: httpx.Client, path: str) -> None:
        reply = client.get(path)
        assert reply.status_code == 404
        assert reply.headers["content-type"] == "application/problem+json"

    def test_it_is_only_read(self, client: httpx.Client) -> None:
        reply = client.post("/", content="x")
        assert reply.status_code == 405
        assert reply.headers["allow"] == "GET, HEAD"
        assert client.head("/").status_code == 200

    def test_each_program_can_be_read_in_one_sitting(self) -> None:
        for path in WEB.rglob("assets/**/*.js"):
            lines = path.read_text().splitlines()
            code = [line for line in lines if not re.fullmatch(r"\s*(//.*|/?\*.*)?", line)]
            assert len(code) < 200, path.name
            assert max(map(len, lines)) <= 120, path.name
