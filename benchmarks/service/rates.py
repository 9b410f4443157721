"""Requests per second to `/sample` of the service, with its log and metrics.

The baselines are routes that parse the same body and return a constant reply of the same schema, in
the service (without the computation) and in a plain FastAPI app (also without log and metrics); the
post's loop behind a route of the plain app; and an empty FastAPI route with uvicorn's access log,
requested with GET.
"""

import os
import socket
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from multiprocessing import get_context
from pathlib import Path
from statistics import median

import torch
import uvicorn
from fastapi import FastAPI

from benchmarks.measure import Row
from benchmarks.models import post
from benchmarks.service import load
from models.checkpoint import load as load_checkpoint
from models.linear.model import LinearModel
from service.api.requests import SampleRequest
from service.api.responses import SampleResponse
from service.app import create_app
from service.server.server import run
from service.settings import Settings

ROUNDS = 7
MANY, FEW = 2_000, 64  # requests in a round, to fast routes and to the post's loop
SAMPLE, CONSTANT, POST = "/sample", "/constant", "/post"
HEALTH, EMPTY = "/healthz", "/empty"


def compare(checkpoints: Path) -> Iterator[Row]:
    """Yield requests per second for 1 and 20 names, as medians of interleaved runs."""
    with (
        _serving(_serve_moniker, checkpoints) as moniker,
        _serving(_serve_plain, checkpoints) as plain,
        _serving(_serve_empty, checkpoints) as empty,
    ):
        targets = {
            "sample": (moniker, SAMPLE, MANY),
            "constant": (moniker, CONSTANT, MANY),
            "plain": (plain, CONSTANT, MANY),
            "post": (plain, POST, FEW),
        }
        for n in (1, 20):
            rates = _rates(targets, n)
            names = "1 name" if n == 1 else f"{n} names"
            for target, label in (
                ("constant", "a constant reply"),
                ("plain", "a constant reply of a plain app"),
                ("post", "the post's loop"),
            ):
                yield Row(f"{names} / {label}", rates[target], rates["sample"], "requests/s")
        gets = {path: (moniker, path, MANY) for path in (f"{SAMPLE}?n=1", f"{SAMPLE}?n=20", HEALTH)}
        gets[EMPTY] = (empty, EMPTY, MANY)
        rates = _rates(gets)
        for path in [*gets][:-1]:
            yield Row(f"{path} / an empty route", rates[EMPTY], rates[path], "requests/s")


def _rates(targets: dict[str, tuple[int, str, int]], n: int | None = None) -> dict[str, float]:
    """Return the median rate of each target: a port, a path and the requests in a round.

    n: in the body of a POST; None for a GET
    """
    requests = {
        target: load.get(path) if n is None else load.post(path, {"n": n})
        for target, (_, path, _) in targets.items()
    }
    for target, (port, _, _) in targets.items():  # warm-up
        load.rate(port, requests[target], FEW)
    runs = [
        {
            target: load.rate(port, requests[target], count)
            for target, (port, _, count) in targets.items()
        }
        for _ in range(ROUNDS)
    ]
    return {target: median(run[target] for run in runs) for target in targets}


@contextmanager
def _serving(serve: Callable[[Path, socket.socket], None], checkpoints: Path) -> Iterator[int]:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        server = get_context("spawn").Process(target=serve, args=(checkpoints, listener))
        server.start()
        port: int = listener.getsockname()[1]
    try:
        yield port  # a connection waits in the backlog until the server is ready
    finally:
        server.terminate()
        server.join()


def _serve_moniker(checkpoints: Path, listener: socket.socket) -> None:
    with tempfile.TemporaryFile() as log:
        os.dup2(log.fileno(), sys.stderr.fileno())
    app = create_app(Settings(checkpoints=checkpoints))
    _add_constant(app)
    run(app, listener)


def _serve_plain(checkpoints: Path, listener: socket.socket) -> None:
    app = FastAPI()
    _add_constant(app)
    _add_post(app, load_checkpoint((checkpoints / "positional.safetensors").read_bytes()).model)
    config = uvicorn.Config(
        app, loop="uvloop", http="httptools", ws="none", access_log=False, log_level="warning"
    )
    uvicorn.Server(config).run(sockets=[listener])


def _serve_empty(_: Path, listener: socket.socket) -> None:
    with tempfile.TemporaryFile() as log:
        os.dup2(log.fileno(), sys.stderr.fileno())
        os.dup2(log.fileno(), sys.stdout.fileno())
    app = FastAPI()

    @app.get(EMPTY)
    async def empty() -> dict[str, str]:
        return {}

    config = uvicorn.Config(app, loop="uvloop", http="httptools", ws="none")
    uvicorn.Server(config).run(sockets=[listener])


def _add_constant(app: FastAPI) -> None:
    replies = {n: _reply(["kayla"] * n) for n in (1, 20)}

    @app.post(CONSTANT)
    async def constant(fields: SampleRequest) -> SampleResponse:
        return replies[fields.n]


def _add_post(app: FastAPI, model: LinearModel) -> None:
    torch.set_num_threads(1)
    weights = torch.from_numpy(model.weights).requires_grad_()  # as after the post's training
    generator = torch.Generator().manual_seed(1)
    name = partial(post.sample, weights, model.vocabulary.characters, generator)

    @app.post(POST)
    async def loop(fields: SampleRequest) -> SampleResponse:
        return _reply([name() for _ in range(fields.n)])


def _reply(names: list[str]) -> SampleResponse:
    return SampleResponse(
        model="positional", checkpoint="0123456789ab", seed=1, probability=0.99, names=names
    )
