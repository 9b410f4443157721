"""The paths that make names, /sample and /top, and tell how long they are, /lengths."""

import math
import secrets
from itertools import chain
from typing import Annotated

import numpy as np
from fastapi import APIRouter, Body, Query, Request, Response
from fastapi.responses import StreamingResponse
from starlette.concurrency import iterate_in_threadpool, run_in_threadpool
from starlette.exceptions import HTTPException

from models.lengths import length_law
from models.likeliest import best_endings, likeliest
from models.sampling import Sampler
from models.wish import WishError
from service.catalog import ServedModel
from service.contract import ANY, AS_LINES, OF_A_MODEL, WITH_BODY, catalog_in_service
from service.negotiation import JSON, JSON_LINES, TEXT, preferred
from service.replies import Length, LengthsReply, SampleReply, TopName, TopReply
from service.requests import MAX_NAMES, MAX_SEED, SampleRequest, TopRequest, WishRequest
from service.route import StrictRoute
from service.samples import Sample

# Names without a seed differ each time: nobody on the way may keep them.
UNREPEATABLE = {"Cache-Control": "no-store", "Vary": "Accept"}

router = APIRouter(route_class=StrictRoute, responses=ANY | OF_A_MODEL)


@router.get("/sample", response_model=SampleReply, responses=AS_LINES)
async def sample_by_query(fields: Annotated[SampleRequest, Query()], request: Request) -> Response:
    """Draw names that fulfil a wish: as JSON, as text or as JSON lines."""
    return await _sample(fields, request)


@router.post("/sample", response_model=SampleReply, responses=AS_LINES | WITH_BODY)
async def sample_by_body(fields: Annotated[SampleRequest, Body()], request: Request) -> Response:
    """Draw names that fulfil a wish: as JSON, as text or as JSON lines."""
    return await _sample(fields, request)


async def _sample(fields: SampleRequest, request: Request) -> Response:
    media = preferred(request, [JSON, TEXT, JSON_LINES])
    if fields.n > MAX_NAMES and (media == JSON or fields.unique):
        why = "as unique" if fields.unique else f"as JSON, ask for {TEXT} or {JSON_LINES}"
        raise WishError(f"Input should be at most {MAX_NAMES:,} {why}", "n")
    model, sampler = await _compiled(fields, request)
    seed = secrets.randbelow(MAX_SEED + 1) if fields.seed is None else fields.seed
    sample = Sample(model, sampler, fields.n, seed, fields.unique)
    headers = UNREPEATABLE if media == JSON else UNREPEATABLE | sample.headers
    if sample.is_long and media != JSON:
        lines = (sample.lines(media, names) for names in sample.blocks())
        return StreamingResponse(lines, headers=headers, media_type=media)
    if sample.is_quick:
        content = sample.content(media, [*chain.from_iterable(sample.blocks())])
    else:
        names = await _names_in_threads(sample, request)
        content = await run_in_threadpool(sample.content, media, names)
    return Response(content, headers=headers, media_type=media)


async def _names_in_threads(sample: Sample, request: Request) -> list[str]:
    """The names, some at a time: in between others have their turn, and the client may leave."""
    names: list[str] = []
    async for some in iterate_in_threadpool(sample.blocks()):
        names += some
        if await request.is_disconnected():
            raise HTTPException(400)  # which nobody will read
    return names


@router.get("/top")
async def top_by_query(fields: Annotated[TopRequest, Query()], request: Request) -> TopReply:
    """The likeliest names that fulfil a wish, exactly."""
    return await _top(fields, request)


@router.post("/top", responses=WITH_BODY)
async def top_by_body(fields: Annotated[TopRequest, Body()], request: Request) -> TopReply:
    """The likeliest names that fulfil a wish, exactly."""
    return await _top(fields, request)


async def _top(fields: TopRequest, request: Request) -> TopReply:
    model, sampler = await _compiled(fields, request)
    found = await run_in_threadpool(lambda: likeliest(best_endings(sampler.chain), fields.n))
    fulfilled = sampler.chain.log_probability
    names = [
        TopName(
            name=one.name,
            log_likelihood=one.log_likelihood,
            share=min(1.0, math.exp(one.log_likelihood - fulfilled)),
        )
        for one in found
    ]
    return TopReply(
        model=model.name, checkpoint=model.version, probability=sampler.probability, names=names
    )


@router.get("/lengths")
async def lengths_by_query(
    fields: Annotated[WishRequest, Query()], request: Request
) -> LengthsReply:
    """How long the names are that fulfil a wish: the exact distribution."""
    return await _lengths(fields, request)


@router.post("/lengths", responses=WITH_BODY)
async def lengths_by_body(fields: Annotated[WishRequest, Body()], request: Request) -> LengthsReply:
    """How long the names are that fulfil a wish: the exact distribution."""
    return await _lengths(fields, request)


async def _lengths(fields: WishRequest, request: Request) -> LengthsReply:
    model, sampler = await _compiled(fields, request)
    law = await run_in_threadpool(length_law, sampler.chain)
    return LengthsReply(
        model=model.name,
        checkpoint=model.version,
        probability=sampler.probability,
        mean=float(law @ np.arange(len(law))),
        lengths=[
            Length(length=length, probability=float(law[length]) if length < len(law) else 0.0)
            for length in range(fields.min_length, fields.max_length + 1)
        ],
    )


async def _compiled(fields: WishRequest, request: Request) -> tuple[ServedModel, Sampler]:
    """The model that is asked, and its names that fulfil the wish."""
    model = catalog_in_service(request).get(fields.model)
    return model, await request.state.wishes.sampler(model, fields.wish)
