"""The paths that make names, /sample and /top, and tell how long they are, /lengths."""

import math
import secrets
from collections.abc import Iterator
from itertools import chain
from typing import Annotated

import numpy as np
from fastapi import APIRouter, Body, Query, Request, Response
from starlette.concurrency import run_in_threadpool

from models.lengths import length_law
from models.likeliest import best_endings, likeliest
from models.sampling import Sampler
from models.wish import WishError
from service.catalog import ServedModel
from service.contract import (
    ANY,
    AS_LINES,
    OF_A_MODEL,
    WITH_BODY,
    admission,
    catalog_in_service,
    metrics,
)
from service.metrics import Metrics
from service.negotiation import JSON, JSON_LINES, TEXT, preferred
from service.replies import Length, LengthsReply, SampleReply, TopName, TopReply
from service.requests import MAX_NAMES, MAX_SEED, SampleRequest, TopRequest, WishRequest
from service.route import StrictRoute
from service.samples import Sample
from service.slices import done_in_slices
from service.stream import Stream

# Names without a seed differ each time: nobody on the way may keep them.
UNREPEATABLE = {"Cache-Control": "no-store", "Vary": "Accept"}

SEARCH = 0.05  # what a byte of a compiled wish takes, in characters drawn, to go through it all

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
        lines = _counted_lines(sample, media, metrics(request))
        return Stream(lines, headers=headers, media_type=media)
    if sample.is_quick:
        content = sample.content(media, [*chain.from_iterable(sample.blocks())])
    else:
        with admission(request).work(sample.work):
            content = await done_in_slices(sample.steps(media), sample.is_light, request)
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
    model, sampler = await _compiled(fields, request)
    with admission(request).work(SEARCH * sampler.size + fields.n * fields.max_length):
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
    with admission(request).work(SEARCH * sampler.size):
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
