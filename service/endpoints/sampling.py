"""Endpoints that generate names: /sample and /top."""

import math
import secrets
from collections.abc import Iterator
from typing import Annotated

from fastapi import APIRouter, Body, Query, Request, Response

from models.queries.k_best import best_completions, k_best
from service.api.dependencies import compiled, metrics, queue
from service.api.limits import MAX_NAMES, MAX_SEED
from service.api.openapi import BODY_PROBLEMS, FIELD_PROBLEMS, MODEL_PROBLEMS, SAMPLE_RESPONSES
from service.api.requests import SampleRequest, TopRequest
from service.api.responses import SampleResponse, TopName, TopResponse
from service.api.route import StrictRoute
from service.endpoints.sample_writer import SampleWriter
from service.errors import FieldProblem, InvalidFieldsError
from service.http.negotiation import JSON, JSON_LINES, LINES, TEXT, preferred
from service.streaming.streaming_response import SlotStreamingResponse
from service.telemetry.metrics import Metrics

# A sample without a seed differs each time, so caches must not store it.
NOT_CACHED = {"Cache-Control": "no-store", "Vary": "Accept"}

router = APIRouter(
    route_class=StrictRoute, tags=["names"], responses=FIELD_PROBLEMS | MODEL_PROBLEMS
)


@router.get("/sample", response_model=SampleResponse, responses=SAMPLE_RESPONSES)
async def sample_names(fields: Annotated[SampleRequest, Query()], request: Request) -> Response:
    """Sample names that satisfy the constraints: as JSON, text or JSON Lines."""
    return await _sample_names(fields, request)


@router.post("/sample", response_model=SampleResponse, responses=SAMPLE_RESPONSES | BODY_PROBLEMS)
async def sample_names_from_body(
    fields: Annotated[SampleRequest, Body()], request: Request
) -> Response:
    """Sample names that satisfy the constraints: as JSON, text or JSON Lines."""
    return await _sample_names(fields, request)


async def _sample_names(fields: SampleRequest, request: Request) -> Response:
    media = preferred(request, [JSON, *LINES])
    if fields.n > MAX_NAMES and (media == JSON or fields.unique):
        reason = f"for JSON; request {TEXT} or {JSON_LINES} for more"
        if fields.unique:
            reason = "with unique"
        detail = f"Input should be at most {MAX_NAMES:,} {reason}"
        raise InvalidFieldsError.of_fields([FieldProblem(field="n", detail=detail)])
    model, constraints = await compiled(fields, request)
    seed = secrets.randbelow(MAX_SEED + 1) if fields.seed is None else fields.seed
    sample = SampleWriter(model, constraints, fields.n, seed, fields.unique)
    headers = NOT_CACHED if media == JSON else NOT_CACHED | sample.headers
    if sample.is_long and media != JSON:
        lines = _counted_lines(sample, media, metrics(request))
        return SlotStreamingResponse(
            queue(request).iterate(lines), headers=headers, media_type=media
        )
    content = await queue(request).run(sample.work, sample.chunks(media), request)
    metrics(request).sampled(model.name, fields.n)
    return Response(content, headers=headers, media_type=media)


def _counted_lines(sample: SampleWriter, media: str, metrics: Metrics) -> Iterator[str]:
    for names in sample.blocks():
        metrics.sampled(sample.model.name, len(names))
        yield sample.lines(media, names)


@router.get("/top")
async def top_names(fields: Annotated[TopRequest, Query()], request: Request) -> TopResponse:
    """The n most probable names that satisfy the constraints, exactly."""
    return await _top_names(fields, request)


@router.post("/top", responses=BODY_PROBLEMS)
async def top_names_from_body(
    fields: Annotated[TopRequest, Body()], request: Request
) -> TopResponse:
    """The n most probable names that satisfy the constraints, exactly."""
    return await _top_names(fields, request)


async def _top_names(fields: TopRequest, request: Request) -> TopResponse:
    model, constraints = await compiled(fields, request)
    most_probable = await queue(request).query(
        constraints.cells + fields.n * fields.max_length,
        lambda: k_best(best_completions(constraints.chain), fields.n),
        request,
    )
    names = [
        TopName(
            name=name.name,
            log_likelihood=name.log_likelihood,
            share=min(1.0, math.exp(name.log_likelihood - constraints.chain.log_probability)),
        )
        for name in most_probable
    ]
    return TopResponse(
        model=model.name, checkpoint=model.version, probability=constraints.probability, names=names
    )
