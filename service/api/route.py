"""Routes that reject unknown, repeated and undecodable fields, and parse fields with pydantic."""

import json
import re
from collections import Counter
from collections.abc import Awaitable, Callable, Coroutine, Iterable, Sequence
from functools import cache
from typing import Any, ClassVar, cast
from urllib.parse import unquote_to_bytes

from fastapi import Request, Response
from fastapi._compat import ModelField
from fastapi.routing import APIRoute
from pydantic import BaseModel, ValidationError
from starlette.routing import Match
from starlette.types import Receive, Scope, Send

from service.api.limits import MAX_NAMES, SMALL_BODY
from service.errors import FieldProblem, InvalidFieldsError, MalformedJsonError
from service.http.compression import compressed
from service.http.negotiation import JSON, content_type
from service.streaming.request_bodies import Limit, whole_body

REPEATABLE = {"name", "exclude"}  # fields of a query
UNKNOWN = "There is no such field"
REPEATED = "This field occurs more than once"
MISPLACED = "Send the fields of a POST request in the body, not in the query"
UNDECODABLE = "Input should be UTF-8, percent-encoded"
NOT_JSON = "The body is not valid JSON."
MAX_ERRORS = 20  # fields in one problem
MAX_FIELD_LENGTH = 100  # characters of a field name, which the client may have invented
MAX_VALUES = MAX_NAMES + 100  # JSON values of a larger body
TOO_MANY_VALUES = f"It must have at most {MAX_NAMES:,} values; send more names as lines"
# The end is optional: else the search would restart at each quotation mark, in quadratic time.
STRING = re.compile(rb'"[^"\\]*+(?:\\.[^"\\]*+)*+"?', re.DOTALL)
Handler = Callable[[Request], Coroutine[Any, Any, Response]]


