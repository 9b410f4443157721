"""Microseconds that each middleware of the service adds to a request, from the outermost on.

The ASGI application is called without a server, and then without its outermost middlewares. The
difference of the two times is the cost of a middleware.
"""

import asyncio
import os
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from time import perf_counter

from fastapi.routing import APIRoute
from starlette.types import ASGIApp, Message, Scope

from benchmarks.measure import Row
from service.app import Service, create_app
from service.settings import Settings

ROUNDS, CALLS = 200, 20


def compare(checkpoints: Path) -> Iterator[Row]:
    """Yield the cost of each layer of `GET /sample` for 1 and 20 names, as a part of the total."""
    for n in (1, 20):
        costs = asyncio.run(_costs(checkpoints, f"n={n}".encode()))
        for layer, cost in costs.items():
            yield Row(f"n={n}: {layer}", sum(costs.values()), cost, "µs")


async def _costs(checkpoints: Path, query: bytes) -> dict[str, float]:
    settings = Settings(checkpoints=checkpoints, log_format="json")
    app = create_app(settings)
    async with app.router.lifespan_context(app) as state:
        layers = [*_layers(app)]
        times: list[list[float]] = [[] for _ in layers]
        log = os.dup(sys.stderr.fileno())
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, sys.stderr.fileno())
        try:
            for _ in range(ROUNDS):  # interleaved, so that noise affects all layers
                for (_, call), seconds in zip(layers, times, strict=True):
                    seconds.append(
                        await _seconds(call, lambda: _scope(app, query, {**(state or {})}))
                    )
        finally:
            os.dup2(log, sys.stderr.fileno())
            os.close(log)
            os.close(nowhere)
    # The minimum, as in timeit: a layer takes less than the noise of a busy machine.
    totals = [1e6 * min(seconds) for seconds in times]
    inner_totals = [*totals[1:], 0.0]
    names = [name for name, _ in layers]
    return {
        name: total - inner for name, total, inner in zip(names, totals, inner_totals, strict=True)
    }


def _layers(app: Service) -> Iterator[tuple[str, ASGIApp]]:
    """Yield the application, each middleware and the route, from the outermost on."""
    yield type(app).__name__, app
    layer: object = app.build_middleware_stack()
    while layer is not app.router:
        assert callable(layer)
        yield type(layer).__name__, layer
        layer = getattr(layer, "app", None) or getattr(layer, "_app", None)
    yield "router", app.router
    yield "route", _route(app).app


def _route(app: Service) -> APIRoute:
    return next(
        route
        for route in app.routes
        if isinstance(route, APIRoute)
        and route.path == "/sample"
        and "GET" in (route.methods or ())
    )


async def _seconds(call: ASGIApp, scope: Callable[[], Scope]) -> float:
    scopes = [scope() for _ in range(CALLS)]
    started = perf_counter()
    for request_scope in scopes:
        await call(request_scope, _receive, _send)
    return (perf_counter() - started) / CALLS


def _scope(app: Service, query: bytes, state: dict[str, object]) -> Scope:
    return {
        "type": "http", "http_version": "1.1", "method": "GET", "scheme": "http",
        "path": "/sample", "raw_path": b"/sample", "query_string": query, "root_path": "",
        "headers": [(b"host", b"localhost"), (b"accept", b"*/*")], "app": app, "state": state,
        "fastapi_middleware_astack": None, "router": app.router, "path_params": {},
    }  # fmt: skip


async def _receive() -> Message:
    return {"type": "http.request", "body": b"", "more_body": False}


async def _send(message: Message) -> None:
    """Discard the reply."""
