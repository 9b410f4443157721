"""Endpoint of the distribution of the next character: /next."""

import math
from typing import Annotated

from fastapi import APIRouter, Body, Query, Request

from models.queries.next_character import next_character_distribution
from service.api.dependencies import current_catalog
from service.api.openapi import ANY, OF_A_MODEL, WITH_BODY
from service.api.requests import NextRequest
from service.api.responses import Continuation, NextReply
from service.api.route import StrictRoute

router = APIRouter(route_class=StrictRoute, tags=["names"], responses=ANY | OF_A_MODEL)


@router.get("/next")
async def next_character(fields: Annotated[NextRequest, Query()], request: Request) -> NextReply:
    """Exact distribution of the character that follows a prefix, the end of the name included."""
    return _next_character(fields, request)


@router.post("/next", responses=WITH_BODY)
async def next_character_from_body(
    fields: Annotated[NextRequest, Body()], request: Request
) -> NextReply:
    """Exact distribution of the character that follows a prefix, the end of the name included."""
    return _next_character(fields, request)


def _next_character(fields: NextRequest, request: Request) -> NextReply:
    model = current_catalog(request).get(fields.model)
    prefix = model.vocabulary.normalize_part(
        fields.prefix
    ).lstrip()  # no name begins with white space
    return NextReply(
        model=model.name,
        checkpoint=model.version,
        prefix=prefix,
        next=[
            Continuation(character=character, probability=math.exp(log), log_likelihood=log)
            for character, log in next_character_distribution(model.chain, prefix)
        ],
    )
