"""The path that tells how likely names are, /score."""

from functools import partial
from typing import Annotated

from fastapi import APIRouter, Body, Query, Request, Response
from starlette.concurrency import run_in_threadpool

from service.contract import (
    ANY,
    AS_SCORED_LINES,
    LINES_BODY,
    OF_A_MODEL,
    WITH_BODY,
    catalog_in_service,
)
from service.negotiation import JSON, JSON_LINES, TEXT, content_type, preferred
from service.pipe import Pipe
from service.replies import ScoreReply
from service.requests import ScoreFields, ScoreQuery, ScoreRequest
from service.route import StrictRoute, fields_of_query
from service.scores import Judge

LINES = [TEXT, JSON_LINES]
NEGOTIATED = {"Vary": "Accept"}


class ScoreRoute(StrictRoute):
    """A route to which names can be sent as lines too."""

    async def handle_body(self, request: Request) -> Response:
        """The reply to names as JSON, as text or as JSON lines."""
        media = content_type(request, [JSON, *LINES])
        if media == JSON:
            return await super().handle_body(request)
        fields = fields_of_query(ScoreFields, request)
        wanted = preferred(request, _offered(fields, [media, *LINES]))
        judge = _judge(fields, request)
        return Pipe(
            partial(judge.answer, media, wanted),
            block=judge.block,
            media_type=wanted,
            headers=NEGOTIATED | judge.headers,
        )


router = APIRouter(route_class=ScoreRoute, responses=ANY | OF_A_MODEL)


@router.get("/score", response_model=ScoreReply, responses=AS_SCORED_LINES)
async def score_by_query(fields: Annotated[ScoreQuery, Query()], request: Request) -> Response:
    """Score names: how likely the model finds each, and how that compares with others."""
    return await _score(fields, fields.names, request)


@router.post(
    "/score",
    response_model=ScoreReply,
    responses=AS_SCORED_LINES | WITH_BODY,
    openapi_extra=LINES_BODY,
)
async def score_by_body(fields: Annotated[ScoreRequest, Body()], request: Request) -> Response:
    """Score names: how likely the model finds each, and how that compares with others.

    Names can also be sent as lines, any number of them, of text or of JSON (a string or an
    object with a `name`); the fields are then in the query, and each line is answered by one.
    """
    return await _score(fields, fields.names, request)


async def _score(fields: ScoreFields, names: list[str], request: Request) -> Response:
    media = preferred(request, _offered(fields, [JSON, *LINES]))
    judge = _judge(fields, request)
    if judge.is_quick(names):
        content = judge.content(media, names)
    else:
        content = await run_in_threadpool(judge.content, media, names)
    headers = NEGOTIATED if media == JSON else NEGOTIATED | judge.headers
    return Response(content, headers=headers, media_type=media)


def _offered(fields: ScoreFields, media: list[str]) -> list[str]:
    """Those media types, each once, that have room for what is asked for."""
    return [one for one in dict.fromkeys(media) if one != TEXT or not fields.explain]


def _judge(fields: ScoreFields, request: Request) -> Judge:
    return Judge(catalog_in_service(request).get(fields.model), fields.explain)
