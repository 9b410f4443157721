"""Problems: invalid requests are rejected with the fields at fault, and faults without details."""

import asyncio
import gzip
import urllib.error
import urllib.request
from pathlib import Path

import httpx
import pytest

from service.app import create_app
from service.settings import Settings
from tests.support.http.problems import fields, problem
from tests.support.http.server import PATIENCE, Server
from tests.support.http.wire import Wire


class TestProblems:
    @pytest.mark.parametrize(
        ("query", "field"),
        [
            ("n=0", "n"),
            (f"n={10**9}", "n"),
            ("n=many", "n"),
            (f"n={'9' * 5000}", "n"),
            ("temperature=0", "temperature"),
            ("temperature=0.0499", "temperature"),
            ("temperature=10.1", "temperature"),
            ("temperature=NaN", "temperature"),
            ("temperature=Infinity", "temperature"),
            ("temperature=1e999", "temperature"),
            ("max_length=0", "max_length"),
            ("max_length=65", "max_length"),
            ("seed=-1", "seed"),
            (f"seed={2**53}", "seed"),
            ("colour=red", "colour"),
            ("n=1&n=2", "n"),
        ],
    )
    def test_a_problem_names_the_invalid_field_of_a_query(
        self, client: httpx.Client, query: str, field: str
    ) -> None:
        reply = client.get(f"/sample?{query}")
        content = problem(reply, 422)
        assert fields(content) == [field]
        assert str(content["detail"]).startswith(f"{field}: ")

    @pytest.mark.parametrize(
        ("body", "field"),
        [
            ('{"n": 0}', "n"),
            ('{"n": 1e9}', "n"),
            ('{"temperature": NaN}', "temperature"),
            ('{"temperature": -Infinity}', "temperature"),
            ('{"temperature": 1e999}', "temperature"),
            ('{"n": "5"}', "n"),
            ('{"seed": true}', "seed"),
            ('{"temperature": "1"}', "temperature"),
            ('{"secret-7531": 1}', "secret-7531"),
            ('{"n": "secret-7531"}', "n"),
            ('{"model": ["secret-7531"]}', "model"),
            ('["secret-7531"]', "body"),
            ("null", "body"),
        ],
    )
    def test_a_problem_names_the_invalid_field_of_a_body(
        self, client: httpx.Client, body: str, field: str
    ) -> None:
        headers = {"Content-Type": "application/json"}
        reply = client.post("/sample", content=body, headers=headers)
        assert fields(problem(reply, 422)) == [field]
        assert field == "secret-7531" or "secret-7531" not in reply.text

    def test_a_very_long_field_name_is_truncated(self, client: httpx.Client) -> None:
        reply = client.post("/sample", json={"x" * 1000: 1})
        assert fields(problem(reply, 422)) == ["x" * 100]

    @pytest.mark.parametrize(
        "body", ["", "secret-7531", '{"n": 5', '{"n": 5}{', "\x00", '{"\\ud800": 1}']
    )
    def test_a_body_that_is_not_json_is_400(self, client: httpx.Client, body: str) -> None:
        headers = {"Content-Type": "application/json"}
        reply = client.post("/score", content=body, headers=headers)
        content = problem(reply, 400)
        assert fields(content) == ["body"]
        assert "secret-7531" not in reply.text

    @pytest.mark.parametrize(
        "body",
        [
            b"\xff\xfe{",
            b'{"n": ' + b"9" * 5000 + b"}",
            b"[" * 10_000,
            gzip.compress(b"{}", mtime=0),
        ],
    )
    def test_a_body_that_a_json_parser_rejects_is_400(
        self, client: httpx.Client, body: bytes
    ) -> None:
        headers = {"Content-Type": "application/json"}
        content = problem(client.post("/score", content=body, headers=headers), 400)
        assert fields(content) == ["body"]

    @pytest.mark.parametrize("media", ["text/plain", "application/x-www-form-urlencoded", ""])
    def test_a_body_without_the_media_type_of_json_is_415(
        self, client: httpx.Client, media: str
    ) -> None:
        reply = client.post("/sample", content='{"n": 2}', headers={"Content-Type": media})
        assert "Content-Type: application/json" in str(problem(reply, 415)["detail"])

    @pytest.mark.parametrize(
        ("path", "most", "detail"),
        [
            *(
                (path, 64 * 1024, "The body must be at most 65,536 bytes.")
                for path in ("/sample", "/top", "/lengths", "/transitions", "/next")
            ),
            ("/score", 2_600_000, "at most 2,600,000 bytes; send more names as lines."),
        ],
    )
    def test_a_body_longer_than_the_limit_is_413(
        self, client: httpx.Client, path: str, most: int, detail: str
    ) -> None:
        headers = {"Content-Type": "application/json"}
        for size, status in ((most, 400), (most + 1, 413)):
            body = b"[" + b" " * (size - 1)
            packed = {**headers, "Content-Encoding": "gzip"}
            replies = [
                client.post(path, content=body, headers=headers),
                client.post(path, content=iter([body]), headers=headers),
                client.post(path, content=gzip.compress(body), headers=packed),
            ]
            details = [str(problem(reply, status)["detail"]) for reply in replies]
            assert status == 400 or all(found.endswith(detail) for found in details)

    def test_a_content_length_above_the_limit_is_rejected_before_the_body_is_sent(
        self, server: Server
    ) -> None:
        head = b"POST /sample HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\n"
        with Wire(server) as wire:
            wire.send(head + b"Expect: 100-continue\r\nContent-Length: 65537\r\n\r\n")
            assert wire.reply().status == 413  # and no 100 before it

    def test_lines_have_no_limit_of_size(self, client: httpx.Client) -> None:
        lines = b"emma\n" + (b"x" * 10_000 + b"\n") * 1_000 + b"olivia\n"
        reply = client.post("/score", content=lines, headers={"Content-Type": "text/plain"})
        assert reply.text.count("\n") == 1_002
        assert reply.text.endswith("\tolivia\n")

    def test_a_client_that_closes_the_connection_receives_the_413(self, server: Server) -> None:
        headers = {"Content-Type": "application/json"}  # and Connection: close
        asked = urllib.request.Request(f"{server.url}/score", b" " * 9_000_000, headers)
        with pytest.raises(urllib.error.HTTPError, match="413"):
            urllib.request.urlopen(asked, timeout=PATIENCE)

    def test_a_problem_contains_at_most_20_errors(self, client: httpx.Client) -> None:
        unknown = {f"key{number}": 1 for number in range(5_000)}
        content = problem(client.post("/score", json={"names": ["emma"], **unknown}), 422)
        assert fields(content) == [f"key{number}" for number in range(20)]
        assert "and 4999 more" in str(content["detail"])
        content = problem(client.get("/sample", params={**dict([*unknown.items()][:2_000])}), 422)
        assert fields(content) == [f"key{number}" for number in range(20)]
        assert "and 1999 more" in str(content["detail"])

    def test_a_problem_contains_the_first_error_of_a_list(self, client: httpx.Client) -> None:
        content = problem(client.post("/score", json={"names": ["emma", 1, 2]}), 422)
        assert fields(content) == ["names.1"]
        content = problem(client.post("/sample", json={"exclude": ["a", "", 2]}), 422)
        assert fields(content) == ["exclude.1"]

    def test_a_body_with_too_many_values_is_rejected(self, client: httpx.Client) -> None:
        content = problem(client.post("/score", json={"names": ["a"] * 20_000}), 422)
        assert "at most 10,000 values; send more names as lines" in str(content["detail"])
        names = [
            '[,":{\\' * 32,
            "a\\",
            '\\"',
        ] * 3_000  # commas and brackets in strings are not values
        scored = client.post("/score", json={"names": names}).raise_for_status().json()
        assert [score["name"] for score in scored["scores"]] == names

    def test_a_problem_contains_both_unknown_fields_and_invalid_values(
        self, client: httpx.Client
    ) -> None:
        content = problem(client.post("/sample", json={"n": 0, "secret": 1, "top_k": "a"}), 422)
        assert fields(content) == ["top_k", "n", "secret"]
        content = problem(client.get("/sample?n=0&secret=1&seed=1&seed=2"), 422)
        assert fields(content) == ["n", "secret", "seed"]

    def test_an_unknown_field_that_is_repeated_is_unknown(self, client: httpx.Client) -> None:
        replies = [
            client.get("/score?name=a&name[]=b&name[]=c"),
            client.get("/models?name[]=b&name[]=c"),
            client.post(
                "/score",
                content='{"names": ["a"], "name[]": 1, "name[]": 2}',
                headers={"Content-Type": "application/json"},
            ),
        ]
        for reply in replies:
            content = problem(reply, 422)
            assert fields(content) == ["name[]"]
            assert content["detail"] == "name[]: There is no such field"

    def test_a_query_beside_a_body_is_rejected(self, client: httpx.Client) -> None:
        content = problem(client.post("/sample?n=5", json={}), 422)
        assert fields(content) == ["n"]
        assert "in the body" in str(content["detail"])

    @pytest.mark.parametrize(
        ("path", "body", "field"),
        [
            ("/sample", '{"n": 1, "seed": 1, "n": 2}', "n"),
            ("/next", '{"prefix": "e", "prefix": "e"}', "prefix"),
            ("/top", '{"n": 1, "\\u006e": 2}', "n"),
            ("/score", '{"names": ["emma"], "explain": true, "names": ["a:b"]}', "names"),
        ],
    )
    def test_a_problem_names_the_repeated_field_of_a_body(
        self, client: httpx.Client, path: str, body: str, field: str
    ) -> None:
        headers = {"Content-Type": "application/json"}
        content = problem(client.post(path, content=body, headers=headers), 422)
        assert fields(content) == [field]
        assert content["detail"] == f"{field}: This field occurs more than once"

    def test_colons_in_names_are_not_repeated_fields(self, client: httpx.Client) -> None:
        reply = client.post("/score", json={"names": ['a": 1, "names": ["b', ":"]})
        assert len(reply.raise_for_status().json()["scores"]) == 2

    @pytest.mark.parametrize(
        "query", ["name=%FF", "name=a&name=%C3", "name=%ED%A0%80", "%FF=1", "name=%C3&%A9=1"]
    )
    @pytest.mark.parametrize("path", ["/score", "/next", "/models", "/healthz"])
    def test_a_query_that_is_not_utf_8_is_rejected(
        self, client: httpx.Client, path: str, query: str
    ) -> None:
        assert fields(problem(client.get(f"{path}?{query}"), 422)) == ["query"]

    def test_a_query_in_utf_8_is_decoded(self, client: httpx.Client) -> None:
        reply = client.get("/score?name=Ren%C3%A9e+%F0%9F%98%80%25").raise_for_status().json()
        assert reply["scores"][0]["name"] == "Renée 😀%"

    def test_a_query_of_separators_has_no_fields(self, client: httpx.Client) -> None:
        for path in ("/healthz", "/models", "/lengths"):
            assert client.get(f"{path}?&").json() == client.get(path).json()
        assert client.post("/lengths?&", json={}).json() == client.get("/lengths").json()

    @pytest.mark.parametrize("path", ["/healthz", "/readyz", "/models", "/models/bigram"])
    def test_paths_without_fields_reject_any_field(self, client: httpx.Client, path: str) -> None:
        assert fields(problem(client.get(f"{path}?verbose=1"), 422)) == ["verbose"]

    def test_unknown_paths_are_problems(self, client: httpx.Client) -> None:
        problem(client.get("/nowhere"), 404)
        problem(client.get("/sample/"), 404)

    @pytest.mark.parametrize(
        ("path", "methods"),
        [
            ("/sample", "GET, HEAD, POST"),
            ("/score", "GET, HEAD, POST"),
            ("/models", "GET, HEAD"),
            ("/models/nobody", "GET, HEAD"),
            ("/healthz", "GET, HEAD"),
            ("/openapi.json", "GET, HEAD"),
            ("/docs", "GET, HEAD"),
        ],
    )
    def test_an_unsupported_method_is_405_with_the_allowed_methods(
        self, client: httpx.Client, path: str, methods: str
    ) -> None:
        for method in ("DELETE", "OPTIONS", "PATCH"):
            reply = client.request(method, path)
            problem(reply, 405)
            assert reply.headers["allow"] == methods

    @pytest.mark.parametrize("name", ["%FF", "%ED%A0%80", "%00", "secret-7531"])
    def test_invalid_bytes_in_a_path_are_an_unknown_model(
        self, client: httpx.Client, name: str
    ) -> None:
        reply = client.get(f"/models/{name}")
        assert fields(problem(reply, 404)) == ["model"]
        assert "secret-7531" not in reply.text


def test_a_crash_is_a_problem_without_details(checkpoints: Path) -> None:
    app = create_app(Settings(checkpoints=checkpoints))

    @app.get("/crash")
    async def crash() -> None:
        raise RuntimeError("secret-7531")

    async def ask() -> httpx.Response:
        transport = httpx.ASGITransport(app, raise_app_exceptions=False)
        async with httpx.AsyncClient(transport=transport, base_url="http://moniker") as asking:
            return await asking.get("/crash")

    reply = asyncio.run(ask())
    problem(reply, 500)
    assert "secret-7531" not in reply.text
