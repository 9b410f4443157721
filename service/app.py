"""The application: FastAPI with the models loaded for its lifetime, and what is around it."""

import asyncio
import gc
import logging
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, TypedDict

from anyio import to_thread
from fastapi import FastAPI
from starlette.middleware import Middleware
from starlette.middleware.cors import CORSMiddleware
from starlette.types import ASGIApp, Message, Receive, Scope, Send

import models
from service import continuing, judging, laws, naming, page, reference, status
from service.admission import Admission
from service.blocklist import BlocklistError, read_blocklist
from service.contract import with_examples, with_keys, with_summaries
from service.keys import Keys
from service.lifecycle import Lifecycle
from service.metrics import Metrics
from service.problems import HANDLERS
from service.reloading import Reloading
from service.settings import Settings
from service.shared import Shared
from service.shelf import CatalogError, Shelf
from service.telemetry import TELEMETRY, hide_names
from service.turns import Turns
from service.watch import Watch
from service.wishes import Wishes

CANNOT_START = (CatalogError, BlocklistError)  # each tells why in a line
# For work that would hold up other requests. They do not share the processor well, but two
# keep each other from standing still. One more waits for the folder of checkpoints to change.
THREADS = 2 + 1
# What pages elsewhere may read of a reply.
EXPOSED = ["X-Request-ID", "Retry-After"] + [
    f"Moniker-{field}" for field in ("Model", "Checkpoint", "Seed", "Probability")
]

logger = logging.getLogger("moniker")

DESCRIPTION = """Makes names and tells how name-like a name is, with a character-level model
that is one linear layer. Ask for names and scores with a query (GET) or a JSON body (POST)."""


class State(TypedDict):
    """What the lifespan hands to each connection and request."""

    settings: Settings
    lifecycle: Lifecycle
    metrics: Metrics
    admission: Admission
    shelf: Shelf
    wishes: Wishes
    reloading: Reloading


class Service(FastAPI):
    """FastAPI, and around it what every request passes."""

    def __init__(self, settings: Settings, shared: Shared | None) -> None:
        self.settings, self.shared = settings, shared
        self.lifecycle = Lifecycle()
        self.metrics = Metrics(shared.metrics if shared else None)
        around = [Middleware(PlainStartupError)]
        if settings.keys:
            around.append(Middleware(Keys, keys=settings.keys))
        super().__init__(
            title="moniker",
            version=models.__version__,
            description=DESCRIPTION,
            lifespan=lifespan,
            exception_handlers=HANDLERS,
            middleware=around,
            telemetry=TELEMETRY,
            docs_url=None,
            redoc_url=None,
            redirect_slashes=False,
        )

    def build_middleware_stack(self) -> ASGIApp:
        """What the framework makes, its own errors too, within what all replies pass."""
        app: ASGIApp = Turns(super().build_middleware_stack(), self.settings, self.metrics)
        if self.settings.cors_origins:
            app = CORSMiddleware(
                app,
                allow_origins=self.settings.cors_origins,
                allow_methods=["GET", "POST"],
                allow_headers=["Authorization", "Content-Type", "X-Request-ID", "traceparent"],
                expose_headers=EXPOSED,
            )
        return Watch(app, self.settings, self.metrics, self.lifecycle)

    def openapi(self) -> dict[str, Any]:
        """The document, of the default model; it tells of keys where there are any."""
        if not self.openapi_schema:
            document = with_examples(super().openapi(), self.settings.default_model)
            document = with_summaries(document)
            self.openapi_schema = with_keys(document) if self.settings.keys else document
        return self.openapi_schema


def create_app(settings: Settings, shared: Shared | None = None) -> Service:
    """The service with these settings; it reads its checkpoints when it is started.

    shared: what it shares with other processes, if it is not alone
    """
    app = Service(settings, shared)
    app.include_router(judging.lines)
    for part in (naming, laws, judging, continuing, status):
        # Not of the whole application: there each request would pass three such limits.
        app.include_router(part.router, max_body_size=settings.max_body_mb * 10**6)
    app.include_router(reference.routes())
    app.include_router(page.routes())
    return app


@asynccontextmanager
async def lifespan(app: Service) -> AsyncIterator[State]:
    """Read the checkpoints; put in service what comes while the service runs."""
    settings, shared, metrics = app.settings, app.shared, app.metrics
    hide_names()
    to_thread.current_default_thread_limiter().total_tokens = THREADS
    words = read_blocklist(settings.blocklist) if settings.blocklist else []
    logger.info("substrings on the blocklist: %d", len(words))
    spare = shared.checkpoints if shared else None
    shelf = Shelf(settings.checkpoints, settings.default_model, words, spare)
    metrics.watch(lambda: shelf.catalog)
    wishes = Wishes(settings.wishes_mb * 10**6, metrics)
    reloading = Reloading(shelf, wishes, metrics)
    await reloading.begin()
    # All this stays: looking for garbage in it would hold up requests by 80 ms at times.
    gc.collect()
    gc.freeze()
    going_on = asyncio.create_task(reloading.go_on())
    yield State(
        settings=settings,
        lifecycle=app.lifecycle,
        metrics=metrics,
        admission=Admission(settings),
        shelf=shelf,
        wishes=wishes,
        reloading=reloading,
    )
    going_on.cancel()
    await asyncio.wait([going_on])


class PlainStartupError:
    """ASGI: why a service without a model cannot start is told in one line, not a traceback."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass everything on, the startup's failure shortened."""

        async def send_plainly(message: Message) -> None:
            # Starlette sends the traceback as text, from within its handler of the error.
            error = sys.exc_info()[1]
            if message["type"] == "lifespan.startup.failed" and isinstance(error, CANNOT_START):
                message = {**message, "message": str(error)}
            await send(message)

        await self.app(scope, receive, send_plainly if scope["type"] == "lifespan" else send)
