"""What endpoints take from the state of the service."""

from fastapi import Request

from service.api.requests import ConstraintsRequest
from service.catalog.catalog import Catalog, ServedModel
from service.catalog.compiled_constraints import CompiledConstraints
from service.catalog.repository import CheckpointRepository
from service.load.queue import Queue
from service.telemetry.metrics import Metrics


def queue(request: Request) -> Queue:
    """Where work waits for its turn."""
    shared: Queue = request.state.queue
    return shared


def metrics(request: Request) -> Metrics:
    """What the service counts."""
    counted: Metrics = request.state.metrics
    return counted


def catalog_in_service(request: Request) -> Catalog:
    """The catalog as it is now. A reply takes it once, so that all of it is of one version."""
    repository: CheckpointRepository = request.state.repository
    return repository.catalog


async def compiled(
    fields: ConstraintsRequest, request: Request
) -> tuple[ServedModel, CompiledConstraints]:
    """Return the requested model and the constraints compiled for it."""
    model = catalog_in_service(request).get(fields.model)
    return model, await request.state.sampler_cache.get(model, fields.constraints, request)
