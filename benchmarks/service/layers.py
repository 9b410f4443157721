"""Microseconds that each layer of the service adds to a request, from the outside in.

The ASGI application is called without a server, whole and then without its outermost layers:
the difference is what a layer costs, whatever reads and writes HTTP.
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
    """The cost of each layer of `GET /sample`, for 1 and for 20 names; the baseline is all."""
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
            for _ in range(ROUNDS):  # in turns, so that noise strikes all alike
                for (_, call), seconds in zip(layers, times, strict=True):
                    seconds.append(
                        await _seconds(call, lambda: _scope(app, query, {**(state or {})}))
                    )
        finally:
            os.dup2(log, sys.stderr.fileno())
            os.close(log)
            os.close(nowhere)
    # The least, as timeit does: a layer takes less than the noise of a busy machine.
    whole = [1e6 * min(seconds) for seconds in times]
    inner = [*whole[1:], 0.0]
    names = (name for name, _ in layers)
    return {name: all_ - less for name, all_, less in zip(names, whole, inner, strict=True)}


def _layers(app: Service) -> Iterator[tuple[str, ASGIApp]]:
    """The application, what it passes a request on to, and so on to the route."""
    yield type(app).__name__, app
    layer: object = app.build_middleware_stack()
    while layer is not app.router:
        assert callable(layer)
        yield type(layer).__name__, layer
        layer = getattr(layer, "app", None) or getattr(layer, "_app", None)
    yield "matching", app.router
    yield "the route", _route(app).app


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
    for one in scopes:
        await call(one, _receive, _send)
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
    """What a server would write."""
