"""Endpoints of exact distributions over constrained names: /lengths and /transitions."""

from typing import Annotated

import numpy as np
from fastapi import APIRouter, Body, Query, Request

from service.api.dependencies import compiled, queue
from service.api.openapi import BODY_PROBLEMS, FIELD_PROBLEMS, MODEL_PROBLEMS
from service.api.requests import ConstraintsRequest, TransitionsRequest
from service.api.responses import (
    LengthProbability,
    LengthsResponse,
    TransitionRow,
    TransitionsResponse,
)
from service.api.route import StrictRoute

router = APIRouter(
    route_class=StrictRoute, tags=["names"], responses=FIELD_PROBLEMS | MODEL_PROBLEMS
)


@router.get("/lengths")
async def length_distribution(
    fields: Annotated[ConstraintsRequest, Query()], request: Request
) -> LengthsResponse:
    """Exact distribution of the length of the names that satisfy the constraints."""
    return await _length_distribution(fields, request)


@router.post("/lengths", responses=BODY_PROBLEMS)
async def length_distribution_from_body(
    fields: Annotated[ConstraintsRequest, Body()], request: Request
) -> LengthsResponse:
    """Exact distribution of the length of the names that satisfy the constraints."""
    return await _length_distribution(fields, request)


async def _length_distribution(fields: ConstraintsRequest, request: Request) -> LengthsResponse:
    model, constraints = await compiled(fields, request)
    if not constraints.has_cached("lengths"):  # computed on first use, then kept
        await queue(request).query(constraints.cells, lambda: constraints.lengths, request)
    probabilities = constraints.lengths
    return LengthsResponse(
        model=model.name,
        checkpoint=model.version,
        probability=constraints.probability,
        mean=float(probabilities @ np.arange(len(probabilities))),
        lengths=[
            LengthProbability(
                length=length,
                probability=float(probabilities[length]) if length < len(probabilities) else 0.0,
            )
            for length in range(fields.min_length, fields.max_length + 1)
        ],
    )


@router.get("/transitions")
async def transition_probabilities(
    fields: Annotated[TransitionsRequest, Query()], request: Request
) -> TransitionsResponse:
    """Exact transition probabilities at a position, in the names that satisfy the constraints."""
    return await _transition_probabilities(fields, request)


@router.post("/transitions", responses=BODY_PROBLEMS)
async def transition_probabilities_from_body(
    fields: Annotated[TransitionsRequest, Body()], request: Request
) -> TransitionsResponse:
    """Exact transition probabilities at a position, in the names that satisfy the constraints."""
    return await _transition_probabilities(fields, request)


async def _transition_probabilities(
    fields: TransitionsRequest, request: Request
) -> TransitionsResponse:
    model, constraints = await compiled(fields, request)
    # In passes over all transition tables; the expected counts, which rank characters, take one.
    passes = (fields.position + 1) / (fields.max_length + 1)
    is_cached = constraints.has_cached("expected_counts")
    if len(model.vocabulary.characters) > fields.characters and not is_cached:
        passes += 1
    marginals = await queue(request).query(
        constraints.cells * passes,
        lambda: constraints.bigrams(fields.position, fields.characters),
        request,
    )
    names = [None, *model.vocabulary.characters]  # by token
    characters = [names[token] for token in marginals.tokens]
    return TransitionsResponse(
        model=model.name,
        checkpoint=model.version,
        probability=constraints.probability,
        position=fields.position,
        reached=marginals.reached,
        ended=marginals.ended,
        characters=characters,
        rows=[
            TransitionRow(
                previous=character,
                share=min(1.0, before / marginals.reached),
                probabilities=np.minimum(1.0, joint / before).tolist(),
            )
            for character, before, joint in zip(
                characters, marginals.previous.tolist(), marginals.joint, strict=True
            )
            if before > 0
        ],
    )
