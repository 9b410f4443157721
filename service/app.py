"""The application: FastAPI with the models loaded for its lifetime."""

import gc
import logging
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from typing import TypedDict

from anyio import to_thread
from fastapi import FastAPI
from starlette.middleware import Middleware
from starlette.types import ASGIApp, Message, Receive, Scope, Send

import models
from models.wish import Wish, WishError
from service import continuing, judging, naming, status
from service.blocklist import BlocklistError, read_blocklist
from service.catalog import Catalog, CatalogError, ServedModel, load_catalog
from service.problems import HANDLERS
from service.settings import Settings
from service.wishes import Wishes

CANNOT_START = (CatalogError, BlocklistError)  # each tells why in a line
THREADS = 2  # for work that would hold up other requests

logger = logging.getLogger("moniker")

DESCRIPTION = """Makes names and tells how name-like a name is, with a character-level model
that is one linear layer. Ask for names and scores with a query (GET) or a JSON body (POST)."""


class State(TypedDict):
    """What the lifespan hands to each request."""

    catalog: Catalog
    wishes: Wishes


def create_app(settings: Settings) -> FastAPI:
    """The service with these settings; it reads its checkpoints when it is started."""

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[State]:
        # Threads do not share the processor well: two keep each other from standing still.
        to_thread.current_default_thread_limiter().total_tokens = THREADS
        words = read_blocklist(settings.blocklist) if settings.blocklist else []
        logger.info("substrings on the blocklist: %d", len(words))
        catalog = load_catalog(settings.checkpoints, settings.default_model, words)
        for failure in catalog.failures.values():
            logger.error("not served: %s", failure)
        for model in catalog.models.values():
            logger.info("serving %s, checkpoint %s", model.name, model.version)
        wishes = Wishes(settings.wishes_mb * 10**6)
        await _prepare(catalog.models.get(catalog.default), wishes)
        # All this stays: looking for garbage in it would hold up requests by 80 ms at times.
        gc.collect()
        gc.freeze()
        yield State(catalog=catalog, wishes=wishes)

    app = FastAPI(
        title="moniker",
        version=models.__version__,
        description=DESCRIPTION,
        lifespan=lifespan,
        exception_handlers=HANDLERS,
        middleware=[Middleware(PlainStartupError)],
        redoc_url=None,
        redirect_slashes=False,
    )
    for part in (naming, judging, continuing, status):
        app.include_router(part.router)
    return app


async def _prepare(default: ServedModel | None, wishes: Wishes) -> None:
    """Compile what most will ask for, and a pattern, which loads more of numpy."""
    if default is None:
        return
    try:
        await wishes.sampler(default, Wish())
    except WishError:
        logger.warning("the blocklist leaves no name of %s", default.name)
    with suppress(WishError):
        await wishes.sampler(default, Wish(pattern=f"*{default.vocabulary.characters[0]}*"))


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
