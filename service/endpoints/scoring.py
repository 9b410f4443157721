"""Endpoint that scores names: /score."""

from typing import Annotated, ClassVar

from fastapi import APIRouter, Body, Query, Request, Response
from starlette.datastructures import Headers
from starlette.routing import Match
from starlette.types import Scope

from service.api.dependencies import current_catalog, metrics, queue
from service.api.limits import MAX_SCORE_BODY
from service.api.openapi import (
    BODY_PROBLEMS,
    FIELD_PROBLEMS,
    LINES_REQUEST,
    MODEL_PROBLEMS,
    SCORE_RESPONSES,
)
from service.api.route import StrictRoute
from service.api.score_requests import ScoreFields, ScoreQuery, ScoreRequest
from service.api.score_responses import ScoreResponse
from service.endpoints.score_writer import ScoreWriter
from service.http.negotiation import JSON, LINES, TEXT, content_type, is_gzip, preferred
from service.load.queue import Work
from service.streaming.duplex import DuplexResponse
from service.streaming.request_bodies import Limit, content_length

NEGOTIATED = {"Vary": "Accept"}


class LinesRoute(StrictRoute):
    """Route of names that are sent as lines, any number of them."""

    def matches(self, scope: Scope) -> tuple[Match, Scope]:
        """Match the path, the method and a Content-Type of lines."""
        match, child_scope = super().matches(scope)
        media = Headers(scope=scope).get("content-type", "").partition(";")[0].strip().lower()
        return (match, child_scope) if match is Match.FULL and media in LINES else (Match.NONE, {})


class NamesRoute(StrictRoute):
    """Route of names in a query or a JSON body."""

    media: ClassVar = [JSON, *LINES]  # named by a 415; LinesRoute handles lines
    limit: ClassVar = Limit(MAX_SCORE_BODY, "; send more names as lines")

    def admit(self, request: Request) -> None:
        """Estimate the work from the size of the request, before the body is read."""
        size = len(request.scope["query_string"]) + content_length(request)
        queue(request).admit(Work("score", size, light=True))


lines = APIRouter(route_class=LinesRoute)
router = APIRouter(
    route_class=NamesRoute, tags=["scores"], responses=FIELD_PROBLEMS | MODEL_PROBLEMS
)


@lines.post("/score", include_in_schema=False)
async def score_lines(fields: Annotated[ScoreFields, Query()], request: Request) -> Response:
    """Score each line as it arrives. The OpenAPI document describes it with /score for JSON."""
    received = content_type(request, LINES)
    sent = preferred(request, _offered(fields, [received, *LINES]))
    writer = _writer(fields, request)

    def answer(lines: list[bytes]) -> str:
        metrics(request).scored(writer.model.name, len(lines))
        return writer.answer(received, sent, lines)

    return DuplexResponse(
        answer,
        work=writer.work,
        block=writer.block,
        is_gzip=is_gzip(request),
        media_type=sent,
        headers=NEGOTIATED | writer.headers,
    )


@router.get("/score", response_model=ScoreResponse, responses=SCORE_RESPONSES)
async def score_names(fields: Annotated[ScoreQuery, Query()], request: Request) -> Response:
    """Score names: log-likelihood, and percentile among names of the same length."""
    return await _score_names(fields, fields.names, request)


@router.post(
    "/score",
    response_model=ScoreResponse,
    responses=SCORE_RESPONSES | BODY_PROBLEMS,
    openapi_extra=LINES_REQUEST,
)
async def score_names_from_body(
    fields: Annotated[ScoreRequest, Body()], request: Request
) -> Response:
    """Score names: log-likelihood, and percentile among names of the same length.

    Any number of names can also be sent as lines of text or of JSON (a string or an object with
    a `name`). The fields are then in the query, and the response has a line for each line.
    """
    return await _score_names(fields, fields.names, request)


async def _score_names(fields: ScoreFields, names: list[str], request: Request) -> Response:
    media = preferred(request, _offered(fields, [JSON, *LINES]))
    writer = _writer(fields, request)
    work = writer.work(writer.size(names))
    content = await queue(request).run(work, writer.chunks(media, names), request)
    metrics(request).scored(writer.model.name, len(names))
    headers = NEGOTIATED if media == JSON else NEGOTIATED | writer.headers
    return Response(content, headers=headers, media_type=media)


def _offered(fields: ScoreFields, media: list[str]) -> list[str]:
    """Return the media types without duplicates; text cannot contain explained scores."""
    return [kind for kind in dict.fromkeys(media) if kind != TEXT or not fields.explain]


def _writer(fields: ScoreFields, request: Request) -> ScoreWriter:
    return ScoreWriter(current_catalog(request).get(fields.model), fields.explain)
