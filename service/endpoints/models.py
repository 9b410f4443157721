"""Endpoints of the models and their evaluation reports: /models."""

from typing import Annotated

from fastapi import APIRouter, Path, Request, Response
from fastapi.responses import HTMLResponse

from models.provenance import size_warnings
from service.api.dependencies import current_catalog
from service.api.model_info import (
    FeatureInfo,
    ModelInfo,
    ModelInfoResponse,
    ModelsResponse,
    SourceInfo,
)
from service.api.openapi import FIELD_PROBLEMS, MODEL_PROBLEMS, REPORT_PROBLEMS
from service.api.route import StrictRoute
from service.catalog.catalog import Catalog, ServedModel
from service.errors import NoReportError

ModelName = Annotated[str, Path(description="name of a model at /models")]

router = APIRouter(route_class=StrictRoute, tags=["the service"], responses=FIELD_PROBLEMS)


@router.get("/models")
async def list_models(request: Request) -> ModelsResponse:
    """Models of the service, and the limits of requests."""
    catalog = current_catalog(request)
    infos = [_info(model, catalog) for model in catalog.models.values()]
    return ModelsResponse(default=catalog.default, models=infos)


@router.get("/models/{name}", responses=MODEL_PROBLEMS)
async def get_model(name: ModelName, request: Request) -> ModelInfoResponse:
    """Architecture, provenance and loss of a model."""
    catalog = current_catalog(request)
    return ModelInfoResponse(**_info(catalog.get(name), catalog).model_dump())


@router.get("/models/{name}/report", response_class=HTMLResponse, responses=REPORT_PROBLEMS)
async def get_model_report(name: ModelName, request: Request) -> Response:
    """Evaluation report of a model, in HTML with plots."""
    catalog = current_catalog(request)
    served = catalog.get(name)
    if served.name not in catalog.reports:
        raise NoReportError("This model has no report; train it with --evaluate.")
    return HTMLResponse(catalog.reports[served.name], headers={"Cache-Control": "no-cache"})


def _info(served: ServedModel, catalog: Catalog) -> ModelInfo:
    model, provenance = served.checkpoint.model, served.checkpoint.provenance
    return ModelInfo(
        name=served.name,
        checkpoint=served.version,
        architecture=model.feature_map.architecture,
        features=[FeatureInfo.model_validate(feature) for feature in model.feature_map.features],
        parameters=model.weights.size,
        vocabulary=model.vocabulary.characters,
        keeps_case=model.vocabulary.keep_case,
        turkish=model.vocabulary.turkish,
        positions=model.feature_map.positions,
        recipe=provenance.recipe,
        penalty=provenance.penalty,
        loss=provenance.loss,
        nll=provenance.nll,
        source=SourceInfo.model_validate(provenance.source),
        trained_at=provenance.trained_at,
        trained_with=provenance.trained_with,
        warnings=size_warnings(provenance.source, served.checkpoint.lexicon),
        report=f"/models/{served.name}/report" if served.name in catalog.reports else None,
    )