class StrictRoute(APIRoute):
    """A route that rejects unknown, repeated and undecodable fields, and supports HEAD with GET.

    An endpoint with fields, in the query or in a JSON body, takes these and the request, without
    other dependencies. pydantic parses all fields in one call; the framework, which parses field
    by field and injects dependencies, takes several times as long as sampling a name.

    The name of the endpoint function is the operationId.

    media: accepted media types of the body
    limit: of the body
    """

    media: ClassVar = [JSON]
    limit: ClassVar = Limit(SMALL_BODY)

    def __init__(self, *args: Any, **options: Any) -> None:  # noqa: ANN401 - as in the framework
        super().__init__(*args, **options)
        self.operation_id = self.unique_id = self.name
        if self.body_field or self.dependant.query_params:
            handle = self.get_route_handler()

            async def answer(scope: Scope, receive: Receive, send: Send) -> None:
                # No dependencies: no exit stacks, which the framework would create.
                request = Request(scope, receive, send)
                response = await handle(request)
                await response(scope, receive, send)

            self.app = answer

    def matches(self, scope: Scope) -> tuple[Match, Scope]:
        """Match the path and the method; a route of GET matches HEAD, too."""
        match, child_scope = super().matches(scope)
        if match is Match.PARTIAL and self._has_method(scope):
            match = Match.FULL
        return match, child_scope

    async def handle(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle a request; the framework rejects an unsupported method with a 405."""
        handle = self.app if self._has_method(scope) else super().handle
        await handle(scope, receive, send)

    def _has_method(self, scope: Scope) -> bool:
        return ("GET" if scope["method"] == "HEAD" else scope["method"]) in (self.methods or ())

    def get_route_handler(self) -> Handler:
        """Return the handler of requests."""
        has_query = bool(self.dependant.query_params)
        handle: Handler = self.handle_body
        if not self.body_field:
            handle = self.handle_query if has_query else super().get_route_handler()

        async def handle_strictly(request: Request) -> Response:
            if self.body_field:
                self.limit.check(request)
            self.admit(request)
            if query := request.scope["query_string"]:
                _check_encoding(query)
                if not has_query:
                    reason = MISPLACED if self.body_field else UNKNOWN
                    _raise_if_invalid(dict.fromkeys(request.query_params, reason))
            return await handle(request)

        return handle_strictly

    def admit(self, request: Request) -> None:
        """Hook: a subclass may raise OverloadError before the body is read."""

    async def handle_body(self, request: Request) -> Response:
        """Respond to fields in a JSON body."""
        assert self.body_field is not None
        content_type(request, self.media)
        body = await whole_body(request, self.limit)
        if len(body) > SMALL_BODY and _has_too_many_values(body):
            _raise_if_invalid({"body": TOO_MANY_VALUES})
        model = _fields_model(self.body_field)
        try:
            # Strict: JSON has its own types, and "5" and true are not numbers.
            fields = model.model_validate_json(body, strict=True)
        except ValidationError as error:
            _raise_if_malformed_json(error)
            _raise_if_invalid(_key_errors(_keys(body), model), error)
            raise
        # Each field has a colon: if the counts are equal, no field is unknown or repeated.
        if body.count(b":") != len(fields.model_fields_set):
            _raise_if_invalid(_key_errors(_keys(body), model))
        return await self._respond(fields, request)

    async def handle_query(self, request: Request) -> Response:
        """Respond to fields in the query."""
        query = request.query_params
        model = _fields_model(self.dependant.query_params[0])
        key_errors = _key_errors([key for key, _ in query.multi_items()], model, REPEATABLE)
        values = {key: query.getlist(key) if key in REPEATABLE else query[key] for key in query}
        try:
            fields = model.model_validate(values)
        except ValidationError as error:
            _raise_if_invalid(key_errors, error)
            raise
        _raise_if_invalid(key_errors)
        return await self._respond(fields, request)

    async def _respond(self, fields: BaseModel, request: Request) -> Response:
        endpoint = cast(Callable[..., Awaitable[BaseModel | Response]], self.endpoint)
        response = await endpoint(fields, request)
        if not isinstance(response, Response):
            response = Response(response.model_dump_json(), media_type=JSON)
        return compressed(response, request) if response.media_type == JSON else response


def _fields_model(parameter: ModelField) -> type[BaseModel]:
    """Return the pydantic model of the fields."""
    return cast(type[BaseModel], parameter.field_info.annotation)


def _check_encoding(query: bytes) -> None:
    """Reject a query that is not UTF-8: the framework would replace invalid bytes by U+FFFD."""
    if b"%" not in query and query.isascii():
        return
    try:
        unquote_to_bytes(query.decode("ascii")).decode("utf-8")
    except UnicodeDecodeError:
        _raise_if_invalid({"query": UNDECODABLE})


def _has_too_many_values(body: bytes) -> bool:
    """Return whether JSON has more than MAX_VALUES values, without parsing it.

    A value follows a bracket, a brace or a comma.
    """
    if _separators(body) <= MAX_VALUES:  # an upper bound, which includes separators in strings
        return False
    return _separators(STRING.sub(b"", body, count=2 * MAX_VALUES)) > MAX_VALUES


def _separators(body: bytes) -> int:
    return sum(map(body.count, (b",", b"[", b"{")))


def _raise_if_malformed_json(error: ValidationError) -> None:
    """Raise MalformedJsonError if a body is not JSON."""
    first = error.errors(include_url=False, include_input=False)[0]
    if first["type"] == "json_invalid":
        raise MalformedJsonError(NOT_JSON, [_field_problem((), first["ctx"]["error"])]) from error


def _keys(body: bytes) -> list[str]:
    """Return all keys of a JSON object. pydantic would keep the last of repeated keys.

    body: JSON that pydantic can parse
    """
    pairs = json.loads(body, object_pairs_hook=tuple, parse_int=str)  # int rejects long numbers
    return [key for key, _ in pairs] if isinstance(pairs, tuple) else []


@cache
def _known_keys(model: type[BaseModel]) -> frozenset[str]:
    return frozenset(field.alias or name for name, field in model.model_fields.items())


def _key_errors(
    keys: list[str], model: type[BaseModel], repeatable: Iterable[str] = ()
) -> dict[str, str]:
    """Return the keys that are unknown or repeated, and the reason of each."""
    known = _known_keys(model)
    if len({*keys}) == len(keys) and known.issuperset(keys):
        return {}
    return {
        key: REPEATED if key in known else UNKNOWN
        for key, count in Counter(keys).items()
        if key not in known or (count > 1 and key not in repeatable)
    }


def _raise_if_invalid(key_errors: dict[str, str], error: ValidationError | None = None) -> None:
    """Raise InvalidFieldsError if a key or a value is invalid."""
    value_errors = error.errors(include_url=False, include_input=False) if error else []
    problems = [*(_field_problem(invalid["loc"], invalid["msg"]) for invalid in value_errors)]
    problems += [_field_problem((key,), why) for key, why in [*key_errors.items()][:MAX_ERRORS]]
    if problems:
        shown = problems[:MAX_ERRORS]
        omitted = len(value_errors) + len(key_errors) - len(shown)
        raise InvalidFieldsError.of_fields(shown, omitted) from error


def _field_problem(location: Sequence[str | int], detail: str) -> FieldProblem:
    """Return the problem of a field: `("names", 3)` is `names.3`, `()` is `body`."""
    field = ".".join(map(str, location or ("body",)))
    return FieldProblem(field=field[:MAX_FIELD_LENGTH], detail=detail)
