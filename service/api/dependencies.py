"""What endpoints take from the state of the service."""

from fastapi import Request

from models.queries.sampling import Sampler
from service.api.requests import ConstraintsRequest
from service.catalog.catalog import Catalog, ServedModel
from service.catalog.repository import CheckpointRepository
from service.load.queue import RequestQueue
from service.telemetry.metrics import Metrics


def queue(request: Request) -> RequestQueue:
    """Where work waits for its turn."""
    return RequestQueue.in_state(request.scope["state"])


def metrics(request: Request) -> Metrics:
    """What the service counts."""
    return Metrics.in_state(request.scope["state"])


def catalog_in_service(request: Request) -> Catalog:
    """The catalog as it is now. A reply takes it once, so that all of it is of one version."""
    repository: CheckpointRepository = request.state.repository
    return repository.catalog


async def compiled(fields: ConstraintsRequest, request: Request) -> tuple[ServedModel, Sampler]:
    """The model that is asked, and its names that fulfil the wish."""
    model = catalog_in_service(request).get(fields.model)
    return model, await request.state.sampler_cache.sampler(model, fields.constraints, request)
