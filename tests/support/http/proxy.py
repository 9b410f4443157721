"""A reverse proxy that strips a path prefix, as `proxy_pass` of nginx does."""

import http.client
import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from tests.support.http.server import PATIENCE, Server

PREFIX = "/moniker"
# Headers that the proxy does not forward: those of one hop (RFC 9110, 7.6.1) or its own.
HOP_HEADERS = {"connection", "keep-alive", "transfer-encoding", "content-length", "date", "server"}


@contextmanager
def behind_prefix(server: Server) -> Iterator[str]:
    """Run the proxy in front of a service; yields its URL with the prefix."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            if not self.path.startswith(f"{PREFIX}/"):
                self.answer(404, [], b"")
                return
            body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
            headers = {
                name: value
                for name, value in self.headers.items()
                if name.lower() not in HOP_HEADERS
            }
            headers["X-Forwarded-Prefix"] = PREFIX
            address = server.host, server.port
            with closing(http.client.HTTPConnection(*address, timeout=PATIENCE)) as upstream:
                path = self.path.removeprefix(PREFIX)
                upstream.request(self.command, path, body or None, headers)
                reply = upstream.getresponse()
                self.answer(reply.status, reply.getheaders(), reply.read())

        do_POST = do_HEAD = do_OPTIONS = do_GET  # noqa: N815 - names of the standard library

        def answer(self, status: int, headers: list[tuple[str, str]], body: bytes) -> None:
            self.send_response(status)
            for name, value in headers:
                if name.lower() not in HOP_HEADERS:
                    self.send_header(name, value)
            if status != 304:
                self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: object) -> None:
            pass

    class Proxy(ThreadingHTTPServer):
        daemon_threads = True

        def handle_error(self, request: object, client_address: object) -> None:
            """Ignore clients that disconnect during a response."""

    proxy = Proxy((server.host, 0), Handler)
    thread = threading.Thread(target=proxy.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    try:
        yield f"http://{server.host}:{proxy.server_port}{PREFIX}"
    finally:
        proxy.shutdown()
        thread.join()
        proxy.server_close()
