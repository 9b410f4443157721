"""The kind of route that this service has: strict where the framework is lenient, and direct."""

import json
from collections import Counter
from collections.abc import Awaitable, Callable, Coroutine, Iterable
from typing import Any, ClassVar, cast
from urllib.parse import unquote_to_bytes

from fastapi import Request, Response
from fastapi._compat import ModelField
from fastapi.exceptions import RequestValidationError
from fastapi.routing import APIRoute
from pydantic import BaseModel, ValidationError
from starlette.types import Receive, Scope, Send

from service.body import whole_body
from service.negotiation import JSON, content_type

REPEATABLE = {"name", "exclude"}
REPEATED = "repeated", "This field is given more than once"
MISPLACED = "misplaced", "Fields belong into the body here, not into the query"
UNDECODABLE = "undecodable", "Input should be UTF-8, percent-encoded"
Handler = Callable[[Request], Coroutine[Any, Any, Response]]


class StrictRoute(APIRoute):
    """A route that refuses what does not belong into a query, and reads its fields directly.

    A path operation with fields, of a query or of a body of JSON, takes these and the request
    and nothing else of the framework's. pydantic makes the fields in one step; the framework's
    way, field by field and through its injection of dependencies, takes several times as long
    as drawing a name.

    media: what can be sent to the path
    """

    media: ClassVar = [JSON]

    def __init__(self, *args: Any, **options: Any) -> None:  # noqa: ANN401 - the framework's
        super().__init__(*args, **options)
        if self.body_field or self.dependant.query_params:
            handle = self.get_route_handler()

            async def answer(scope: Scope, receive: Receive, send: Send) -> None:
                # Without the framework's stacks for dependencies, which it has none of.
                request = Request(scope, receive, send)
                response = await handle(request)
                await response(scope, receive, send)

            self.app = answer

    def get_route_handler(self) -> Handler:
        """The handler of a request."""
        has_query = bool(self.dependant.query_params)
        handle: Handler = self.handle_body
        if not self.body_field:
            handle = self.handle_query if has_query else super().get_route_handler()

        async def handle_strictly(request: Request) -> Response:
            self.admit(request)
            if query := request.scope["query_string"]:
                _refuse_undecodable(query)
                _refuse_repeated(request)
                if not (has_query or self.body_field):
                    _refuse(request.query_params, ("extra_forbidden", "There is no such field"))
            return await handle(request)

        return handle_strictly

    def admit(self, request: Request) -> None:
        """Refuse, before any of it is read, what is too much as far as that can be told."""

    async def handle_body(self, request: Request) -> Response:
        """The reply to a body, which is to be JSON."""
        assert self.body_field is not None
        content_type(request, self.media)
        if request.scope["query_string"]:
            _refuse(request.query_params, MISPLACED)
        kind = _kind(self.body_field)
        try:
            # Strictly, for JSON has types of its own: "5" and true are no numbers.
            body = await whole_body(request)
            fields = kind.model_validate_json(body, strict=True)
        except ValidationError as error:
            raise _invalid("body", error) from error
        # Each field takes a colon: with as many of both, none can be there twice.
        if body.count(b":") != len(fields.model_fields_set):
            _refuse_repeated_in(body)
        return await self._reply(fields, request)

    async def handle_query(self, request: Request) -> Response:
        """The reply to a query."""
        given = request.query_params
        values = {one: given.getlist(one) if one in REPEATABLE else given[one] for one in given}
        try:
            fields = _kind(self.dependant.query_params[0]).model_validate(values)
        except ValidationError as error:
            raise _invalid("query", error) from error
        return await self._reply(fields, request)

    async def _reply(self, fields: BaseModel, request: Request) -> Response:
        operation = cast(Callable[..., Awaitable[BaseModel | Response]], self.endpoint)
        reply = await operation(fields, request)
        if isinstance(reply, Response):
            return reply
        return Response(reply.model_dump_json(), media_type=JSON)


def _kind(parameter: ModelField) -> type[BaseModel]:
    """The model of all fields."""
    return cast(type[BaseModel], parameter.field_info.annotation)


def _invalid(where: str, error: ValidationError) -> RequestValidationError:
    wrong = error.errors(include_url=False, include_input=False)
    return RequestValidationError([{**one, "loc": (where, *one["loc"])} for one in wrong])


def _refuse_undecodable(query: bytes) -> None:
    """Refuse a query of which the framework would read another: it puts U+FFFD for wrong bytes."""
    if b"%" not in query and query.isascii():
        return
    try:
        unquote_to_bytes(query.decode("ascii")).decode("utf-8")
    except UnicodeDecodeError:
        _refuse(["query"], UNDECODABLE)


def _refuse_repeated(request: Request) -> None:
    """Refuse a query that gives a single-valued field twice, of which the framework takes one."""
    fields = [field for field, _ in request.query_params.multi_items() if field not in REPEATABLE]
    _refuse(_twice(fields), REPEATED)


def _refuse_repeated_in(body: bytes) -> None:
    """Refuse a body that gives a field twice, of which pydantic takes the last.

    body: JSON that pydantic has accepted: an object without objects in it
    """
    fields: list[tuple[str, Any]] = json.loads(body, object_pairs_hook=list)
    _refuse(_twice([field for field, _ in fields]), REPEATED, where="body")


def _twice(fields: list[str]) -> list[str]:
    """Those that occur more than once."""
    return [field for field, times in Counter(fields).items() if times > 1]


def _refuse(fields: Iterable[str], why: tuple[str, str], where: str = "query") -> None:
    """Refuse these fields, if there are any."""
    kind, message = why
    wrong = [{"type": kind, "loc": (where, field), "msg": message} for field in fields]
    if wrong:
        raise RequestValidationError(wrong)
