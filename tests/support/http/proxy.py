"""A reverse proxy that strips a path prefix, as `proxy_pass` of nginx does."""

import http.client
import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from tests.support.http.server import PATIENCE, Server

PREFIX = "/moniker"
# Headers of one connection, which a proxy does not pass on (RFC 9110, 7.6.1), and what it sets.
OWN = {"connection", "keep-alive", "transfer-encoding", "content-length", "date", "server"}


@contextmanager
def behind_prefix(server: Server) -> Iterator[str]:
    """Run the proxy in front of a service; yields its address, the prefix included."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            if not self.path.startswith(f"{PREFIX}/"):
                self.answer(404, [], b"")
                return
            body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
            headers = {k: v for k, v in self.headers.items() if k.lower() not in OWN}
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
                if name.lower() not in OWN:
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
            """Say nothing of clients that leave amid a reply."""

    proxy = Proxy((server.host, 0), Handler)
    running = threading.Thread(target=proxy.serve_forever, kwargs={"poll_interval": 0.05})
    running.start()
    try:
        yield f"http://{server.host}:{proxy.server_port}{PREFIX}"
    finally:
        proxy.shutdown()
        running.join()
        proxy.server_close()
