"""Requests wait for their turn, and are refused if too many came before them.

The connections count them as they come, for here they are seen only when it is their turn.
"""

from starlette.types import ASGIApp, Receive, Scope, Send

from service.keys import PROBES
from service.metrics import Metrics
from service.problems import overload, target
from service.settings import Settings

ALWAYS = PROBES | {"/metrics"}  # answered however much there is to do


class Turns:
    """ASGI: refuses those for whom there is no time."""

    def __init__(self, app: ASGIApp, settings: Settings, metrics: Metrics) -> None:
        self._app, self._settings, self._metrics = app, settings, metrics

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass on a request whose turn it is."""
        reason = self._against(scope)
        if reason:
            self._metrics.shed(reason)
            await overload(self._settings.shed_status)(scope, receive, send)
        else:
            await self._app(scope, receive, send)

    def _against(self, scope: Scope) -> str:
        """Why not to answer a request, as far as that is known without looking into it."""
        state = scope.get("state", {})
        if "too_many" not in state:
            return ""
        state["admission"].waiting -= 1
        if scope["path"] in ALWAYS:
            return ""
        if state["too_many"]:
            return "waiting"
        again = scope["method"] == "GET" and state["admission"].is_still_too_much(target(scope))
        return "work" if again else ""
