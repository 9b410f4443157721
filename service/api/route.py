"""The kind of route that this service has: strict where the framework is lenient, and direct."""

import json
import re
from collections import Counter
from collections.abc import Awaitable, Callable, Coroutine, Iterable
from functools import cache
from typing import Any, ClassVar, cast
from urllib.parse import unquote_to_bytes

from fastapi import Request, Response
from fastapi._compat import ModelField
from fastapi.routing import APIRoute
from pydantic import BaseModel, ValidationError
from starlette.routing import Match
from starlette.types import Receive, Scope, Send

from service.api.requests import MAX_NAMES
from service.errors import InvalidRequestError, field_problem
from service.negotiation import JSON, content_type
from service.streaming.bodies import Limit, whole_body
from service.streaming.compression import compressed

REPEATABLE = {"name", "exclude"}  # in a query
UNKNOWN = "There is no such field"
REPEATED = "This field is given more than once"
MISPLACED = "Fields belong into the body here, not into the query"
UNDECODABLE = "Input should be UTF-8, percent-encoded"
NOT_JSON = "The body cannot be read as JSON."
MAX_ERRORS = 20  # told in one problem
SMALL = 2**16  # bytes of a body, whatever is in it: it is read in a few milliseconds
MAX_VALUES = MAX_NAMES + 100  # of a larger body: more than it has any use for
BULKY = f"It has more than {MAX_NAMES:,} values; send more names as lines"
# Without its end, too: a search for the next one would begin anew at each quotation mark.
STRING = re.compile(rb'"[^"\\]*+(?:\\.[^"\\]*+)*+"?', re.DOTALL)
Handler = Callable[[Request], Coroutine[Any, Any, Response]]


