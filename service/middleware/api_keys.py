"""Who may ask: whoever bears one of the keys, if there are keys.

The probes answer everybody, and so does the page, which asks its visitor for the key.
"""

import hashlib
from collections.abc import Sequence
from secrets import compare_digest

from pydantic import Secret
from starlette.datastructures import Headers
from starlette.types import ASGIApp, Receive, Scope, Send

from service.errors import UnauthenticatedError
from service.paths import ASSETS, ERRORS, PROBES
from service.problems import problem_response

CHALLENGE = {"WWW-Authenticate": 'Bearer realm="moniker"'}
NEEDED = "Send a key of this service: Authorization: Bearer <key>."


class ApiKeyMiddleware:
    """ASGI: lets nobody in without a key."""

    def __init__(self, app: ASGIApp, keys: Sequence[Secret[str]]) -> None:
        self._app = app
        self._known = [_digest(key.get_secret_value()) for key in keys]

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass on what may pass."""
        if scope["type"] == "http" and not _is_open(scope["path"]) and not self._knows(scope):
            error = UnauthenticatedError(NEEDED, headers=CHALLENGE)
            await problem_response(error)(scope, receive, send)
        else:
            await self._app(scope, receive, send)

    def _knows(self, scope: Scope) -> bool:
        scheme, _, key = Headers(scope=scope).get("authorization", "").partition(" ")
        digest = _digest(key.strip())
        # Each is compared, in constant time: the time tells nothing of any.
        matches = [compare_digest(digest, known) for known in self._known]
        return scheme.lower() == "bearer" and any(matches)


def _is_open(path: str) -> bool:
    return path in PROBES or path == "/" or path.startswith((ASSETS, ERRORS))


def _digest(key: str) -> bytes:
    return hashlib.sha256(key.encode()).digest()
