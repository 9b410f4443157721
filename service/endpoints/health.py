"""Endpoints of the probes and the metrics: /healthz, /readyz and /metrics."""

from fastapi import APIRouter, Request, Response

from service.api.dependencies import current_catalog, lifecycle, metrics
from service.api.openapi import FIELD_PROBLEMS, METRICS_RESPONSES, READINESS_PROBLEMS
from service.api.responses import Health, Readiness
from service.api.route import StrictRoute
from service.errors import NotReadyError

router = APIRouter(route_class=StrictRoute, tags=["the service"], responses=FIELD_PROBLEMS)


@router.get("/healthz")
async def get_health() -> Health:
    """Liveness probe: the process responds."""
    return Health(status="alive")


@router.get("/readyz", response_model_exclude_none=True, responses=READINESS_PROBLEMS)
async def get_readiness(request: Request) -> Readiness:
    """Readiness probe: the default model is loaded, and the service is not about to stop.

    The response lists checkpoint files that cannot be loaded.
    """
    catalog = current_catalog(request)
    failures = "; ".join(catalog.failures.values()) or None
    if lifecycle(request).draining:
        raise NotReadyError("The service is about to stop.")
    if catalog.default not in catalog.models:
        raise NotReadyError(f"The default model is not loaded: {failures}")
    return Readiness(status="ready", detail=failures)


@router.get("/metrics", response_class=Response, responses=METRICS_RESPONSES)
async def get_metrics(request: Request) -> Response:
    """Metrics of the service in the format of Prometheus."""
    content, media = metrics(request).exposition(request.headers.get("accept", ""))
    return Response(content, media_type=media)
