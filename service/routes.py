"""The paths of the service: each puts a request to `models` and their answer on the wire."""

import secrets
from typing import Annotated, Any

import numpy as np
from fastapi import APIRouter, Body, Depends, Query, Request, Response
from fastapi.responses import PlainTextResponse

from models.scoring import score
from models.wish import Wish
from service.catalog import Catalog, ServedModel
from service.negotiation import JSON, TEXT, preferred, refuse_repeated_fields, require_json
from service.problems import MEDIA_TYPE, problem
from service.schemas import (
    MAX_SEED,
    ModelInfo,
    ModelInfoReply,
    ModelsReply,
    NameScore,
    NoFields,
    Problem,
    SampleQuery,
    SampleReply,
    SampleRequest,
    ScoreQuery,
    ScoreReply,
    ScoreRequest,
    SourceInfo,
    Status,
)

Responses = dict[int | str, dict[str, Any]]


def _problems(*statuses: int) -> Responses:
    """The documentation of the problems a path can reply with."""
    schema = Problem.model_json_schema()
    schema["properties"]["errors"]["items"] = schema.pop("$defs")["FieldProblem"]
    content = {MEDIA_TYPE: {"schema": schema}}
    return {status: {"content": content, "description": "Problem"} for status in statuses}


async def catalog_in_service(request: Request) -> Catalog:
    """The catalog that the lifespan has loaded."""
    catalog: Catalog = request.state.catalog
    return catalog


InService = Annotated[Catalog, Depends(catalog_in_service)]
Nothing = Annotated[NoFields, Query()]

router = APIRouter(dependencies=[Depends(refuse_repeated_fields)], responses=_problems(422))
OF_A_MODEL = _problems(404, 503)
WITH_BODY = _problems(400, 415)
AS_TEXT: Responses = {200: {"content": {TEXT: {"example": "kayla\nmoriah\n"}}}, **_problems(406)}


@router.get("/sample", response_model=SampleReply, responses=OF_A_MODEL | AS_TEXT)
async def sample_by_query(
    wish: Annotated[SampleQuery, Query()], catalog: InService, request: Request
) -> Response:
    """Draw names: as JSON, or one a line with `Accept: text/plain`."""
    return _sample(wish, catalog, request)


@router.post(
    "/sample",
    response_model=SampleReply,
    responses=OF_A_MODEL | AS_TEXT | WITH_BODY,
    dependencies=[Depends(require_json)],
)
async def sample_by_body(
    wish: Annotated[SampleRequest, Body()], catalog: InService, request: Request, _: Nothing
) -> Response:
    """Draw names: as JSON, or one a line with `Accept: text/plain`."""
    return _sample(wish, catalog, request)


def _sample(wish: SampleQuery, catalog: Catalog, request: Request) -> Response:
    media = preferred(request, [JSON, TEXT])
    model = catalog.get(wish.model)
    seed = secrets.randbelow(MAX_SEED + 1) if wish.seed is None else wish.seed
    sampler = model.sampler(Wish(wish.max_length, wish.temperature))
    reply = SampleReply(
        model=model.name,
        checkpoint=model.version,
        seed=seed,
        probability=sampler.probability,
        names=sampler.draw(wish.n, np.random.default_rng(seed)),
    )
    # Names without a seed differ each time: nobody on the way may keep them.
    headers = {"Cache-Control": "no-store", "Vary": "Accept"}
    if media == JSON:
        return Response(reply.model_dump_json(), headers=headers, media_type=JSON)
    headers |= {
        f"Moniker-{field.title()}": str(value) for field, value in reply if field != "names"
    }
    return PlainTextResponse("".join(f"{name}\n" for name in reply.names), headers=headers)


@router.get("/score", responses=OF_A_MODEL)
async def score_by_query(wish: Annotated[ScoreQuery, Query()], catalog: InService) -> ScoreReply:
    """Score names: how likely the model finds each."""
    return _score(wish.names, catalog.get(wish.model))


@router.post("/score", responses=OF_A_MODEL | WITH_BODY, dependencies=[Depends(require_json)])
async def score_by_body(
    wish: Annotated[ScoreRequest, Body()], catalog: InService, _: Nothing
) -> ScoreReply:
    """Score names: how likely the model finds each."""
    return _score(wish.names, catalog.get(wish.model))


def _score(names: list[str], model: ServedModel) -> ScoreReply:
    scores = score(model.chain, model.vocabulary, names)
    return ScoreReply(
        model=model.name,
        checkpoint=model.version,
        scores=[NameScore.model_validate(scored) for scored in scores],
    )


@router.get("/models")
async def list_models(catalog: InService, _: Nothing) -> ModelsReply:
    """The models in service."""
    infos = [_info(model) for model in catalog.models.values()]
    return ModelsReply(default=catalog.default, models=infos)


@router.get("/models/{name}", responses=OF_A_MODEL)
async def show_model(name: str, catalog: InService, _: Nothing) -> ModelInfoReply:
    """What a model is, how it was trained and how well it fits."""
    return ModelInfoReply(**_info(catalog.get(name)).model_dump())


def _info(served: ServedModel) -> ModelInfo:
    model, record = served.checkpoint.model, served.checkpoint.record
    return ModelInfo(
        name=served.name,
        checkpoint=served.version,
        architecture=model.layout.name,
        features=[feature.name for feature in model.layout.features],
        parameters=model.weights.size,
        vocabulary=model.vocabulary.characters,
        keeps_case=model.vocabulary.keep_case,
        positions=model.layout.positions,
        recipe=record.recipe,
        penalty=record.penalty,
        loss=record.loss,
        nll=record.nll,
        source=SourceInfo.model_validate(record.source),
        trained_at=record.trained_at,
        trained_with=record.trained_with,
    )


@router.head("/healthz", include_in_schema=False)
@router.get("/healthz")
async def alive(_: Nothing) -> Status:
    """Whether the process answers."""
    return Status(status="alive")


@router.head("/readyz", include_in_schema=False, response_model=None)
@router.get("/readyz", response_model=Status, responses=_problems(503))
async def ready(catalog: InService, _: Nothing) -> Response | Status:
    """Whether every model that there should be is in service."""
    if catalog.failures:
        return problem(
            503, "Not every model is in service: " + "; ".join(catalog.failures.values())
        )
    return Status(status="ready")
