"""The path that tells what follows the beginning of a name, /next."""

import math
from typing import Annotated

from fastapi import APIRouter, Body, Query, Request

from models.queries.next_character import next_character_distribution
from service.api.dependencies import catalog_in_service
from service.api.openapi import ANY, OF_A_MODEL, WITH_BODY
from service.api.requests import NextRequest
from service.api.responses import Continuation, NextReply
from service.api.route import StrictRoute
from service.catalog.catalog import ServedModel

router = APIRouter(route_class=StrictRoute, tags=["names"], responses=ANY | OF_A_MODEL)


@router.get("/next")
async def next_by_query(fields: Annotated[NextRequest, Query()], request: Request) -> NextReply:
    """What follows the beginning of a name, its end included: the exact distribution."""
    return _next(fields.prefix, catalog_in_service(request).get(fields.model))


@router.post("/next", responses=WITH_BODY)
async def next_by_body(fields: Annotated[NextRequest, Body()], request: Request) -> NextReply:
    """What follows the beginning of a name, its end included: the exact distribution."""
    return _next(fields.prefix, catalog_in_service(request).get(fields.model))


def _next(prefix: str, model: ServedModel) -> NextReply:
    prefix = model.vocabulary.normalize_part(prefix).lstrip()  # no name begins with white space
    return NextReply(
        model=model.name,
        checkpoint=model.version,
        prefix=prefix,
        next=[
            Continuation(character=character, probability=math.exp(log), log_likelihood=log)
            for character, log in next_character_distribution(model.chain, prefix)
        ],
    )
