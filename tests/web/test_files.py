"""Tests of the files of the page: headers, caching, methods and size."""

import re

import httpx
import pytest

from tests.support.paths import ROOT

WEB = ROOT / "service" / "web"


class TestFiles:
    def test_files_have_strict_security_headers(self, client: httpx.Client) -> None:
        for path in ("/", "/assets/page.js", "/docs"):
            headers = client.get(path).raise_for_status().headers
            assert headers["x-content-type-options"] == "nosniff"
            assert headers["content-security-policy"] == (
                "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; "
                "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
            )

    def test_a_browser_revalidates_its_copy_each_time(self, client: httpx.Client) -> None:
        first = client.get("/")
        assert first.headers["cache-control"] == "no-cache"
        again = client.get("/", headers={"If-None-Match": first.headers["etag"]})
        assert (again.status_code, again.content) == (304, b"")

    @pytest.mark.parametrize(
        "path",
        ["/assets/", "/assets", "/web/index.html", "/assets/../../app.py", "/%2e%2e/app.py",
         "/assets/%00", "/" + "a" * 3000, "/%ff", "/index.html", "/assets/page.js/"],
    )  # fmt: skip
    def test_other_paths_are_not_found(self, client: httpx.Client, path: str) -> None:
        reply = client.get(path)
        assert reply.status_code == 404
        assert reply.headers["content-type"] == "application/problem+json"

    def test_only_get_and_head_are_allowed(self, client: httpx.Client) -> None:
        reply = client.post("/", content="x")
        assert reply.status_code == 405
        assert reply.headers["allow"] == "GET, HEAD"
        assert client.head("/").status_code == 200

    def test_each_script_is_short(self) -> None:
        scripts = [*(WEB / "assets").rglob("*.js")]
        assert len(scripts) > 10
        for path in scripts:
            lines = path.read_text().splitlines()
            code = [line for line in lines if not re.fullmatch(r"\s*(//.*|/?\*.*)?", line)]
            assert len(code) < 200, path.name
            assert max(map(len, lines)) <= 120, path.name
