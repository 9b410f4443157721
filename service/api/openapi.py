"""Parts of the OpenAPI document: the problems of each path, lines of JSON, examples and keys."""

import re
from collections.abc import Iterator
from typing import Any

from pydantic import BaseModel

from service.api.limits import MAX_SCORE_BODY, SMALL_BODY
from service.api.responses import SampledName
from service.api.score_requests import ScoreFields
from service.api.score_responses import ExplainedNameScore, NameScore, UnscoredLine
from service.http.negotiation import JSON_LINES, ND_JSON, TEXT
from service.http.paths import PROBES
from service.problems import MEDIA_TYPE, Problem

Responses = dict[int | str, dict[str, Any]]

MEANINGS = {
    400: "The body is not valid JSON or not valid gzip.",
    401: "The request has no valid API key.",
    404: "There is no such model.",
    406: "The Accept header allows none of the media types of the response.",
    408: "The body did not arrive within the time limit.",
    413: f"The body is longer than the limit: {SMALL_BODY // 1024} KiB, "
    f"or {MAX_SCORE_BODY:,} bytes for /score.",
    415: "The media type, character set or content coding of the body is not supported.",
    422: "A field is unknown, repeated, missing or invalid (an integer must not be written as "
    "5.0), no name satisfies the constraints, or they are too complex.",
    429: "The service is overloaded, and its operator has chosen this status.",
    503: "The service is overloaded, or the model could not be loaded.",
}


def _problems(*statuses: int) -> Responses:
    """Return the documentation of the problems of a path."""
    schema = Problem.model_json_schema()
    schema["properties"]["errors"]["items"] = schema.pop("$defs")["FieldProblem"]
    content = {MEDIA_TYPE: {"schema": schema}}
    return {status: {"content": content, "description": MEANINGS[status]} for status in statuses}


def _lines(*schemas: dict[str, Any]) -> dict[str, Any]:
    """Return the schema of JSON Lines: an array whose items have any of these schemas."""
    return {"type": "array", "items": {"anyOf": [*schemas]}, "description": "one item per line"}


FIELD_PROBLEMS = _problems(422)
MODEL_PROBLEMS = _problems(404, 429, 503)
REPORT_PROBLEMS = MODEL_PROBLEMS | {
    404: MODEL_PROBLEMS[404] | {"description": "There is no such model, or it has no report."}
}
READINESS_PROBLEMS = _problems(503)
BODY_PROBLEMS = _problems(400, 408, 413, 415)
TEXT_SCHEMA = {"type": "string"}
METRICS_RESPONSES: Responses = {200: {"content": {TEXT: {"schema": TEXT_SCHEMA}}}}
SAMPLE_RESPONSES: Responses = {
    200: {
        "content": {
            TEXT: {"schema": TEXT_SCHEMA, "example": "kayla\nmoriah\n"},
            JSON_LINES: {
                "schema": _lines(SampledName.model_json_schema()),
                "example": '{"name":"kayla","log_likelihood":-9.5}\n',
            },
        }
    },
    **_problems(406),
}


def _without_defaults(fields: type[BaseModel]) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield the name and schema of each field, without its default.

    A field must stay absent if the client does not set it.
    """
    for name, field in fields.model_json_schema()["properties"].items():
        yield name, {key: value for key, value in field.items() if key != "default"}


QUERY_FIELD = "only for names that are sent as lines; in a JSON body this is a field"
LINES_DESCRIPTION = (
    "a string or an object with a `name` on each line; the response to any other line is an "
    f"error; {ND_JSON} is an alias of this media type"
)
SCORED_LINES = _lines(
    *(
        {"$ref": f"#/components/schemas/{kind.__name__}"}
        for kind in (NameScore, ExplainedNameScore)
    ),
    UnscoredLine.model_json_schema(),
)
SCORE_RESPONSES: Responses = {
    200: {
        "content": {
            TEXT: {"schema": TEXT_SCHEMA, "example": "0.713402\t-11.9800\temma\n"},
            JSON_LINES: {"schema": SCORED_LINES},
        }
    },
    **_problems(406),
}
LINES_REQUEST = {
    "parameters": [
        {"in": "query", "name": name, "schema": field, "description": QUERY_FIELD}
        for name, field in _without_defaults(ScoreFields)
    ],
    "requestBody": {
        "content": {
            TEXT: {"schema": TEXT_SCHEMA, "example": "emma\nxqzwv\n"},
            # No type: a line of any type is accepted.
            JSON_LINES: {
                "schema": {"description": LINES_DESCRIPTION},
                "example": '"emma"\n{"name":"xqzwv"}\n',
            },
        }
    },
}


def with_summaries(document: dict[str, Any]) -> dict[str, Any]:
    """Set the summary of each operation to the first sentence of its description."""
    for operations in document["paths"].values():
        for operation in operations.values():
            operation["summary"] = re.split("[:.]", operation["description"])[0]
    return document


def with_examples(document: dict[str, Any], model: str) -> dict[str, Any]:
    """Add examples that succeed on this service.

    model: name of a model in the catalog
    """
    for schema in document["components"]["schemas"].values():
        if "model" in schema.get("properties", {}):
            schema["properties"]["model"]["examples"] = [model]
    for operations in document["paths"].values():
        for parameter in operations.get("get", {}).get("parameters", []):
            schema = parameter["schema"]
            if parameter["in"] == "path" or parameter["name"] == "model":
                schema["examples"] = [model]
            # Swagger UI fills in this one and ignores the examples of the schema.
            parameter["example"] = schema["examples"][0]
    return document


def with_keys(document: dict[str, Any]) -> dict[str, Any]:
    """Declare the API key that all operations require, except the probes."""
    document["components"]["securitySchemes"] = {"key": {"type": "http", "scheme": "bearer"}}
    document["security"] = [{"key": []}]
    for path, operations in document["paths"].items():
        for operation in operations.values():
            if path in PROBES:
                operation["security"] = []
            else:
                operation["responses"]["401"] = _problems(401)[401]
    return document
