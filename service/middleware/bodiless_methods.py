"""Rejection of GET and HEAD requests with a body."""

from starlette.types import ASGIApp, Receive, Scope, Send

from service.errors import UnexpectedBodyError
from service.http.exchange import CLOSE


class BodilessMethodsMiddleware:
    """ASGI middleware that rejects GET and HEAD requests with a body.

    Such a body has no defined meaning (RFC 9110, section 9.3.1).
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Raise UnexpectedBodyError for such a request; pass on all others."""
        if scope["type"] == "http" and scope["method"] in {"GET", "HEAD"}:
            for name, value in scope["headers"]:
                has_body = name == b"content-length" and value.strip(b"0")
                if has_body or name == b"transfer-encoding":
                    why = f"A {scope['method']} request must have no body; use POST."
                    raise UnexpectedBodyError(why, headers=CLOSE)
        await self._app(scope, receive, send)
