"""The paths that tell of all names that fulfil a wish at once, /lengths and /transitions."""

from typing import Annotated

import numpy as np
from fastapi import APIRouter, Body, Query, Request

from service.api.dependencies import compiled, queue
from service.api.openapi import ANY, OF_A_MODEL, WITH_BODY
from service.api.requests import ConstraintsRequest, TransitionsRequest
from service.api.responses import Length, LengthsReply, Row, TransitionsReply
from service.api.route import StrictRoute

router = APIRouter(route_class=StrictRoute, tags=["names"], responses=ANY | OF_A_MODEL)


@router.get("/lengths")
async def lengths_by_query(
    fields: Annotated[ConstraintsRequest, Query()], request: Request
) -> LengthsReply:
    """How long the names are that fulfil a wish: the exact distribution."""
    return await _lengths(fields, request)


@router.post("/lengths", responses=WITH_BODY)
async def lengths_by_body(
    fields: Annotated[ConstraintsRequest, Body()], request: Request
) -> LengthsReply:
    """How long the names are that fulfil a wish: the exact distribution."""
    return await _lengths(fields, request)


async def _lengths(fields: ConstraintsRequest, request: Request) -> LengthsReply:
    model, constraints = await compiled(fields, request)
    if not constraints.has_cached("lengths"):  # computed on first use, and kept as long as the wish
        await queue(request).search(constraints.cells, lambda: constraints.lengths, request)
    law = constraints.lengths
    return LengthsReply(
        model=model.name,
        checkpoint=model.version,
        probability=constraints.probability,
        mean=float(law @ np.arange(len(law))),
        lengths=[
            Length(length=length, probability=float(law[length]) if length < len(law) else 0.0)
            for length in range(fields.min_length, fields.max_length + 1)
        ],
    )


@router.get("/transitions")
async def transitions_by_query(
    fields: Annotated[TransitionsRequest, Query()], request: Request
) -> TransitionsReply:
    """What follows what at a position, in the names that fulfil a wish: exact probabilities."""
    return await _transitions(fields, request)


@router.post("/transitions", responses=WITH_BODY)
async def transitions_by_body(
    fields: Annotated[TransitionsRequest, Body()], request: Request
) -> TransitionsReply:
    """What follows what at a position, in the names that fulfil a wish: exact probabilities."""
    return await _transitions(fields, request)


async def _transitions(fields: TransitionsRequest, request: Request) -> TransitionsReply:
    model, constraints = await compiled(fields, request)
    passes = (fields.position + 1) / (fields.max_length + 1)
    is_cached = constraints.has_cached("expected_counts")
    if len(model.vocabulary.characters) > fields.characters and not is_cached:
        passes += 1
    found = await queue(request).search(
        constraints.cells * passes,
        lambda: constraints.bigrams(fields.position, fields.characters),
        request,
    )
    shown = [None, *model.vocabulary.characters]
    characters = [shown[token] for token in found.tokens]
    return TransitionsReply(
        model=model.name,
        checkpoint=model.version,
        probability=constraints.probability,
        position=fields.position,
        reached=found.reached,
        ended=found.ended,
        characters=characters,
        rows=[
            Row(
                previous=character,
                share=min(1.0, before / found.reached),
                probabilities=np.minimum(1.0, joint / before).tolist(),
            )
            for character, before, joint in zip(
                characters, found.previous.tolist(), found.joint, strict=True
            )
            if before > 0
        ],
    )
