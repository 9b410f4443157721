"""Problem responses (RFC 9457): the one place where an error becomes a 4xx or 5xx response."""

import json
from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Any

from fastapi import Request, Response
from fastapi.routing import iter_route_contexts
from pydantic import BaseModel, Field
from starlette.exceptions import HTTPException
from starlette.routing import Match

from models.constraints.constraints import ConstraintError, TooComplexError, UnsatisfiableError
from service.errors import (
    FieldProblem,
    InternalError,
    InvalidFieldsError,
    MethodNotAllowedError,
    NotFoundError,
    OverloadError,
    RequestRejectedError,
    ServiceError,
    TooComplexConstraintsError,
    UnsatisfiableConstraintsError,
)
from service.http.paths import ERRORS
from service.settings import Settings
from service.telemetry.metrics import Metrics

MEDIA_TYPE = "application/problem+json"
FAILED = "The service failed to process this request."


class Problem(BaseModel):
    """An RFC 9457 problem, sent as application/problem+json."""

    type: str = Field(
        description="the kind of problem: the path of its explanation",
        examples=["/errors/invalid-fields"],
    )
    title: str = Field(description="the kind of problem in words", examples=["Invalid fields"])
    status: int = Field(description="HTTP status of the response", examples=[422])
    detail: str = Field(
        description="what is wrong with this request, without the values that it sent",
        examples=["temperature: Input should be greater than or equal to 0.05"],
    )
    errors: list[FieldProblem] = Field([], description="the invalid fields")


def problem_response(error: ServiceError, status: int | None = None) -> Response:
    """Return an error as a problem response.

    status: replaces that of the error
    """
    return _response(type(error), status or error.status, error.detail, error.errors, error.headers)


@lru_cache(maxsize=256)  # a flood of requests gets the same few responses
def overload_response(status: int, retry_after: int) -> Response:
    """Return the response to a request that would wait too long.

    status: 429 or 503
    retry_after: seconds
    """
    detail = f"The service is overloaded; try again in {retry_after} s."
    return _response(OverloadError, status, detail, headers={"Retry-After": str(retry_after)})


def framework_problem(status: int) -> Response:
    """Return the problem that replaces a plain error response of the framework."""
    return problem_response(_framework_error(status), status)


async def handle_service_error(request: Request, error: Exception) -> Response:
    """Respond to an error of the service."""
    assert isinstance(error, ServiceError)
    return problem_response(error)


async def handle_overload(request: Request, error: Exception) -> Response:
    """Count a rejected request, and respond with the status of the settings."""
    assert isinstance(error, OverloadError)
    state = request.scope["state"]
    Metrics.in_state(state).shed(error.reason)
    return overload_response(Settings.in_state(state).shed_status, error.retry_after)


async def handle_constraint_error(request: Request, error: Exception) -> Response:
    """Respond to constraints that are invalid, too complex or unsatisfiable."""
    assert isinstance(error, ConstraintError)
    kind: type[ServiceError] = InvalidFieldsError
    if isinstance(error, TooComplexError):
        kind = TooComplexConstraintsError
    elif isinstance(error, UnsatisfiableError):
        kind = UnsatisfiableConstraintsError
    if error.field is None:
        return problem_response(kind(str(error)))
    return problem_response(kind.of_fields([FieldProblem(field=error.field, detail=str(error))]))


async def handle_http_exception(request: Request, error: Exception) -> Response:
    """Respond to an unknown path or method, which the framework finds."""
    assert isinstance(error, HTTPException)
    response = framework_problem(error.status_code)
    if error.status_code == MethodNotAllowedError.status:
        response.headers["Allow"] = _methods(request)
    return response


async def handle_crash(request: Request, error: Exception) -> Response:
    """Respond to an unexpected exception, which the server logs."""
    return problem_response(InternalError(FAILED))


HANDLERS: dict[Any, Any] = {
    ServiceError: handle_service_error,
    OverloadError: handle_overload,
    ConstraintError: handle_constraint_error,
    HTTPException: handle_http_exception,
    Exception: handle_crash,
}


def _response(
    kind: type[ServiceError],
    status: int,
    detail: str,
    errors: Sequence[FieldProblem] = (),
    headers: Mapping[str, str] | None = None,
) -> Response:
    problem = Problem(
        type=f"{ERRORS}{kind.slug}",
        title=kind.title,
        status=status,
        detail=detail,
        errors=list(errors),
    )
    content = problem.model_dump(exclude=None if errors else {"errors"})
    # ASCII with escapes: a field name may contain a lone surrogate, which UTF-8 cannot encode.
    body = json.dumps(content, separators=(",", ":"))
    return Response(body, status, headers, media_type=MEDIA_TYPE)


def _framework_error(status: int) -> ServiceError:
    """Return the error for a status that the framework chose."""
    if status == NotFoundError.status:
        return NotFoundError("There is nothing at this path; /docs lists the paths.")
    if status == MethodNotAllowedError.status:
        return MethodNotAllowedError("This path does not support the method; see the Allow header.")
    if status >= InternalError.status:
        return InternalError(FAILED)
    return RequestRejectedError("The service does not allow this request.")


def _methods(request: Request) -> str:
    """Return the methods of a path. Each of them has a route that knows no other."""
    contexts = iter_route_contexts(request.app.routes)
    routes = [route for route in contexts if route.matches(request.scope)[0] != Match.NONE]
    methods = {method for route in routes for method in route.methods or ()}
    return ", ".join(sorted(methods | {"HEAD"} if "GET" in methods else methods))
