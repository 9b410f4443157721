"""A workaround for requests to upgrade the connection, which the service ignores."""

from httptools import HttpParserUpgrade, HttpRequestParser
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol


class UpgradeIgnoringProtocol(HttpToolsProtocol):
    """uvicorn's protocol, with requests to upgrade parsed as if they did not ask for it.

    Java's HTTP client asks every server to upgrade to HTTP/2 (h2c). The parser stops after such a
    head and takes the body for another protocol. Therefore the head is parsed a second time
    without its Upgrade header. A subclass returns from `on_headers_complete` and
    `on_message_complete` if `_asks_to_upgrade`.
    """

    @property
    def _asks_to_upgrade(self) -> bool:
        return self.parser.should_upgrade() and self.parser.get_method() != b"CONNECT"

    def _parse(self, data: bytes) -> None:
        """Parse requests. Raises HttpParserError."""
        rest = memoryview(data)
        while rest:
            try:
                self.parser.feed_data(rest)
                return
            except HttpParserUpgrade as upgrade:
                rest = rest[upgrade.args[0] :]  # the number of bytes that were parsed
                head = self._head_without_upgrade()
                self.parser = HttpRequestParser(self)  # the old parser may have reached its end
                self.parser.feed_data(head)

    def _head_without_upgrade(self) -> bytes:
        version = self.parser.get_http_version().encode()
        lines = [b"%s %s HTTP/%s" % (self.parser.get_method(), self.url, version)]
        lines += [b"%s: %s" % header for header in self.headers if header[0] != b"upgrade"]
        return b"\r\n".join(lines) + b"\r\n\r\n"
