"""Objects that endpoints take from the state of the service."""

from fastapi import Request

from service.api.requests import ConstraintsRequest
from service.catalog.catalog import Catalog, ServedModel
from service.catalog.compiled_constraints import CompiledConstraints
from service.catalog.constraints_cache import ConstraintsCache
from service.catalog.repository import CheckpointRepository
from service.lifecycle import Lifecycle
from service.load.queue import RequestQueue
from service.telemetry.metrics import Metrics


def queue(request: Request) -> RequestQueue:
    """Return the request queue."""
    return RequestQueue.in_state(request.scope["state"])


def metrics(request: Request) -> Metrics:
    """Return the metrics of the process."""
    return Metrics.in_state(request.scope["state"])


def lifecycle(request: Request) -> Lifecycle:
    """Return the lifecycle of the process."""
    return Lifecycle.in_state(request.scope["state"])


def current_catalog(request: Request) -> Catalog:
    """Return the current catalog.

    An endpoint calls this once, so that a response describes one version of the models.
    """
    return CheckpointRepository.in_state(request.scope["state"]).catalog


async def compiled(
    fields: ConstraintsRequest, request: Request
) -> tuple[ServedModel, CompiledConstraints]:
    """Return the requested model, and the constraints compiled for it.

    Raises NoSuchModelError, ModelNotLoadedError, ConstraintError or OverloadError.
    """
    cache = ConstraintsCache.in_state(request.scope["state"])
    model = current_catalog(request).get(fields.model)
    return model, await cache.get(model, fields.constraints, request)
