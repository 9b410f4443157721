"""Requests a second to `/sample`, against two plain routes of the same app in the same process.

One parses the same body and returns a constant reply of the same schema: what FastAPI takes
for such a route when there is nothing to compute. The other runs the post's loop.
"""

import socket
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from multiprocessing import get_context
from pathlib import Path
from statistics import median

import torch
import uvicorn
from fastapi import FastAPI

from benchmarks import load, post
from benchmarks.measure import Row
from models.checkpoint import load as load_checkpoint
from models.linear import LinearModel
from service.app import create_app
from service.replies import SampleReply
from service.requests import SampleRequest
from service.settings import Settings

ROUNDS = 7
MANY, FEW = 2_000, 64  # requests in a round: to what is fast, to the post's loop
SAMPLE, CONSTANT, POST = "/sample", "/constant", "/post"


def compare(checkpoints: Path) -> Iterator[Row]:
    """Requests a second for 1 and for 20 names, medians of runs in turns."""
    with _serving(checkpoints) as port:
        for n in (1, 20):
            counts = {CONSTANT: MANY, POST: FEW, SAMPLE: MANY}
            requests = {path: load.post(path, {"n": n}) for path in counts}
            for request in requests.values():  # so that each path has been asked before
                load.rate(port, request, FEW)
            runs = [
                {path: load.rate(port, requests[path], counts[path]) for path in counts}
                for _ in range(ROUNDS)
            ]
            rates = {path: median(run[path] for run in runs) for path in counts}
            names = "a name" if n == 1 else f"{n} names"
            yield Row(f"{names} / a constant reply", rates[CONSTANT], rates[SAMPLE], "requests/s")
            yield Row(f"{names} / the post's loop", rates[POST], rates[SAMPLE], "requests/s")


@contextmanager
def _serving(checkpoints: Path) -> Iterator[int]:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        server = get_context("spawn").Process(target=_serve, args=(checkpoints, listener))
        server.start()
        port: int = listener.getsockname()[1]
    try:
        yield port  # who connects before the server is ready waits for it
    finally:
        server.terminate()
        server.join()


def _serve(checkpoints: Path, listener: socket.socket) -> None:
    app = create_app(Settings(checkpoints=checkpoints))
    model = load_checkpoint((checkpoints / "positional.safetensors").read_bytes()).model
    _add_constant(app)
    _add_post(app, model)
    config = uvicorn.Config(
        app, loop="uvloop", http="httptools", ws="none", access_log=False, log_level="warning"
    )
    uvicorn.Server(config).run(sockets=[listener])


def _add_constant(app: FastAPI) -> None:
    replies = {n: _reply(["kayla"] * n) for n in (1, 20)}

    @app.post(CONSTANT)
    async def constant(wish: SampleRequest) -> SampleReply:
        return replies[wish.n]


def _add_post(app: FastAPI, model: LinearModel) -> None:
    torch.set_num_threads(1)
    weights = torch.from_numpy(model.weights).requires_grad_()  # as after the post's training
    generator = torch.Generator().manual_seed(1)
    name = partial(post.sample, weights, model.vocabulary.characters, generator)

    @app.post(POST)
    async def loop(wish: SampleRequest) -> SampleReply:
        return _reply([name() for _ in range(wish.n)])


def _reply(names: list[str]) -> SampleReply:
    return SampleReply(
        model="positional", checkpoint="0123456789ab", seed=1, probability=0.99, names=names
    )
