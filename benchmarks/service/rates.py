"""Requests a second to `/sample` of the service as it is, its log and metrics on.

Against a route of the same app, and one of a plain app, that parse the same body and return a
constant reply of the same schema: what is left to be had when there is nothing to compute, and
nothing to log and to count either. Against the post's loop behind a route of the plain app. And
against an empty FastAPI route with uvicorn's access log, asked with GET.
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
from service.api.responses import SampleReply
from service.app import create_app
from service.server.server import run
from service.settings import Settings

ROUNDS = 7
MANY, FEW = 2_000, 64  # requests in a round: to what is fast, to the post's loop
SAMPLE, CONSTANT, POST = "/sample", "/constant", "/post"
HEALTH, EMPTY = "/healthz", "/empty"


def compare(checkpoints: Path) -> Iterator[Row]:
    """Requests a second for 1 and for 20 names, medians of runs in turns."""
    with (
        _serving(_serve_ours, checkpoints) as ours,
        _serving(_serve_plain, checkpoints) as plain,
        _serving(_serve_empty, checkpoints) as empty,
    ):
        asked = {
            "sample": (ours, SAMPLE, MANY),
            "constant": (ours, CONSTANT, MANY),
            "plain": (plain, CONSTANT, MANY),
            "post": (plain, POST, FEW),
        }
        for n in (1, 20):
            rates = _rates(asked, n)
            names = "a name" if n == 1 else f"{n} names"
            for other, what in (
                ("constant", "a constant reply"),
                ("plain", "the same of a plain app"),
                ("post", "the post's loop"),
            ):
                yield Row(f"{names} / {what}", rates[other], rates["sample"], "requests/s")
        gets = {path: (ours, path, MANY) for path in (f"{SAMPLE}?n=1", f"{SAMPLE}?n=20", HEALTH)}
        gets[EMPTY] = (empty, EMPTY, MANY)
        rates = _rates(gets)
        for path in [*gets][:-1]:
            yield Row(f"{path} / an empty route", rates[EMPTY], rates[path], "requests/s")


def _rates(asked: dict[str, tuple[int, str, int]], n: int | None = None) -> dict[str, float]:
    """Medians, of whatever is asked: port, path, requests in a round; GETs without an n."""
    requests = {
        what: load.get(path) if n is None else load.post(path, {"n": n})
        for what, (_, path, _) in asked.items()
    }
    for what, (port, _, _) in asked.items():  # so that each path has been asked before
        load.rate(port, requests[what], FEW)
    runs = [
        {what: load.rate(port, requests[what], count) for what, (port, _, count) in asked.items()}
        for _ in range(ROUNDS)
    ]
    return {what: median(run[what] for run in runs) for what in asked}


@contextmanager
def _serving(serve: Callable[[Path, socket.socket], None], checkpoints: Path) -> Iterator[int]:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        server = get_context("spawn").Process(target=serve, args=(checkpoints, listener))
        server.start()
        port: int = listener.getsockname()[1]
    try:
        yield port  # who connects before the server is ready waits for it
    finally:
        server.terminate()
        server.join()


def _serve_ours(checkpoints: Path, listener: socket.socket) -> None:
    with tempfile.TemporaryFile() as log:  # which nobody reads
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
    with tempfile.TemporaryFile() as log:  # which nobody reads, the access log neither
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
    async def constant(constraints: SampleRequest) -> SampleReply:
        return replies[constraints.n]


def _add_post(app: FastAPI, model: LinearModel) -> None:
    torch.set_num_threads(1)
    weights = torch.from_numpy(model.weights).requires_grad_()  # as after the post's training
    generator = torch.Generator().manual_seed(1)
    name = partial(post.sample, weights, model.vocabulary.characters, generator)

    @app.post(POST)
    async def loop(constraints: SampleRequest) -> SampleReply:
        return _reply([name() for _ in range(constraints.n)])


def _reply(names: list[str]) -> SampleReply:
    return SampleReply(
        model="positional", checkpoint="0123456789ab", seed=1, probability=0.99, names=names
    )
