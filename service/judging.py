"""The paths that tell how likely names are, /score, and what follows a beginning, /next."""

import math
from typing import Annotated

from fastapi import APIRouter, Body, Query, Request

from models.scoring import continuations, score
from service.catalog import ServedModel
from service.contract import ANY, OF_A_MODEL, WITH_BODY, catalog_in_service
from service.replies import Continuation, NameScore, NextReply, ScoreReply
from service.requests import NextRequest, ScoreQuery, ScoreRequest
from service.route import StrictRoute

router = APIRouter(route_class=StrictRoute, responses=ANY | OF_A_MODEL)


@router.get("/score")
async def score_by_query(fields: Annotated[ScoreQuery, Query()], request: Request) -> ScoreReply:
    """Score names: how likely the model finds each."""
    return _score(fields.names, catalog_in_service(request).get(fields.model))


@router.post("/score", responses=WITH_BODY)
async def score_by_body(fields: Annotated[ScoreRequest, Body()], request: Request) -> ScoreReply:
    """Score names: how likely the model finds each."""
    return _score(fields.names, catalog_in_service(request).get(fields.model))


def _score(names: list[str], model: ServedModel) -> ScoreReply:
    scores = score(model.chain, model.vocabulary, names)
    return ScoreReply(
        model=model.name,
        checkpoint=model.version,
        scores=[NameScore.model_validate(scored) for scored in scores],
    )


@router.get("/next")
async def next_by_query(fields: Annotated[NextRequest, Query()], request: Request) -> NextReply:
    """What follows the beginning of a name, its end included: the exact distribution."""
    return _next(fields.prefix, catalog_in_service(request).get(fields.model))


@router.post("/next", responses=WITH_BODY)
async def next_by_body(fields: Annotated[NextRequest, Body()], request: Request) -> NextReply:
    """What follows the beginning of a name, its end included: the exact distribution."""
    return _next(fields.prefix, catalog_in_service(request).get(fields.model))


def _next(prefix: str, model: ServedModel) -> NextReply:
    prefix = model.vocabulary.fold(prefix)
    return NextReply(
        model=model.name,
        checkpoint=model.version,
        prefix=prefix,
        next=[
            Continuation(character=character, probability=math.exp(log), log_likelihood=log)
            for character, log in continuations(model.chain, prefix)
        ],
    )
