"""The application: FastAPI with its middlewares, routes and lifespan."""

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
from service.api.openapi import with_examples, with_keys, with_summaries
from service.catalog.blocklist import BlocklistError, read_blocklist
from service.catalog.constraints_cache import ConstraintsCache
from service.catalog.model_metrics import ModelCollector
from service.catalog.reloader import Reloader
from service.catalog.repository import CatalogError, CheckpointRepository
from service.endpoints import distributions, errors, health, next_character, sampling, scoring
from service.endpoints import models as model_endpoints
from service.lifecycle import Lifecycle
from service.load.admission import AdmissionMiddleware
from service.load.queue import ALL_THREADS, SECONDS_PER_UNIT, RequestQueue
from service.load.stream_slots import StreamSlots
from service.middleware.api_keys import ApiKeyMiddleware
from service.middleware.bodiless_methods import BodilessMethodsMiddleware
from service.middleware.observability import ObservabilityMiddleware
from service.problems import HANDLERS
from service.settings import Settings
from service.shared_folder import SharedFolder
from service.telemetry.metrics import Metrics
from service.telemetry.tracing import TELEMETRY, hide_names
from service.web import api_reference, page

START_ERRORS = (CatalogError, BlocklistError)  # logged as one line, without a traceback
OWN_HEADERS = [f"Moniker-{field}" for field in ("Model", "Checkpoint", "Seed", "Probability")]
CORS: dict[str, Any] = {  # what pages of other origins may send, and read of a response
    "allow_methods": ["GET", "HEAD", "POST"],
    "allow_headers": [
        "Authorization",
        "Content-Encoding",
        "Content-Type",
        "X-Request-ID",
        "traceparent",
    ],
    "expose_headers": ["X-Request-ID", "Retry-After", *OWN_HEADERS],
}
DESCRIPTION = """Generates names and scores how name-like a string is, with a character-level model
that is one linear layer. Send the fields in a query (GET) or in a JSON body (POST)."""

logger = logging.getLogger("moniker")


class State(TypedDict):
    """The state of each ASGI scope, as the lifespan yields it.

    Rooms below this one read it by `RequestQueue.in_state`, `Settings.in_state` and so on. The keys
    are those that these methods read.
    """

    settings: Settings
    lifecycle: Lifecycle
    metrics: Metrics
    queue: RequestQueue
    streams: StreamSlots
    repository: CheckpointRepository
    constraints_cache: ConstraintsCache
    reloader: Reloader


class Service(FastAPI):
    """FastAPI with the middlewares of this service.

    settings: of the service
    shared: the folder shared with other processes, if there are any
    """

    def __init__(self, settings: Settings, shared: SharedFolder | None) -> None:
        self.settings, self.shared = settings, shared
        self.lifecycle = Lifecycle()
        self.metrics = Metrics(SECONDS_PER_UNIT, shared.metrics if shared else None)
        super().__init__(
            title="moniker",
            version=models.__version__,
            description=DESCRIPTION,
            # Relative to the document, so that it is right behind a path prefix.
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
        """Return the middlewares around the router, listed from the outermost to the innermost.

        `FastAPI(middleware=[...])` cannot build this stack. It puts ServerErrorMiddleware outside
        all of them, where the response of a crash has no request id, security headers or CORS
        headers, and adds two layers that cost time on each request.
        """
        settings, handlers = self.settings, {**HANDLERS}
        crash = handlers.pop(Exception)
        stack = [
            Middleware(ObservabilityMiddleware, settings, self.metrics, self.lifecycle),
            *self._cors(),
            Middleware(AdmissionMiddleware, settings, self.metrics),
            Middleware(ServerErrorMiddleware, handler=crash),
            *self._authentication(),
            Middleware(ExceptionMiddleware, handlers=handlers),
            Middleware(BodilessMethodsMiddleware),
            Middleware(AsyncExitStackMiddleware),
        ]
        app: ASGIApp = self.router
        for kind, args, options in reversed(stack):
            app = kind(app, *args, **options)
        return app

    def _cors(self) -> list[Middleware]:
        origins = self.settings.cors_origins
        return [Middleware(CORSMiddleware, allow_origins=origins, **CORS)] if origins else []

    def _authentication(self) -> list[Middleware]:
        keys = self.settings.keys
        return [Middleware(ApiKeyMiddleware, keys=keys)] if keys else []

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve an ASGI scope. A failure to start is reported in one line."""
        if scope["type"] == "lifespan":
            send = _shorten_failure(send)
        await super().__call__(scope, receive, send)

    def openapi(self) -> dict[str, Any]:
        """Return the OpenAPI document, which describes API keys if there are any."""
        if not self.openapi_schema:
            document = with_examples(super().openapi(), self.settings.default_model)
            document = with_summaries(document)
            self.openapi_schema = with_keys(document) if self.settings.keys else document
        return self.openapi_schema


def create_app(settings: Settings, shared: SharedFolder | None = None) -> Service:
    """Return the service with these settings. It reads its checkpoints when it starts.

    shared: the folder shared with other processes, if there are any
    """
    app = Service(settings, shared)
    routers = [
        sampling.router,
        scoring.lines,
        scoring.router,
        distributions.router,
        next_character.router,
        model_endpoints.router,
        health.router,
        errors.router,
        api_reference.routes(app.openapi),
        page.routes(),
    ]
    for router in routers:
        # One table of routes: an included router would match each request a second time.
        app.router.routes.extend(router.routes)
    return app


@asynccontextmanager
async def lifespan(app: Service) -> AsyncIterator[State]:
    """Load the checkpoints, and reload changed ones while the service runs."""
    settings, shared, metrics = app.settings, app.shared, app.metrics
    hide_names()
    to_thread.current_default_thread_limiter().total_tokens = ALL_THREADS
    blocklist = read_blocklist(settings.blocklist) if settings.blocklist else []
    logger.info("substrings on the blocklist: %d", len(blocklist))
    repository = CheckpointRepository(
        settings.checkpoints,
        settings.default_model,
        blocklist,
        fallback_folder=shared.fallback if shared else None,
    )
    metrics.add(ModelCollector(lambda: repository.catalog))
    queue = RequestQueue(settings.max_wait_seconds, metrics.jobs)
    constraints_cache = ConstraintsCache(settings.cache_mb * 10**6, queue, metrics)
    reloader = Reloader(repository, constraints_cache, metrics)
    await reloader.start()
    # Exclude the models from garbage collection, which would delay requests by up to 80 ms.
    gc.collect()
    gc.freeze()
    reloading = asyncio.create_task(reloader.run())
    yield State(
        settings=settings,
        lifecycle=app.lifecycle,
        metrics=metrics,
        queue=queue,
        streams=StreamSlots(settings.max_streams, settings.max_wait_seconds, metrics.streams),
        repository=repository,
        constraints_cache=constraints_cache,
        reloader=reloader,
    )
    reloading.cancel()
    await asyncio.wait([reloading])


def _shorten_failure(send: Send) -> Send:
    """Return a `send` that shortens a failure to start, which is a traceback, to its message."""

    async def send_shortened(message: Message) -> None:
        error = sys.exc_info()[1]  # the exception that Starlette is handling
        if message["type"] == "lifespan.startup.failed" and isinstance(error, START_ERRORS):
            message = {**message, "message": str(error)}
        await send(message)

    return send_shortened
