"""The path that tells how likely names are, /score."""

from typing import Annotated, ClassVar

from fastapi import APIRouter, Body, Query, Request, Response
from starlette.datastructures import Headers
from starlette.routing import Match
from starlette.types import Scope

from service.api.dependencies import catalog_in_service, metrics, queue
from service.api.openapi import ANY, AS_SCORED_LINES, LINES_BODY, OF_A_MODEL, WITH_BODY
from service.api.requests import (
    MAX_NAMES,
    MAX_SCORED_LENGTH,
    ScoreFields,
    ScoreQuery,
    ScoreRequest,
)
from service.api.responses import ScoreReply
from service.api.route import StrictRoute
from service.endpoints.scored_names import NameJudge
from service.load.queue import Work
from service.negotiation import JSON, LINES, TEXT, content_type, is_packed, preferred
from service.streaming.bodies import Limit, content_length
from service.streaming.duplex import DuplexResponse

NEGOTIATED = {"Vary": "Accept"}


class LinesRoute(StrictRoute):
    """The route of names that are sent as lines, any number of them."""

    def matches(self, scope: Scope) -> tuple[Match, Scope]:
        """Whether the path and the method are right, and the body is lines."""
        match, found = super().matches(scope)
        sent = Headers(scope=scope).get("content-type", "")
        lines = sent.partition(";")[0].strip().lower() in LINES
        return (match, found) if match is Match.FULL and lines else (Match.NONE, {})


class NamesRoute(StrictRoute):
    """The route of names in a body of JSON."""

    media: ClassVar = [JSON, *LINES]  # of which lines have another route
    limit: ClassVar = Limit(MAX_NAMES * (MAX_SCORED_LENGTH + 4), "; send more names as lines")

    def admit(self, request: Request) -> None:
        """Names are as much work as they are long: that is known before they are read."""
        sent = content_length(request)
        size = len(request.scope["query_string"]) + sent
        queue(request).check(Work("score", size, light=True))


lines = APIRouter(route_class=LinesRoute)
router = APIRouter(route_class=NamesRoute, tags=["scores"], responses=ANY | OF_A_MODEL)


@lines.post("/score", include_in_schema=False)
async def score_lines(fields: Annotated[ScoreFields, Query()], request: Request) -> Response:
    """Score names while they come; documented with those in JSON."""
    media = content_type(request, LINES)
    wanted = preferred(request, _offered(fields, [media, *LINES]))
    judge = _judge(fields, request)

    def answer(some: list[bytes]) -> str:
        metrics(request).scored(judge.model.name, len(some))
        return judge.answer(media, wanted, some)

    return DuplexResponse(
        answer,
        work=judge.work,
        block=judge.block,
        is_packed=is_packed(request),
        media_type=wanted,
        headers=NEGOTIATED | judge.headers,
    )


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
    content = await queue(request).run(
        judge.work(judge.size(names)), judge.steps(media, names), request
    )
    metrics(request).scored(judge.model.name, len(names))
    headers = NEGOTIATED if media == JSON else NEGOTIATED | judge.headers
    return Response(content, headers=headers, media_type=media)


def _offered(fields: ScoreFields, media: list[str]) -> list[str]:
    """Those media types, each once, that have room for what is asked for."""
    return [one for one in dict.fromkeys(media) if one != TEXT or not fields.explain]


def _judge(fields: ScoreFields, request: Request) -> NameJudge:
    return NameJudge(catalog_in_service(request).get(fields.model), fields.explain)
