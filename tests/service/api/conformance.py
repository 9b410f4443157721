"""Hooks of schemathesis: JSON Lines, rules that a schema cannot express, and a check of problems.

`schemathesis run` loads this file; it does not support JSON Lines by itself.
"""

import json
import re
from collections.abc import Iterator
from typing import Any
from urllib.parse import urlencode

import schemathesis
from schemathesis import Case, CheckContext, HookContext, Response
from schemathesis.core.failures import Failure
from schemathesis.openapi.checks import RejectedPositiveData

AnyCase = Case[Any]
LINES = "application/jsonl"
# The service rejects a longer request line before it looks at the path.
MAX_ADDRESS = 60_000  # bytes
ECHO = 8  # characters: shorter strings may be in a problem by chance
CONSTRAINTS = {"/errors/unsatisfiable", "/errors/too-complex"}  # depend on the model
# Problems of rules that descriptions state and a schema cannot express: how fields depend on each
# other, on the requested media type and on the model, and how integers are written.
RULES = re.compile(
    "|".join(
        [
            r"(n|seed|top_k|position|characters|m.._length): Input should be a valid integer",
            r"(min_length|position): Input should be at most max_length",
            r"n: Input should be at most 10,000 (with unique|for JSON).*",
            r"n: Input should be at most [\d,]+: no more names satisfy the constraints",
            r"names?: List should have at most 100 items to explain; send more names as lines",
            r"(model|explain): Send the fields of a POST request in the body, not in the query",
            r"prefix: Character \d+ is not in the model's vocabulary; leave it out",
            r"pattern: (Negate with !|The \[ at character|The range at character).*",
        ]
    )
)


@schemathesis.serializer(LINES)
def lines_sent(context: object, body: object) -> bytes:
    """Return JSON Lines: a line for each item, or the text of an example unchanged."""
    if isinstance(body, bytes):
        return body
    if isinstance(body, str):
        return body.encode(errors="surrogatepass")
    items = body if isinstance(body, list) else [body]
    return "".join(f"{json.dumps(item)}\n" for item in items).encode()


@schemathesis.deserializer(LINES)
def lines_received(context: object, response: Response) -> list[object]:
    """Return the values of the lines."""
    return [json.loads(line) for line in response.content.split(b"\n")[:-1]]


@schemathesis.hook
def filter_case(context: HookContext, case: AnyCase) -> bool:
    """Return whether a request is short enough to reach the service."""
    return len(urlencode(case.query or {}, doseq=True, errors="replace")) < MAX_ADDRESS


@schemathesis.hook
def filter_failure(
    context: HookContext, failure: Failure, case: AnyCase, response: Response
) -> bool:
    """Return whether to report a failure: not if the request breaks a rule of a description."""
    if not isinstance(failure, RejectedPositiveData) or response.status_code != 422:
        return True
    problem = response.json()
    if problem["type"] in CONSTRAINTS:
        return False
    errors = [f"{error['field']}: {error['detail']}" for error in problem.get("errors", [])]
    return not all(map(RULES.fullmatch, errors or [problem["detail"]]))


@schemathesis.check
def errors_are_problems(context: CheckContext, response: Response, case: AnyCase) -> None:
    """Check that an error is a problem as in RFC 9457, without an echo of the request."""
    if response.status_code < 400 or case.method == "HEAD":
        return
    assert response.headers["content-type"] == ["application/problem+json"]
    problem = response.json()
    assert {"type", "title", "status", "detail"} <= problem.keys()
    assert problem["status"] == response.status_code
    sent = _strings([case.path_parameters, case.query, case.body])
    echoed = [text for text in sent if len(text) > ECHO and text in response.text]
    assert not echoed, f"echoed: {echoed}"


def _strings(sent: object) -> Iterator[str]:
    """Yield the strings in a value, except names of fields, which a problem may repeat."""
    if isinstance(sent, str):
        yield sent
    elif isinstance(sent, dict):
        yield from _strings([*sent.values()])
    elif isinstance(sent, list | tuple):
        for item in sent:
            yield from _strings(item)
