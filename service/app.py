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
from service.api.openapi import with_examples, with_keys, with_summaries
from service.catalog.blocklist import BlocklistError, read_blocklist
from service.catalog.model_metrics import ModelCollector
from service.catalog.reloader import Reloader
from service.catalog.repository import CatalogError, CheckpointRepository
from service.catalog.sampler_cache import SamplerCache
from service.endpoints import distributions, health, next_character, sampling, scoring
from service.endpoints import models as model_endpoints
from service.errors import HANDLERS
from service.load.admission import AdmissionMiddleware
from service.load.queue import ALL_THREADS, PACES, Queue
from service.load.stream_slots import Streams
from service.middleware.api_keys import ApiKeyMiddleware
from service.middleware.observability import ObservabilityMiddleware
from service.process import Lifecycle, SharedFolder
from service.settings import Settings
from service.streaming.bodies import BodilessMethods
from service.telemetry.metrics import Metrics
from service.telemetry.tracing import TELEMETRY, hide_names
from service.web import api_reference, page

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
    repository: CheckpointRepository
    sampler_cache: SamplerCache
    reloader: Reloader


class Service(FastAPI):
    """FastAPI, and around it what every request passes."""

    def __init__(self, settings: Settings, shared: SharedFolder | None) -> None:
        self.settings, self.shared = settings, shared
        self.lifecycle = Lifecycle()
        self.metrics = Metrics(PACES, shared.metrics if shared else None)
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
        passed = [Middleware(ObservabilityMiddleware, settings, self.metrics, self.lifecycle)]
        if settings.cors_origins:
            passed.append(Middleware(CORSMiddleware, allow_origins=settings.cors_origins, **CORS))
        passed += [
            Middleware(AdmissionMiddleware, settings, self.metrics),
            Middleware(ServerErrorMiddleware, handler=crash),
        ]
        if settings.keys:
            passed.append(Middleware(ApiKeyMiddleware, keys=settings.keys))
        passed += [
            Middleware(ExceptionMiddleware, handlers=handlers),
            Middleware(BodilessMethods),
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


def create_app(settings: Settings, shared: SharedFolder | None = None) -> Service:
    """The service with these settings; it reads its checkpoints when it is started.

    shared: what it shares with other processes, if it is not alone
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
        api_reference.routes(app.openapi),
        page.routes(),
    ]
    for router in routers:
        # All in one table, which is searched in order: within an included router each request
        # is matched twice.
        app.router.routes.extend(router.routes)
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
    repository = CheckpointRepository(settings.checkpoints, settings.default_model, words, spare)
    metrics.add(ModelCollector(lambda: repository.catalog))
    queue = Queue(settings.max_wait_seconds, metrics.jobs)
    sampler_cache = SamplerCache(settings.cache_mb * 10**6, queue, metrics)
    reloader = Reloader(repository, sampler_cache, metrics)
    await reloader.start()
    # All this stays: looking for garbage in it would hold up requests by 80 ms at times.
    gc.collect()
    gc.freeze()
    going_on = asyncio.create_task(reloader.run())
    yield State(
        settings=settings,
        lifecycle=app.lifecycle,
        metrics=metrics,
        queue=queue,
        streams=Streams(settings.max_streams, settings.max_wait_seconds, metrics.streams),
        repository=repository,
        sampler_cache=sampler_cache,
        reloader=reloader,
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
