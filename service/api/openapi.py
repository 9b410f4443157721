"""What all paths share: what they are given of the service, and the problems they document."""

import re
from collections.abc import Iterator
from typing import Any

from pydantic import BaseModel

from service.api.requests import ScoreFields
from service.api.responses import DrawnName, ExplainedScore, NameScore, RefusedLine
from service.errors import MEDIA_TYPE, Problem
from service.negotiation import JSON_LINES, ND_JSON, TEXT
from service.paths import PROBES

Responses = dict[int | str, dict[str, Any]]

MEANINGS = {
    400: "The body cannot be read as JSON, or not be unpacked as gzip.",
    401: "The request bears no key of this service.",
    404: "There is no such model.",
    406: "Accept allows none of the media types that there are.",
    408: "The body did not come in time.",
    413: "The body is longer than the path takes: 64 KiB, or 2,600,000 bytes for /score.",
    415: "The body is in another media type or character set, or in an encoding but gzip.",
    422: "A field is unknown, repeated, missing or out of its limits, those among them that its "
    "description tells in words; an integer is written with a fraction, as 5.0; no name fulfils "
    "the wish, or it would take too much memory.",
    429: "There is too much to do, where the operator has chosen this status for it.",
    503: "There is too much to do, or the model could not be loaded.",
}


def _problems(*statuses: int) -> Responses:
    """The documentation of the problems a path can reply with."""
    schema = Problem.model_json_schema()
    schema["properties"]["errors"]["items"] = schema.pop("$defs")["FieldProblem"]
    content = {MEDIA_TYPE: {"schema": schema}}
    return {one: {"content": content, "description": MEANINGS[one]} for one in statuses}


def _lines(*kinds: dict[str, Any]) -> dict[str, Any]:
    """The schema of lines of JSON, each of one of these kinds: that of an array of them."""
    return {"type": "array", "items": {"anyOf": [*kinds]}, "description": "an item a line"}


ANY = _problems(422)
OF_A_MODEL = _problems(404, 429, 503)
OF_A_REPORT = OF_A_MODEL | {
    404: OF_A_MODEL[404] | {"description": "There is no such model, or no report of it."}
}
NOT_READY = _problems(503)
WITH_BODY = _problems(400, 408, 413, 415)
PLAIN = {"type": "string"}
AS_METRICS: Responses = {200: {"content": {TEXT: {"schema": PLAIN}}}}
AS_LINES: Responses = {
    200: {
        "content": {
            TEXT: {"schema": PLAIN, "example": "kayla\nmoriah\n"},
            JSON_LINES: {
                "schema": _lines(DrawnName.model_json_schema()),
                "example": '{"name":"kayla","log_likelihood":-9.5}\n',
            },
        }
    },
    **_problems(406),
}


def _without_defaults(fields: type[BaseModel]) -> Iterator[tuple[str, dict[str, Any]]]:
    """The schemas of fields that must be able to be absent, for which no default may stand in."""
    for name, field in fields.model_json_schema()["properties"].items():
        yield name, {key: value for key, value in field.items() if key != "default"}


BESIDE_LINES = "of names that are sent as lines, and only of these: in JSON this is in the body"
ANY_LINES = (
    "a string or an object with a `name` a line; any other line is answered by an error; "
    f"{ND_JSON} is the same"
)
SCORED_LINES = _lines(
    *({"$ref": f"#/components/schemas/{one.__name__}"} for one in (NameScore, ExplainedScore)),
    RefusedLine.model_json_schema(),
)
AS_SCORED_LINES: Responses = {
    200: {
        "content": {
            TEXT: {"schema": PLAIN, "example": "0.713402\t-11.9800\temma\n"},
            JSON_LINES: {"schema": SCORED_LINES},
        }
    },
    **_problems(406),
}
LINES_BODY = {
    "parameters": [
        {"in": "query", "name": name, "schema": field, "description": BESIDE_LINES}
        for name, field in _without_defaults(ScoreFields)
    ],
    "requestBody": {
        "content": {
            TEXT: {"schema": PLAIN, "example": "emma\nxqzwv\n"},
            # No type: no line is refused for what it is.
            JSON_LINES: {
                "schema": {"description": ANY_LINES},
                "example": '"emma"\n{"name":"xqzwv"}\n',
            },
        }
    },
}


def with_summaries(document: dict[str, Any]) -> dict[str, Any]:
    """The OpenAPI document with what the descriptions begin with in place of functions' names."""
    for operations in document["paths"].values():
        for operation in operations.values():
            operation["summary"] = re.split("[:.]", operation["description"])[0]
    return document


def with_examples(document: dict[str, Any], model: str) -> dict[str, Any]:
    """The OpenAPI document with examples that can be tried as they are.

    model: one that this service has
    """
    for schema in document["components"]["schemas"].values():
        if "model" in schema.get("properties", {}):
            schema["properties"]["model"]["examples"] = [model]
    for operations in document["paths"].values():
        for parameter in operations.get("get", {}).get("parameters", []):
            schema = parameter["schema"]
            if parameter["in"] == "path" or parameter["name"] == "model":
                schema["examples"] = [model]
            # Swagger UI fills in this one, and knows nothing of those in the schema.
            parameter["example"] = schema["examples"][0]
    return document


def with_keys(document: dict[str, Any]) -> dict[str, Any]:
    """The OpenAPI document of a service that wants a key, of all but the probes."""
    document["components"]["securitySchemes"] = {"key": {"type": "http", "scheme": "bearer"}}
    document["security"] = [{"key": []}]
    for path, operations in document["paths"].items():
        for operation in operations.values():
            if path in PROBES:
                operation["security"] = []
            else:
                operation["responses"]["401"] = _problems(401)[401]
    return document
