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
from fastapi.middleware.asyncexitstack import AsyncExitStackMiddleware
from starlette.middleware import Middleware
from starlette.middleware.cors import CORSMiddleware
from starlette.middleware.errors import ServerErrorMiddleware
from starlette.middleware.exceptions import ExceptionMiddleware
from starlette.types import ASGIApp, Message, Receive, Scope, Send

import models
from service import continuing, judging, laws, naming, page, reference, status
from service.blocklist import BlocklistError, read_blocklist
from service.body import NoBody
from service.contract import with_examples, with_keys, with_summaries
from service.keys import Keys
from service.lifecycle import Lifecycle
from service.load.entrance import Entrance
from service.load.queue import ALL_THREADS, Queue
from service.load.streams import Streams
from service.metrics import Metrics
from service.problems import HANDLERS
from service.reloading import Reloading
from service.settings import Settings
from service.shared import Shared
from service.shelf import CatalogError, Shelf
from service.telemetry import TELEMETRY, hide_names
from service.watch import Watch
from service.wishes import Wishes

CANNOT_START = (CatalogError, BlocklistError)  # each tells why in a line
OURS = [f"Moniker-{field}" for field in ("Model", "Checkpoint", "Seed", "Probability")]
CORS: dict[str, Any] = {  # what pages elsewhere may send, and read of a reply
    "allow_methods": ["GET", "HEAD", "POST"],
    "allow_headers": [
        "Authorization",
        "Content-Encoding",
        "Content-Type",
        "X-Request-ID",
        "traceparent",
    ],
    "expose_headers": ["X-Request-ID", "Retry-After", *OURS],
}

logger = logging.getLogger("moniker")

DESCRIPTION = """Makes names and tells how name-like a name is, with a character-level model
that is one linear layer. Ask for names and scores with a query (GET) or a JSON body (POST)."""


class State(TypedDict):
    """What the lifespan hands to each connection and request."""

    settings: Settings
    lifecycle: Lifecycle
    metrics: Metrics
    queue: Queue
    streams: Streams
    shelf: Shelf
    wishes: Wishes
    reloading: Reloading


class Service(FastAPI):
    """FastAPI, and around it what every request passes."""

    def __init__(self, settings: Settings, shared: Shared | None) -> None:
        self.settings, self.shared = settings, shared
        self.lifecycle = Lifecycle()
        self.metrics = Metrics(shared.metrics if shared else None)
        super().__init__(
            title="moniker",
            version=models.__version__,
            description=DESCRIPTION,
            # Relative to the document, so that it holds behind a path prefix.
            servers=[{"url": "."}],
            lifespan=lifespan,
            exception_handlers=HANDLERS,
            telemetry=TELEMETRY,
            openapi_url=None,
            docs_url=None,
            redoc_url=None,
            redirect_slashes=False,
        )

    def build_middleware_stack(self) -> ASGIApp:
        """All that a request passes before its route, from the outside in.

        In place of the framework's list, which has more: limits of bodies, dependencies' stacks.
        """
        settings, handlers = self.settings, {**HANDLERS}
        crash = handlers.pop(Exception)
        passed = [Middleware(Watch, settings, self.metrics, self.lifecycle)]
        if settings.cors_origins:
            passed.append(Middleware(CORSMiddleware, allow_origins=settings.cors_origins, **CORS))
        passed += [
            Middleware(Entrance, settings, self.metrics),
            Middleware(ServerErrorMiddleware, handler=crash),
        ]
        if settings.keys:
            passed.append(Middleware(Keys, keys=settings.keys))
        passed += [
            Middleware(ExceptionMiddleware, handlers=handlers),
            Middleware(NoBody),
            Middleware(AsyncExitStackMiddleware),
        ]
        app: ASGIApp = self.router
        for kind, args, options in reversed(passed):
            app = kind(app, *args, **options)
        return app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request; say in a line, not a traceback, why a service cannot start."""
        await super().__call__(
            scope, receive, _plain(send) if scope["type"] == "lifespan" else send
        )

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
    parts = naming.router, judging.lines, judging.router, laws.router, continuing.router
    for part in (*parts, status.router, reference.routes(app.openapi), page.routes()):
        # All in one table, which is searched in order: within an included router each request
        # is matched twice.
        app.router.routes.extend(part.routes)
    return app


@asynccontextmanager
async def lifespan(app: Service) -> AsyncIterator[State]:
    """Read the checkpoints; put in service what comes while the service runs."""
    settings, shared, metrics = app.settings, app.shared, app.metrics
    hide_names()
    to_thread.current_default_thread_limiter().total_tokens = ALL_THREADS
    words = read_blocklist(settings.blocklist) if settings.blocklist else []
    logger.info("substrings on the blocklist: %d", len(words))
    spare = shared.checkpoints if shared else None
    shelf = Shelf(settings.checkpoints, settings.default_model, words, spare)
    metrics.watch(lambda: shelf.catalog)
    queue = Queue(settings.max_wait_seconds, metrics.jobs)
    wishes = Wishes(settings.wishes_mb * 10**6, queue, metrics)
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
        queue=queue,
        streams=Streams(settings.max_streams, settings.max_wait_seconds, metrics.streams),
        shelf=shelf,
        wishes=wishes,
        reloading=reloading,
    )
    going_on.cancel()
    await asyncio.wait([going_on])


def _plain(send: Send) -> Send:
    """Shorten a failure to start, which Starlette sends as the text of a traceback."""

    async def send_plainly(message: Message) -> None:
        error = sys.exc_info()[1]  # the one that Starlette is handling
        if message["type"] == "lifespan.startup.failed" and isinstance(error, CANNOT_START):
            message = {**message, "message": str(error)}
        await send(message)

    return send_plainly
