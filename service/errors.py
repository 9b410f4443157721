"""Errors as RFC 9457 problems: the one place where anything becomes a 4xx or 5xx reply.

A problem names the field and what it should be, and never echoes what was sent in it.
"""

import json
import math
import random
from collections.abc import Mapping, Sequence
from functools import lru_cache
from http import HTTPStatus
from typing import Any

from fastapi import Request, Response
from fastapi.routing import iter_route_contexts
from pydantic import BaseModel, Field
from starlette.exceptions import HTTPException
from starlette.routing import Match

from models.constraints.constraints import ConstraintError

MEDIA_TYPE = "application/problem+json"
GONE = 499  # the client did not wait for the reply: for the log, for nobody reads it
# The names of RFC 9110, which older versions of Python do not know, and that of the above.
TITLES = {
    413: "Content Too Large",
    422: "Unprocessable Content",
    GONE: "Client Closed Request",
}
# Where the framework has no more to say than the title.
REASONS = {
    404: "There is nothing at this path; /docs lists what there is.",
}
MAX_FIELD_LENGTH = 100  # characters of a field's name, which may be the sender's invention


class FieldProblem(BaseModel):
    """What is wrong with a field."""

    field: str = Field(
        description="its name; dots lead into lists, as in names.3", examples=["temperature"]
    )
    detail: str = Field(
        description="what it should be", examples=["Input should be greater than or equal to 0.05"]
    )


class Problem(BaseModel):
    """An RFC 9457 problem, sent as application/problem+json."""

    type: str = Field("about:blank", description="about:blank: the status says it all")
    title: str = Field(description="the status in words", examples=["Unprocessable Content"])
    status: int = Field(description="that of the reply", examples=[422])
    detail: str = Field(
        description="what is wrong, without what was sent",
        examples=["temperature: Input should be greater than or equal to 0.05"],
    )
    errors: list[FieldProblem] = Field([], description="the fields at fault")


class NoSuchModelError(Exception):
    """A request names a model that is not in the folder."""


class ModelNotLoadedError(Exception):
    """A request needs a model whose checkpoint has never been one that can be loaded."""


class OverloadError(Exception):
    """The estimated wait is too long.

    reason: what there is too much of, a label of the metric
    seconds: the estimated wait
    """

    def __init__(self, reason: str, seconds: float) -> None:
        super().__init__(reason)
        self.reason, self.seconds = reason, seconds

    @property
    def retry_after(self) -> int:
        """Whole seconds: the estimated wait and up to half as much again, at least one.

        The jitter keeps clients that were refused together from coming back together.
        """
        jitter = random.uniform(1.0, 1.5)  # noqa: S311 - no secret
        return max(1, math.ceil(self.seconds * jitter))


class InvalidRequestError(Exception):
    """A request whose body or fields are invalid."""

    def __init__(self, status: int, detail: str, errors: Sequence[FieldProblem]) -> None:
        super().__init__(detail)
        self.status, self.detail, self.errors = status, detail, errors


def problem(
    status: int,
    detail: str,
    errors: Sequence[FieldProblem] = (),
    headers: Mapping[str, str] | None = None,
) -> Response:
    """A problem as a response."""
    told = Problem(
        title=TITLES.get(status) or HTTPStatus(status).phrase,
        status=status,
        detail=detail,
        errors=list(errors),
    ).model_dump(exclude=None if errors else {"errors"})
    # ASCII with escapes: a field's name may hold a lone surrogate, which UTF-8 cannot.
    body = json.dumps(told, separators=(",", ":"))
    return Response(body, status, headers, media_type=MEDIA_TYPE)


@lru_cache(maxsize=256)  # there may be many of it
def overload(status: int, seconds: int) -> Response:
    """More work than the service can do soon; it can be asked again after some seconds."""
    detail = f"The service has too much to do; try again in {seconds} s."
    return problem(status, detail, headers={"Retry-After": str(seconds)})


def refusal(status: int) -> Response:
    """What the framework refuses in words of its own."""
    return problem(status, REASONS.get(status, "The request was refused."))


async def http_error(request: Request, error: Exception) -> Response:
    """What the framework or a route refuses: no such path, method, media type, size."""
    assert isinstance(error, HTTPException)
    detail = REASONS.get(error.status_code, error.detail)
    headers = dict(error.headers or {})
    if error.status_code == HTTPStatus.METHOD_NOT_ALLOWED:
        headers["Allow"] = _methods(request)
    return problem(error.status_code, detail, headers=headers)


async def invalid_request(request: Request, error: Exception) -> Response:
    """A body that is not JSON, or fields that are unknown, missing or out of their limits."""
    assert isinstance(error, InvalidRequestError)
    return problem(error.status, error.detail, error.errors)


async def unknown_model(request: Request, error: Exception) -> Response:
    """An unknown model."""
    told = FieldProblem(field="model", detail="There is no such model; /models lists them.")
    return problem(404, told.detail, [told])


async def unsatisfied_constraints(request: Request, error: Exception) -> Response:
    """A wish that no name fulfils, that is malformed or takes more than the limits."""
    assert isinstance(error, ConstraintError)
    if error.field is None:
        return problem(422, str(error))
    told = FieldProblem(field=error.field, detail=str(error))
    return problem(422, f"{told.field}: {told.detail}", [told])


async def broken_model(request: Request, error: Exception) -> Response:
    """A model whose checkpoint could not be loaded: the operator's fault, not the request's."""
    return problem(503, "This model could not be loaded; /readyz tells why.")


async def overloaded(request: Request, error: Exception) -> Response:
    """More work than the service can do soon."""
    assert isinstance(error, OverloadError)
    request.state.metrics.shed(error.reason)
    return overload(request.state.settings.shed_status, error.retry_after)


async def crash(request: Request, error: Exception) -> Response:
    """A fault of the service; the server logs it."""
    return problem(500, "The service failed to answer this request.")


HANDLERS: dict[Any, Any] = {
    HTTPException: http_error,
    InvalidRequestError: invalid_request,
    NoSuchModelError: unknown_model,
    ConstraintError: unsatisfied_constraints,
    ModelNotLoadedError: broken_model,
    OverloadError: overloaded,
    Exception: crash,
}


def _methods(request: Request) -> str:
    """The methods of the path; each has a route of its own, which tells of no other."""
    routes = iter_route_contexts(request.app.routes)
    here = [route for route in routes if route.matches(request.scope)[0] != Match.NONE]
    methods = {method for route in here for method in route.methods or ()}
    return ", ".join(sorted(methods | {"HEAD"} if "GET" in methods else methods))


def field_problem(location: Sequence[str | int], detail: str) -> FieldProblem:
    """What is wrong with a field: `("names", 3)` is `names.3`, the body as a whole `body`."""
    field = ".".join(map(str, location or ("body",)))
    return FieldProblem(field=field[:MAX_FIELD_LENGTH], detail=detail)
