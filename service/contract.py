"""What all paths share: what they are given of the service, and the problems they document."""

from typing import Any

from fastapi import Request

from service.catalog import Catalog
from service.negotiation import JSON_LINES, TEXT
from service.problems import MEDIA_TYPE
from service.replies import ExplainedScore, NameScore, Problem, RefusedLine
from service.requests import ScoreFields

Responses = dict[int | str, dict[str, Any]]


def _problems(*statuses: int) -> Responses:
    """The documentation of the problems a path can reply with."""
    schema = Problem.model_json_schema()
    schema["properties"]["errors"]["items"] = schema.pop("$defs")["FieldProblem"]
    content = {MEDIA_TYPE: {"schema": schema}}
    return {status: {"content": content, "description": "Problem"} for status in statuses}


ANY = _problems(422)
OF_A_MODEL = _problems(404, 503)
NOT_READY = _problems(503)
WITH_BODY = _problems(400, 415)
AS_LINES: Responses = {
    200: {
        "content": {
            TEXT: {"example": "kayla\nmoriah\n"},
            JSON_LINES: {"example": '{"name":"kayla","log_likelihood":-9.5}\n'},
        }
    },
    **_problems(406),
}


BESIDE_LINES = "of names that are sent as lines; the same as in a body of JSON"
A_LINE = [
    *({"$ref": f"#/components/schemas/{one.__name__}"} for one in (NameScore, ExplainedScore)),
    RefusedLine.model_json_schema(),
]
AS_SCORED_LINES: Responses = {
    200: {
        "content": {
            TEXT: {"example": "0.713402\t-11.9800\temma\n"},
            JSON_LINES: {"schema": {"anyOf": A_LINE}},
        }
    },
    **_problems(406),
}
LINES_BODY = {
    "parameters": [
        {"in": "query", "name": name, "schema": {**field, "description": BESIDE_LINES}}
        for name, field in ScoreFields.model_json_schema()["properties"].items()
    ],
    "requestBody": {
        "content": {
            TEXT: {"schema": {"type": "string"}, "example": "emma\nxqzwv\n"},
            JSON_LINES: {"schema": {"type": "string"}, "example": '"emma"\n{"name":"xqzwv"}\n'},
        }
    },
}


def catalog_in_service(request: Request) -> Catalog:
    """The catalog that the lifespan has loaded."""
    catalog: Catalog = request.state.catalog
    return catalog