class StrictRoute(APIRoute):
    """A route that refuses what does not belong into a query, and reads its fields directly.

    A path operation with fields, of a query or of a body of JSON, takes these and the request
    and nothing else of the framework's. pydantic makes the fields in one step; the framework's
    way, field by field and through its injection of dependencies, takes several times as long
    as drawing a name.

    media: what can be sent to the path
    limit: of the body
    """

    media: ClassVar = [JSON]
    limit: ClassVar = Limit(SMALL)

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

    def matches(self, scope: Scope) -> tuple[Match, Scope]:
        """Whether the path and the method are right; HEAD is, wherever GET is."""
        match, found = super().matches(scope)
        return (Match.FULL if match is Match.PARTIAL and self._takes(scope) else match), found

    async def handle(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Reply, with a 405 to a method that is not right."""
        handle = self.app if self._takes(scope) else super().handle
        await handle(scope, receive, send)

    def _takes(self, scope: Scope) -> bool:
        return ("GET" if scope["method"] == "HEAD" else scope["method"]) in (self.methods or ())

    def get_route_handler(self) -> Handler:
        """The handler of a request."""
        has_query = bool(self.dependant.query_params)
        handle: Handler = self.handle_body
        if not self.body_field:
            handle = self.handle_query if has_query else super().get_route_handler()

        async def handle_strictly(request: Request) -> Response:
            if self.body_field:
                self.limit.check(request)
            self.admit(request)
            if query := request.scope["query_string"]:
                _refuse_undecodable(query)
                if not has_query:
                    why = MISPLACED if self.body_field else UNKNOWN
                    _refuse(dict.fromkeys(request.query_params, why))
            return await handle(request)

        return handle_strictly

    def admit(self, request: Request) -> None:
        """Refuse, before any of it is read, what is too much as far as that can be told."""

    async def handle_body(self, request: Request) -> Response:
        """The reply to a body, which is to be JSON."""
        assert self.body_field is not None
        content_type(request, self.media)
        body = await whole_body(request, self.limit)
        if len(body) > SMALL and _has_too_many_values(body):
            _refuse({"body": BULKY})
        kind = _kind(self.body_field)
        try:
            # Strictly, for JSON has types of its own: "5" and true are no numbers.
            fields = kind.model_validate_json(body, strict=True)
        except ValidationError as error:
            _refuse_broken(error)
            _refuse(_faults(_keys(body), kind), error)
            raise
        # Each field takes a colon: with as many of both, none is unknown or there twice.
        if body.count(b":") != len(fields.model_fields_set):
            _refuse(_faults(_keys(body), kind))
        return await self._reply(fields, request)

    async def handle_query(self, request: Request) -> Response:
        """The reply to a query."""
        given = request.query_params
        kind = _kind(self.dependant.query_params[0])
        faults = _faults([field for field, _ in given.multi_items()], kind, REPEATABLE)
        values = {one: given.getlist(one) if one in REPEATABLE else given[one] for one in given}
        try:
            fields = kind.model_validate(values)
        except ValidationError as error:
            _refuse(faults, error)
            raise
        _refuse(faults)
        return await self._reply(fields, request)

    async def _reply(self, fields: BaseModel, request: Request) -> Response:
        operation = cast(Callable[..., Awaitable[BaseModel | Response]], self.endpoint)
        reply = await operation(fields, request)
        if not isinstance(reply, Response):
            reply = Response(reply.model_dump_json(), media_type=JSON)
        return compressed(reply, request) if reply.media_type == JSON else reply


def _kind(parameter: ModelField) -> type[BaseModel]:
    """The model of all fields."""
    return cast(type[BaseModel], parameter.field_info.annotation)


def _refuse_undecodable(query: bytes) -> None:
    """Refuse a query of which the framework would read another: it puts U+FFFD for wrong bytes."""
    if b"%" not in query and query.isascii():
        return
    try:
        unquote_to_bytes(query.decode("ascii")).decode("utf-8")
    except UnicodeDecodeError:
        _refuse({"query": UNDECODABLE})


def _has_too_many_values(body: bytes) -> bool:
    """Whether JSON has more than MAX_VALUES values, with nothing built for any of them.

    A value is the first in an array or object or follows a comma.
    """
    if _separators(body) <= MAX_VALUES:  # those in strings, too
        return False
    return _separators(STRING.sub(b"", body, count=2 * MAX_VALUES)) > MAX_VALUES


def _separators(body: bytes) -> int:
    return sum(map(body.count, (b",", b"[", b"{")))


def _refuse_broken(error: ValidationError) -> None:
    """Refuse a body that is not JSON."""
    first = error.errors(include_url=False, include_input=False)[0]
    if first["type"] == "json_invalid":
        raise InvalidRequestError(
            400, NOT_JSON, [field_problem((), first["ctx"]["error"])]
        ) from error


def _keys(body: bytes) -> list[str]:
    """The keys of an object, those that are repeated too, of which pydantic takes the last.

    body: JSON that pydantic can read
    """
    read = json.loads(body, object_pairs_hook=tuple, parse_int=str)  # int refuses long ones
    return [key for key, _ in read] if isinstance(read, tuple) else []


@cache
def _known(kind: type[BaseModel]) -> frozenset[str]:
    return frozenset(field.alias or name for name, field in kind.model_fields.items())


def _faults(
    keys: list[str], kind: type[BaseModel], repeatable: Iterable[str] = ()
) -> dict[str, str]:
    """What is wrong with the names of fields: those that are unknown or repeated, and why."""
    known = _known(kind)
    if len({*keys}) == len(keys) and known.issuperset(keys):
        return {}
    return {
        key: REPEATED if key in known else UNKNOWN
        for key, times in Counter(keys).items()
        if key not in known or (times > 1 and key not in repeatable)
    }


def _refuse(faults: dict[str, str], error: ValidationError | None = None) -> None:
    """Refuse fields for what pydantic finds and for these faults, if there are any."""
    wrong = error.errors(include_url=False, include_input=False) if error else []
    found = [*(field_problem(one["loc"], one["msg"]) for one in wrong)]
    found += [field_problem((key,), why) for key, why in [*faults.items()][:MAX_ERRORS]]
    if found:
        told, count = found[:MAX_ERRORS], len(wrong) + len(faults)
        more = f" (and {count - 1} more)" if count > 1 else ""
        raise InvalidRequestError(422, f"{told[0].field}: {told[0].detail}{more}", told) from error
