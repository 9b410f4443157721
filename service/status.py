"""The paths that tell what there is and how the service is: /models, the probes and /metrics."""

from typing import Annotated

from fastapi import APIRouter, Path, Request, Response
from fastapi.responses import HTMLResponse

from models.list_size import size_warnings
from service.catalog import Catalog, ServedModel
from service.contract import (
    ANY,
    AS_METRICS,
    NOT_READY,
    OF_A_MODEL,
    OF_A_REPORT,
    catalog_in_service,
)
from service.particulars import FeatureInfo, ModelInfo, ModelInfoReply, ModelsReply, SourceInfo
from service.problems import problem
from service.replies import Readiness, Status
from service.route import StrictRoute

NO_REPORT = "There is no report of this model; train it with --evaluate."

ModelName = Annotated[str, Path(description="of a model, of those at /models")]

router = APIRouter(route_class=StrictRoute, tags=["the service"], responses=ANY)


@router.get("/models")
async def list_models(request: Request) -> ModelsReply:
    """The models in service."""
    catalog = catalog_in_service(request)
    infos = [_info(model, catalog) for model in catalog.models.values()]
    return ModelsReply(default=catalog.default, models=infos)


@router.get("/models/{name}", responses=OF_A_MODEL)
async def show_model(name: ModelName, request: Request) -> ModelInfoReply:
    """What a model is, how it was trained and how well it fits."""
    catalog = catalog_in_service(request)
    return ModelInfoReply(**_info(catalog.get(name), catalog).model_dump())


@router.get("/models/{name}/report", response_class=HTMLResponse, responses=OF_A_REPORT)
async def show_report(name: ModelName, request: Request) -> Response:
    """What the training of a model has found out, with plots."""
    catalog = catalog_in_service(request)
    served = catalog.get(name)
    if served.name not in catalog.reports:
        return problem(404, NO_REPORT)
    return HTMLResponse(catalog.reports[served.name], headers={"Cache-Control": "no-cache"})


def _info(served: ServedModel, catalog: Catalog) -> ModelInfo:
    model, record = served.checkpoint.model, served.checkpoint.record
    return ModelInfo(
        name=served.name,
        checkpoint=served.version,
        architecture=model.layout.name,
        features=[FeatureInfo.model_validate(feature) for feature in model.layout.features],
        parameters=model.weights.size,
        vocabulary=model.vocabulary.characters,
        keeps_case=model.vocabulary.keep_case,
        turkish=model.vocabulary.turkish,
        positions=model.layout.positions,
        recipe=record.recipe,
        penalty=record.penalty,
        loss=record.loss,
        nll=record.nll,
        source=SourceInfo.model_validate(record.source),
        trained_at=record.trained_at,
        trained_with=record.trained_with,
        warnings=size_warnings(record.source, served.checkpoint.roster),
        report=f"/models/{served.name}/report" if served.name in catalog.reports else None,
    )


@router.get("/healthz")
async def alive() -> Status:
    """Whether the process answers."""
    return Status(status="alive")


@router.get(
    "/readyz", response_model=Readiness, response_model_exclude_none=True, responses=NOT_READY
)
async def ready(request: Request) -> Response | Readiness:
    """Whether to send requests here: the default model is in service, and the service stays.

    Files that cannot be loaded are told besides.
    """
    catalog, lifecycle = catalog_in_service(request), request.state.lifecycle
    faults = "; ".join(catalog.failures.values()) or None
    if lifecycle.leaving:
        return problem(503, "The service is about to stop.")
    if catalog.default not in catalog.models:
        return problem(503, f"The default model is not in service: {faults}")
    return Readiness(status="ready", detail=faults)


@router.get("/metrics", response_class=Response, responses=AS_METRICS)
async def metrics(request: Request) -> Response:
    """What the service has counted, for Prometheus."""
    content, media = request.state.metrics.exposition(request.headers.get("accept", ""))
    return Response(content, media_type=media)
