"""Endpoint of the distribution of the next character: /next."""

import math
from typing import Annotated

from fastapi import APIRouter, Body, Query, Request

from models.queries.next_character import next_character_distribution
from service.api.dependencies import current_catalog
from service.api.openapi import BODY_PROBLEMS, FIELD_PROBLEMS, MODEL_PROBLEMS
from service.api.requests import NextRequest
from service.api.responses import NextCharacter, NextResponse
from service.api.route import StrictRoute

router = APIRouter(
    route_class=StrictRoute, tags=["names"], responses=FIELD_PROBLEMS | MODEL_PROBLEMS
)


@router.get("/next")
async def next_character(fields: Annotated[NextRequest, Query()], request: Request) -> NextResponse:
    """Exact distribution of the character that follows a prefix, the end of the name included."""
    return _next_character(fields, request)


@router.post("/next", responses=BODY_PROBLEMS)
async def next_character_from_body(
    fields: Annotated[NextRequest, Body()], request: Request
) -> NextResponse:
    """Exact distribution of the character that follows a prefix, the end of the name included."""
    return _next_character(fields, request)


def _next_character(fields: NextRequest, request: Request) -> NextResponse:
    model = current_catalog(request).get(fields.model)
    prefix = model.vocabulary.normalize_part(
        fields.prefix
    ).lstrip()  # no name begins with white space
    return NextResponse(
        model=model.name,
        checkpoint=model.version,
        prefix=prefix,
        next=[
            NextCharacter(character=character, probability=math.exp(log), log_likelihood=log)
            for character, log in next_character_distribution(model.chain, prefix)
        ],
    )
