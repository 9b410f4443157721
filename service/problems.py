"""Errors as RFC 9457 problems: the one place where anything becomes a 4xx or 5xx reply.

A problem names the field and what it should be, and never echoes what was sent in it.
"""

import json
from collections.abc import Mapping, Sequence
from functools import lru_cache
from http import HTTPStatus
from typing import Any

from fastapi import Request, Response
from fastapi.routing import iter_route_contexts
from starlette.exceptions import HTTPException
from starlette.routing import Match

from models.wish import WishError
from service.catalog import BrokenModelError, UnknownModelError
from service.load.overload import OverloadError
from service.replies import FieldProblem, Problem

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


class InvalidError(Exception):
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
    assert isinstance(error, InvalidError)
    return problem(error.status, error.detail, error.errors)


async def unknown_model(request: Request, error: Exception) -> Response:
    """An unknown model."""
    told = FieldProblem(field="model", detail="There is no such model; /models lists them.")
    return problem(404, told.detail, [told])


async def unfulfilled_wish(request: Request, error: Exception) -> Response:
    """A wish that no name fulfils, that is malformed or takes more than the limits."""
    assert isinstance(error, WishError)
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
    InvalidError: invalid_request,
    UnknownModelError: unknown_model,
    WishError: unfulfilled_wish,
    BrokenModelError: broken_model,
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
