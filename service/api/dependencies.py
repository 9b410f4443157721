"""Objects that endpoints take from the state of the service, typed as in `service.app.State`."""

from fastapi import Request

from service.api.requests import ConstraintsRequest
from service.catalog.catalog import Catalog, ServedModel
from service.catalog.compiled_constraints import CompiledConstraints
from service.catalog.repository import CheckpointRepository
from service.catalog.sampler_cache import SamplerCache
from service.load.queue import RequestQueue
from service.process import Lifecycle
from service.telemetry.metrics import Metrics


def queue(request: Request) -> RequestQueue:
    """Return the request queue."""
    shared: RequestQueue = request.state.queue
    return shared


def metrics(request: Request) -> Metrics:
    """Return the metrics of the process."""
    shared: Metrics = request.state.metrics
    return shared


def lifecycle(request: Request) -> Lifecycle:
    """Return the lifecycle of the process."""
    shared: Lifecycle = request.state.lifecycle
    return shared


def current_catalog(request: Request) -> Catalog:
    """Return the current catalog.

    An endpoint calls this once, so that a response describes one version of the models.
    """
    repository: CheckpointRepository = request.state.repository
    return repository.catalog


async def compiled(
    fields: ConstraintsRequest, request: Request
) -> tuple[ServedModel, CompiledConstraints]:
    """Return the requested model, and the constraints compiled for it.

    Raises NoSuchModelError, ModelNotLoadedError, ConstraintError or OverloadError.
    """
    cache: SamplerCache = request.state.sampler_cache
    model = current_catalog(request).get(fields.model)
    return model, await cache.get(model, fields.constraints, request)
