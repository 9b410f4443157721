"""The paths that make names, /sample and /top."""

import math
import secrets
from collections.abc import Iterator
from typing import Annotated

from fastapi import APIRouter, Body, Query, Request, Response

from models.constraints.constraints import ConstraintError
from models.queries.k_best import best_completions, k_best
from service.api.dependencies import compiled, metrics, queue
from service.api.openapi import ANY, AS_LINES, OF_A_MODEL, WITH_BODY
from service.api.requests import MAX_NAMES, MAX_SEED, SampleRequest, TopRequest
from service.api.responses import SampleReply, TopName, TopReply
from service.api.route import StrictRoute
from service.endpoints.sampled_names import Sample
from service.negotiation import JSON, JSON_LINES, LINES, TEXT, preferred
from service.streaming.streaming_response import SlotStreamingResponse
from service.telemetry.metrics import Metrics

# Names without a seed differ each time: nobody on the way may keep them.
UNREPEATABLE = {"Cache-Control": "no-store", "Vary": "Accept"}

router = APIRouter(route_class=StrictRoute, tags=["names"], responses=ANY | OF_A_MODEL)


@router.get("/sample", response_model=SampleReply, responses=AS_LINES)
async def sample_by_query(fields: Annotated[SampleRequest, Query()], request: Request) -> Response:
    """Draw names that fulfil a wish: as JSON, as text or as JSON lines."""
    return await _sample(fields, request)


@router.post("/sample", response_model=SampleReply, responses=AS_LINES | WITH_BODY)
async def sample_by_body(fields: Annotated[SampleRequest, Body()], request: Request) -> Response:
    """Draw names that fulfil a wish: as JSON, as text or as JSON lines."""
    return await _sample(fields, request)


async def _sample(fields: SampleRequest, request: Request) -> Response:
    media = preferred(request, [JSON, *LINES])
    if fields.n > MAX_NAMES and (media == JSON or fields.unique):
        why = "as unique" if fields.unique else f"as JSON, ask for {TEXT} or {JSON_LINES}"
        raise ConstraintError(f"Input should be at most {MAX_NAMES:,} {why}", "n")
    model, constraints = await compiled(fields, request)
    seed = secrets.randbelow(MAX_SEED + 1) if fields.seed is None else fields.seed
    sample = Sample(model, constraints, fields.n, seed, fields.unique)
    headers = UNREPEATABLE if media == JSON else UNREPEATABLE | sample.headers
    if sample.is_long and media != JSON:
        lines = _counted_lines(sample, media, metrics(request))
        return SlotStreamingResponse(
            queue(request).iterate(lines), headers=headers, media_type=media
        )
    content = await queue(request).run(sample.work, sample.steps(media), request)
    metrics(request).sampled(model.name, fields.n)
    return Response(content, headers=headers, media_type=media)


def _counted_lines(sample: Sample, media: str, metrics: Metrics) -> Iterator[str]:
    for names in sample.blocks():
        metrics.sampled(sample.model.name, len(names))
        yield sample.lines(media, names)


@router.get("/top")
async def top_by_query(fields: Annotated[TopRequest, Query()], request: Request) -> TopReply:
    """The likeliest names that fulfil a wish, exactly."""
    return await _top(fields, request)


@router.post("/top", responses=WITH_BODY)
async def top_by_body(fields: Annotated[TopRequest, Body()], request: Request) -> TopReply:
    """The likeliest names that fulfil a wish, exactly."""
    return await _top(fields, request)


async def _top(fields: TopRequest, request: Request) -> TopReply:
    model, constraints = await compiled(fields, request)
    found = await queue(request).search(
        constraints.cells + fields.n * fields.max_length,
        lambda: k_best(best_completions(constraints.chain), fields.n),
        request,
    )
    fulfilled = constraints.chain.log_probability
    names = [
        TopName(
            name=one.name,
            log_likelihood=one.log_likelihood,
            share=min(1.0, math.exp(one.log_likelihood - fulfilled)),
        )
        for one in found
    ]
    return TopReply(
        model=model.name, checkpoint=model.version, probability=constraints.probability, names=names
    )
