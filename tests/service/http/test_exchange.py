"""The exchange of a request, under the service's own server and under others."""

import asyncio
import gc
from pathlib import Path
from time import perf_counter
from typing import Any

from starlette.types import Message

from service.app import create_app
from service.http.exchange import Exchange
from service.settings import Settings


def test_the_exchange_of_the_connection_is_returned() -> None:
    exchange = Exchange()
    assert Exchange.of({"state": {"exchange": exchange}}) is exchange


def test_without_a_connection_the_exchange_is_created_once_with_defaults() -> None:
    scope: dict[str, Any] = {"type": "http"}
    before = perf_counter()
    exchange = Exchange.of(scope)
    assert before <= exchange.arrived <= perf_counter()
    assert not exchange.body_received
    exchange.abort()
    assert Exchange.of(scope) is exchange


def test_the_application_runs_under_another_server(one_model: Path) -> None:
    body = b"emma\nava\n"
    sent: list[Message] = []

    async def receive() -> Message:
        return {"type": "http.request", "body": body, "more_body": False}

    async def send(message: Message) -> None:
        sent.append(message)

    async def main() -> None:
        app = create_app(Settings(checkpoints=one_model, log_requests=False))
        async with app.router.lifespan_context(app) as state:
            scope = {
                "type": "http", "http_version": "1.1", "method": "POST", "scheme": "http",
                "path": "/score", "raw_path": b"/score", "query_string": b"", "root_path": "",
                "headers": [(b"host", b"localhost"), (b"content-type", b"text/plain")],
                "state": dict(state or {}),
            }  # fmt: skip
            await app(scope, receive, send)

    try:
        asyncio.run(main())
    finally:
        gc.unfreeze()  # the lifespan has frozen all objects
    assert sent[0]["status"] == 200
    content = b"".join(message.get("body", b"") for message in sent[1:])
    assert [line.split(b"\t")[2] for line in content.splitlines()] == [b"emma", b"ava"]
