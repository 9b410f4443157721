"""OpenTelemetry: off without an endpoint, and spans without names."""

import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.trace.v1.trace_pb2 import Span

from tests.support.http.server import Server
from tests.support.http.wire import until

TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"
PARENT = "00f067aa0ba902b7"
SECRET = "secretname7531"


class Collector:
    """An OTLP endpoint that stores the spans that it receives."""

    def __init__(self) -> None:
        received = self.received = list[tuple[str, bytes]]()

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                length = int(self.headers["Content-Length"])
                received.append((self.path, self.rfile.read(length)))
                self.send_response(200)
                self.end_headers()

            def log_message(self, format: str, *args: object) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_port}"
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def spans(self) -> list[Span]:
        """The spans received so far."""
        bodies = [body for path, body in self.received if path == "/v1/traces"]
        return [
            span
            for body in bodies
            for resource in ExportTraceServiceRequest.FromString(body).resource_spans
            for scope in resource.scope_spans
            for span in scope.spans
        ]

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()


@pytest.fixture
def collector() -> Iterator[Collector]:
    collecting = Collector()
    yield collecting
    collecting.close()


def test_spans_are_sent_to_the_endpoint_and_continue_the_trace(
    one_model: Path, collector: Collector, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", collector.url)
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_COMPRESSION", "none")
    monkeypatch.setenv("OTEL_BSP_SCHEDULE_DELAY", "100")
    with Server(MONIKER_CHECKPOINTS=str(one_model)) as server:
        headers = {"traceparent": f"00-{TRACE}-{PARENT}-01"}
        server.get(f"/score?name={SECRET}", headers=headers).raise_for_status()
        server.get(f"/{SECRET}")
        until(lambda: len(collector.spans()) >= 2)
    first = collector.spans()[0]
    assert first.name == "GET /score"
    assert first.trace_id.hex() == TRACE
    assert first.parent_span_id.hex() == PARENT
    assert SECRET.encode() not in b"".join(body for _, body in collector.received)


def test_without_an_endpoint_the_exporter_is_not_loaded(server: Server) -> None:
    mapped = (Path("/proc") / str(server.process.pid) / "maps").read_text()
    assert "google/_upb" not in mapped
    assert "google/protobuf" not in mapped
