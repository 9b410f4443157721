"""Observability: request ids, the log, the metrics and the headers of every reply."""

import json
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from prometheus_client.parser import text_string_to_metric_families

from service.web.page import asset_files
from tests.support.http.server import PATIENCE, PLAIN, Server, environment
from tests.support.http.wire import until

TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"
HEX = re.compile("[0-9a-f]{32}")
PORT = re.compile(r"running on http://127\.0\.0\.1:(\d+)")


def samples(server: Server) -> dict[tuple[str, tuple[tuple[str, str], ...]], float]:
    """The metrics of a service: (name, labels) -> value."""
    text = server.get("/metrics").raise_for_status().text
    return {
        (sample.name, tuple(sorted(sample.labels.items()))): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


def increase(server: Server, path: str, name: str, **labels: str) -> float:
    """The increase of a metric by a request."""
    key = name, tuple(sorted(labels.items()))
    before = samples(server).get(key, 0)
    server.get(path)
    return samples(server).get(key, 0) - before


def logged(server: Server, request_id: str) -> dict[str, object]:
    """The log line of a request, which is written after its reply."""
    until(lambda: request_id in server.log)
    (line,) = [json.loads(line) for line in server.log.splitlines() if request_id in line]
    assert isinstance(line, dict)
    return line


class TestRequestIds:
    def test_a_request_without_an_id_gets_one(self, client: httpx.Client) -> None:
        first, second = (client.get("/healthz").headers["x-request-id"] for _ in range(2))
        assert HEX.fullmatch(first)
        assert first != second

    def test_the_id_of_a_request_is_in_its_reply_and_in_the_log(
        self, client: httpx.Client, server: Server
    ) -> None:
        reply = client.get("/nowhere", headers={"X-Request-ID": "shop-7:a/b"})
        assert reply.headers["x-request-id"] == "shop-7:a/b"
        assert logged(server, "shop-7:a/b")["status"] == 404

    @pytest.mark.parametrize("request_id", ['"quoted"', "back\\slash", "x" * 129, "two words", ""])
    def test_an_invalid_id_is_replaced(self, client: httpx.Client, request_id: str) -> None:
        headers = {"X-Request-ID": request_id}
        assert HEX.fullmatch(client.get("/healthz", headers=headers).headers["x-request-id"])

    def test_the_trace_id_of_a_request_is_in_its_log_line(
        self, client: httpx.Client, server: Server
    ) -> None:
        parent = f"00-{TRACE}-00f067aa0ba902b7-01"
        client.get("/healthz", headers={"traceparent": parent, "X-Request-ID": "traced-1"})
        assert logged(server, "traced-1")["trace_id"] == TRACE

    @pytest.mark.parametrize(
        "parent", [f"00-{'0' * 32}-00f067aa0ba902b7-01", f"ff-{TRACE}-00f067aa0ba902b7-01", "x"]
    )
    def test_an_invalid_traceparent_is_ignored(
        self, client: httpx.Client, server: Server, parent: str
    ) -> None:
        request_id = f"untraced-{len(parent)}-{parent[:2]}"
        client.get("/healthz", headers={"traceparent": parent, "X-Request-ID": request_id})
        assert "trace_id" not in logged(server, request_id)


class TestLog:
    def test_every_line_is_json_with_its_time_and_level(self, server: Server) -> None:
        server.get("/healthz")
        for line in server.log.splitlines():
            fields = json.loads(line)
            assert {"time", "level", "pid", "logger", "message"} <= fields.keys()

    def test_a_request_has_one_line(self, client: httpx.Client, server: Server) -> None:
        client.post("/score", json={"names": ["x"]}, headers={"X-Request-ID": "one-line"})
        line = logged(server, "one-line")
        assert line["method"] == "POST"
        assert line["route"] == "/score"
        assert line["status"] == 200
        assert line["logger"] == "moniker.requests"
        assert isinstance(line["seconds"], float)
        assert 0 < line["seconds"] < 5

    def test_no_line_contains_a_name(self, client: httpx.Client, server: Server) -> None:
        secret = "secretname7531"
        client.get(f"/score?name={secret}").raise_for_status()
        client.get(f"/score?nam={secret}")
        client.get(f"/models/{secret}")
        client.get(f"/{secret}")
        client.post(
            "/score",
            content=f'{{"names": ["{secret}"',
            headers={"Content-Type": "application/json"},
        )
        client.post("/score", content=secret, headers={"Content-Type": "text/plain"})
        client.get(f"/sample?pattern={secret}")
        client.request("GET", "/healthz", headers={"X-Request-ID": f'"{secret}"'})
        assert secret not in server.log

    def test_requests_are_not_logged_if_the_setting_is_off(self, quiet: Server) -> None:
        quiet.get("/healthz").raise_for_status()
        assert "running on" in quiet.log
        assert "/healthz" not in quiet.log


@pytest.mark.parametrize("is_closed", [True, False])
def test_a_full_or_closed_pipe_of_the_log_blocks_no_request(
    one_model: Path, is_closed: bool
) -> None:
    settings = environment(MONIKER_CHECKPOINTS=str(one_model), MONIKER_DRAIN_SECONDS="0")
    command = [sys.executable, "-m", "service"]
    with subprocess.Popen(command, env=settings, stderr=subprocess.PIPE, text=True) as process:
        assert process.stderr
        port = next(found[1] for line in process.stderr if (found := PORT.search(line)))
        if is_closed:
            process.stderr.close()
        with httpx.Client(base_url=f"http://127.0.0.1:{port}", **PLAIN) as client:
            for _ in range(1000):  # their lines exceed the buffer of a pipe
                client.get("/healthz").raise_for_status()
        process.terminate()
        assert process.wait(PATIENCE) == 0


@pytest.fixture(scope="module")
def quiet(one_model: Path) -> Iterator[Server]:
    """A service that does not log requests."""
    with Server(MONIKER_CHECKPOINTS=str(one_model), MONIKER_LOG_REQUESTS="false") as running:
        yield running


class TestMetrics:
    def test_requests_are_timed_by_route_and_status(self, server: Server) -> None:
        count = "moniker_request_duration_seconds_count"
        for path, route, status in [
            ("/sample", "/sample", "200"),
            ("/sample?n=0", "/sample", "422"),
            ("/models/bigram", "/models/{name}", "200"),
            ("/models/nobody", "/models/{name}", "404"),
        ]:
            assert increase(server, path, count, method="GET", route=route, status=status) == 1

    def test_all_unknown_paths_have_one_label(self, server: Server) -> None:
        labels = {"method": "GET", "route": "unmatched", "status": "404"}
        count = "moniker_request_duration_seconds_count"
        for path in ("/a", "/b/c", "/sample/"):
            assert increase(server, path, count, **labels) == 1

    def test_the_number_of_series_does_not_depend_on_the_requests(self, server: Server) -> None:
        def send(number: int) -> None:
            for method in ("GET", "BREW", "PUT"):
                server.request(method, f"/nowhere/{number}")
            server.get(f"/sample?model=m{number}")
            server.get(f"/models/m{number}")

        send(0)
        before = len(samples(server))
        for number in range(1, 20):
            send(number)
        assert len(samples(server)) == before

    def test_buckets_begin_at_a_tenth_of_a_millisecond(self, server: Server) -> None:
        server.get("/healthz")
        bounds = {
            float(dict(labels)["le"]) for _, labels in samples(server) if "le" in dict(labels)
        }
        assert min(bounds) == 1e-4

    def test_names_are_counted(self, server: Server) -> None:
        labels = {"model": "positional"}
        assert increase(server, "/sample?n=7", "moniker_names_sampled_total", **labels) == 7
        assert (
            increase(server, "/sample?n=10000", "moniker_names_sampled_total", **labels) == 10_000
        )
        assert increase(server, "/score?name=a&name=b", "moniker_names_scored_total", **labels) == 2

    def test_names_in_streams_are_counted(self, server: Server) -> None:
        key = "moniker_names_sampled_total", (("model", "bigram"),)
        before = samples(server).get(key, 0)
        text = {"Accept": "text/plain"}
        server.get("/sample?n=50000&model=bigram", headers=text).raise_for_status()
        assert samples(server)[key] - before == 50_000
        key = "moniker_names_scored_total", (("model", "bigram"),)
        before = samples(server).get(key, 0)
        lines = {"Content-Type": "text/plain"}
        server.post("/score?model=bigram", content="a\nb\n\nc", headers=lines)
        assert samples(server)[key] - before == 4

    def test_lookups_and_the_size_of_the_cache_are_measured(self, server: Server) -> None:
        path = "/sample?pattern=q*&max_length=17"
        assert increase(server, path, "moniker_constraints_cache_lookups_total", result="miss") == 1
        assert increase(server, path, "moniker_constraints_cache_lookups_total", result="hit") == 1
        assert samples(server)["moniker_constraints_cache_bytes", ()] > 1e6

    def test_models_have_an_age(self, client: httpx.Client, server: Server) -> None:
        metrics = samples(server)
        for model in client.get("/models").json()["models"]:
            name = model["name"]
            labels = {
                "model": name, "checkpoint": model["checkpoint"],
                "architecture": model["architecture"],
            }  # fmt: skip
            assert metrics["moniker_model_info", tuple(sorted(labels.items()))] == 1
            assert 0 < metrics["moniker_model_age_seconds", (("model", name),)] < 3600
            assert metrics["moniker_model_failing", (("model", name),)] == 0

    def test_the_request_for_metrics_is_in_flight(self, server: Server) -> None:
        assert samples(server)["moniker_requests_in_flight", ()] == 1

    def test_a_client_that_disconnects_is_counted_with_status_499(self, server: Server) -> None:
        labels = {"method": "GET", "route": "/sample", "status": "499"}
        key = "moniker_request_duration_seconds_count", tuple(sorted(labels.items()))
        before = samples(server).get(key, 0)
        hard = "/sample?n=10000&unique=true&temperature=0.05&min_length=12"
        with pytest.raises(httpx.TimeoutException):
            server.get(hard, timeout=httpx.Timeout(10, read=0.2))
        until(lambda: samples(server).get(key, 0) == before + 1)

    def test_the_process_has_metrics(self, server: Server) -> None:
        assert samples(server)["process_resident_memory_bytes", ()] > 1e7

    @pytest.mark.parametrize(
        "accept", ["application/openmetrics-text;version=abc", "text/plain; version=x.y", "é"]
    )
    def test_an_invalid_accept_header_gets_the_text_format(
        self, client: httpx.Client, accept: str
    ) -> None:
        reply = client.get("/metrics", headers=[(b"Accept", accept.encode("latin-1"))])
        assert reply.status_code == 200
        assert reply.headers["content-type"].startswith("text/plain")

    def test_openmetrics_is_supported(self, client: httpx.Client) -> None:
        reply = client.get("/metrics", headers={"Accept": "application/openmetrics-text"})
        assert reply.headers["content-type"].startswith("application/openmetrics-text")
        assert reply.text.endswith("# EOF\n")


ASSETS = sorted(asset_files())
DOCS = ["/docs", "/docs/docs.js", "/docs/swagger-ui-bundle.js", "/docs/swagger-ui.css"]
FILES = ["/", *ASSETS, *DOCS]


def security(reply: httpx.Response) -> dict[str, list[str]]:
    """The security headers of a reply."""
    names = ("content-security-policy", "x-content-type-options", "referrer-policy")
    return {name: reply.headers.get_list(name) for name in names}


class TestSecurityHeaders:
    """A browser updates the headers of its copy with those of later replies."""

    @pytest.mark.parametrize("path", FILES)
    def test_a_file_has_the_same_headers_on_200_304_head_and_errors(
        self, client: httpx.Client, path: str
    ) -> None:
        first = client.get(path)
        known = {"If-None-Match": first.headers["etag"]}
        replies = [
            first, client.get(path, headers=known), client.head(path),
            client.head(path, headers=known), client.post(path),
        ]  # fmt: skip
        assert [reply.status_code for reply in replies] == [200, 304, 200, 304, 405]
        assert "script-src 'self'" in first.headers["content-security-policy"]
        for reply in replies:
            assert security(reply) == security(first)

    @pytest.mark.parametrize("path", ["/models/positional/report", "/openapi.json", "/metrics"])
    def test_a_document_has_the_same_headers_on_every_reply(
        self, client: httpx.Client, path: str
    ) -> None:
        first = client.get(path).raise_for_status()
        for reply in (client.head(path), client.post(path), client.options(path)):
            assert security(reply) == security(first)

    def test_a_missing_report_has_the_same_headers(self, client: httpx.Client) -> None:
        present, missing = (
            client.get(f"/models/{name}/report") for name in ("positional", "nobody")
        )
        assert (present.status_code, missing.status_code) == (200, 404)
        assert security(present) == security(missing)
        assert present.headers["content-security-policy"].endswith("; sandbox")

    def test_docs_without_a_key_have_the_same_headers(self, one_model: Path) -> None:
        settings = {"MONIKER_CHECKPOINTS": str(one_model), "MONIKER_API_KEYS": "key"}
        with Server(**settings) as server:
            for path in DOCS:
                refused = server.get(path)
                served = server.get(path, headers={"Authorization": "Bearer key"})
                assert (refused.status_code, served.status_code) == (401, 200)
                assert security(refused) == security(served)


class TestEntityTags:
    @pytest.mark.parametrize("path", FILES)
    def test_a_copy_of_the_same_content_is_current(self, client: httpx.Client, path: str) -> None:
        tag = client.get(path).headers["etag"]
        for known in (tag, f"W/{tag}", f'"a", W/"b,c" ,{tag}', "*"):
            reply = client.get(path, headers={"If-None-Match": known})
            assert (reply.status_code, reply.content) == (304, b""), known
            assert reply.headers["etag"] == tag
            assert reply.headers["cache-control"] == "no-cache"
        several = [("If-None-Match", '"a"'), ("If-None-Match", tag)]
        assert client.get(path, headers=several).status_code == 304

    def test_any_other_copy_is_not_current(self, client: httpx.Client) -> None:
        tag = client.get("/").headers["etag"]
        for known in ("", tag[1:-1], tag[:-2] + '"', f'{tag[:-1]}-gzip"', f'"a{tag}b"', '"*"'):
            reply = client.get("/", headers={"If-None-Match": known})
            assert reply.status_code == 200, known


class TestHeaders:
    @pytest.mark.parametrize(
        "path", ["/sample", "/nowhere", "/sample?n=0", "/healthz", "/metrics", "/openapi.json"]
    )
    def test_every_reply_has_security_headers(self, client: httpx.Client, path: str) -> None:
        headers = client.get(path).headers
        assert headers["x-content-type-options"] == "nosniff"
        assert headers["referrer-policy"] == "no-referrer"
        assert "default-src 'none'" in headers["content-security-policy"]
        assert "'unsafe" not in headers["content-security-policy"]

    def test_no_page_of_another_origin_may_read_a_reply_by_default(
        self, client: httpx.Client
    ) -> None:
        origin = {"Origin": "https://elsewhere.example"}
        assert "access-control-allow-origin" not in client.get("/sample", headers=origin).headers
        preflight = origin | {"Access-Control-Request-Method": "GET"}
        assert client.options("/sample", headers=preflight).status_code == 405
