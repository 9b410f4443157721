"""The probes and the metrics: /healthz, /readyz and /metrics."""

from fastapi import APIRouter, Request, Response

from service.api.dependencies import catalog_in_service
from service.api.openapi import ANY, AS_METRICS, NOT_READY
from service.api.responses import Readiness, Status
from service.api.route import StrictRoute
from service.errors import problem

router = APIRouter(route_class=StrictRoute, tags=["the service"], responses=ANY)


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
    if lifecycle.draining:
        return problem(503, "The service is about to stop.")
    if catalog.default not in catalog.models:
        return problem(503, f"The default model is not in service: {faults}")
    return Readiness(status="ready", detail=faults)


@router.get("/metrics", response_class=Response, responses=AS_METRICS)
async def metrics(request: Request) -> Response:
    """What the service has counted, for Prometheus."""
    content, media = request.state.metrics.exposition(request.headers.get("accept", ""))
    return Response(content, media_type=media)
