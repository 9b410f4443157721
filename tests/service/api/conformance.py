"""What schemathesis is told of this service, and what is asked of each reply besides its checks.

`schemathesis run` loads this file; it knows nothing of lines of JSON by itself.
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
# A longer head of a request is refused before anybody looks at its path.
MAX_ADDRESS = 60_000  # bytes
ECHO = 8  # characters: shorter strings may be in a problem by chance
# What a schema cannot say and the document tells in words, by the problems that tell of it:
# how fields depend on each other, on the media type that is asked for and on the model,
# and how integers are written.
RULES = re.compile(
    "|".join(
        [
            r"(n|seed|top_k|position|characters|m.._length): Input should be a valid integer",
            r"(min_length|position): Input should be at most max_length",
            r"n: Input should be at most 10,000 (with unique|for JSON).*",
            r"n: Input should be at most [\d,]+: no more names satisfy the constraints",
            r"names?: List should have at most 100 items to explain; send more names as lines",
            r"(model|explain): Send the fields of a POST request in the body, not in the query",
            r"prefix: The model does not know character \d+",
            r"pattern: (Negate with !|The \[ at character|The range at character).*",
            r"(pattern|exclude): It takes an automaton of more than .*",
            r"No name fulfils this wish\.",
            r"The wish takes (more than )?[\d,]+ (states|cells).*",
        ]
    )
)


@schemathesis.serializer(LINES)
def lines_sent(context: object, body: object) -> bytes:
    """Lines of JSON: an item a line, and the text of an example as it is."""
    if isinstance(body, bytes):
        return body
    if isinstance(body, str):
        return body.encode(errors="surrogatepass")
    items = body if isinstance(body, list) else [body]
    return "".join(f"{json.dumps(item)}\n" for item in items).encode()


@schemathesis.deserializer(LINES)
def lines_received(context: object, response: Response) -> list[object]:
    """What the lines hold."""
    return [json.loads(line) for line in response.content.split(b"\n")[:-1]]


@schemathesis.hook
def filter_case(context: HookContext, case: AnyCase) -> bool:
    """Whether a request reaches the service."""
    return len(urlencode(case.query or {}, doseq=True, errors="replace")) < MAX_ADDRESS


@schemathesis.hook
def filter_failure(
    context: HookContext, failure: Failure, case: AnyCase, response: Response
) -> bool:
    """Whether a failure is one: not if the document tells in words what was not kept to."""
    if not isinstance(failure, RejectedPositiveData) or response.status_code != 422:
        return True
    told = response.json()
    wrong = [f"{one['field']}: {one['detail']}" for one in told.get("errors", [])]
    return not all(map(RULES.fullmatch, wrong or [told["detail"]]))


@schemathesis.check
def errors_are_problems(context: CheckContext, response: Response, case: AnyCase) -> None:
    """Whatever is refused is told as RFC 9457 wants it, without what was sent."""
    if response.status_code < 400 or case.method == "HEAD":
        return
    assert response.headers["content-type"] == ["application/problem+json"]
    told = response.json()
    assert {"type", "title", "status", "detail"} <= told.keys()
    assert told["status"] == response.status_code
    sent = _strings([case.path_parameters, case.query, case.body])
    echoed = [text for text in sent if len(text) > ECHO and text in response.text]
    assert not echoed, f"echoed: {echoed}"


def _strings(sent: object) -> Iterator[str]:
    """The strings within, but not the names of fields, which a problem may tell."""
    if isinstance(sent, str):
        yield sent
    elif isinstance(sent, dict):
        yield from _strings([*sent.values()])
    elif isinstance(sent, list | tuple):
        for one in sent:
            yield from _strings(one)
