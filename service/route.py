"""The kind of route that this service has: strict where the framework is lenient, and direct."""

from collections import Counter
from collections.abc import Awaitable, Callable, Coroutine, Iterable
from typing import Any, TypeVar, cast

from fastapi import Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.routing import APIRoute
from pydantic import BaseModel, ValidationError
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect

from service.negotiation import JSON, content_type

REPEATABLE = {"name", "exclude"}
Handler = Callable[[Request], Coroutine[Any, Any, Response]]
Fields = TypeVar("Fields", bound=BaseModel)


class StrictRoute(APIRoute):
    """A route that refuses what does not belong into a query, and reads a JSON body directly.

    The path operation of a body takes its fields and the request, and nothing else of the
    framework's. pydantic makes the fields of the bytes in one step; the framework's way,
    through a dict and its injection of dependencies, takes several times as long as
    drawing a name.
    """

    def get_route_handler(self) -> Handler:
        """The handler of a request."""
        handle = self.handle_body if self.body_field else super().get_route_handler()
        has_query = bool(self.dependant.query_params)

        async def handle_strictly(request: Request) -> Response:
            if request.scope["query_string"]:
                _refuse_repeated(request)
                if not (has_query or self.body_field):
                    _refuse(request.query_params, "extra_forbidden", "There is no such field")
            return await handle(request)

        return handle_strictly

    async def handle_body(self, request: Request) -> Response:
        """The reply to a body, which is to be JSON."""
        assert self.body_field is not None
        content_type(request, [JSON])
        if request.scope["query_string"]:
            message = "Fields belong into the body here, not into the query"
            _refuse(request.query_params, "misplaced", message)
        kind = cast(type[BaseModel], self.body_field.field_info.annotation)
        try:
            # Strictly, for JSON has types of its own: "5" and true are no numbers.
            fields = kind.model_validate_json(await request.body(), strict=True)
        except ValidationError as error:
            raise _invalid("body", error) from error
        except ClientDisconnect as error:
            raise HTTPException(400) from error
        operation = cast(Callable[..., Awaitable[BaseModel | Response]], self.endpoint)
        reply = await operation(fields, request)
        if isinstance(reply, Response):
            return reply
        return Response(reply.model_dump_json(), media_type=JSON)


def fields_of_query(kind: type[Fields], request: Request) -> Fields:
    """The fields of a query beside a body that is not JSON, each given once at most."""
    try:
        return kind.model_validate(dict(request.query_params))
    except ValidationError as error:
        raise _invalid("query", error) from error


def _invalid(where: str, error: ValidationError) -> RequestValidationError:
    wrong = error.errors(include_url=False, include_input=False)
    return RequestValidationError([{**one, "loc": (where, *one["loc"])} for one in wrong])


def _refuse_repeated(request: Request) -> None:
    """Refuse a query that gives a single-valued field twice, of which the framework takes one."""
    given = Counter(field for field, _ in request.query_params.multi_items())
    repeated = [field for field, times in given.items() if times > 1 and field not in REPEATABLE]
    if repeated:
        _refuse(repeated, "repeated", "This field is given more than once")


def _refuse(fields: Iterable[str], kind: str, message: str) -> None:
    raise RequestValidationError(
        [{"type": kind, "loc": ("query", field), "msg": message} for field in fields]
    )
