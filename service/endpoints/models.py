"""The models in service and their reports: /models."""

from typing import Annotated

from fastapi import APIRouter, Path, Request, Response
from fastapi.responses import HTMLResponse

from models.provenance import size_warnings
from service.api.dependencies import catalog_in_service
from service.api.model_info import FeatureInfo, ModelInfo, ModelInfoReply, ModelsReply, SourceInfo
from service.api.openapi import ANY, OF_A_MODEL, OF_A_REPORT
from service.api.route import StrictRoute
from service.catalog.catalog import Catalog, ServedModel
from service.errors import problem

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
