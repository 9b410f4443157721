"""Authentication with API keys.

The probes and the explanations of problem types need no key. Neither do the files of the page,
which asks its visitor for the key.
"""

import hashlib
from collections.abc import Sequence
from secrets import compare_digest

from pydantic import Secret
from starlette.datastructures import Headers
from starlette.types import ASGIApp, Receive, Scope, Send

from service.errors import UnauthenticatedError
from service.http.paths import ASSETS, ERRORS, PROBES
from service.problems import problem_response

CHALLENGE = {"WWW-Authenticate": 'Bearer realm="moniker"'}
KEY_REQUIRED = "Send a valid API key: Authorization: Bearer <key>."


class ApiKeyMiddleware:
    """ASGI middleware: responds with 401 to requests without a valid key."""

    def __init__(self, app: ASGIApp, keys: Sequence[Secret[str]]) -> None:
        self._app = app
        self._digests = [_digest(key.get_secret_value()) for key in keys]

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass on a request that needs no key or has a valid one."""
        if scope["type"] == "http" and not _is_open(scope["path"]) and not self._has_key(scope):
            error = UnauthenticatedError(KEY_REQUIRED, headers=CHALLENGE)
            await problem_response(error)(scope, receive, send)
        else:
            await self._app(scope, receive, send)

    def _has_key(self, scope: Scope) -> bool:
        scheme, _, key = Headers(scope=scope).get("authorization", "").partition(" ")
        digest = _digest(key.strip())
        # All are compared, each in constant time, so that the time does not depend on the key.
        matches = [compare_digest(digest, valid) for valid in self._digests]
        return scheme.lower() == "bearer" and any(matches)


def _is_open(path: str) -> bool:
    return path in PROBES or path == "/" or path.startswith((ASSETS, ERRORS))


def _digest(key: str) -> bytes:
    return hashlib.sha256(key.encode()).digest()
