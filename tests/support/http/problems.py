"""What the tests expect of every reply that refuses a request."""

import httpx


def problem(reply: httpx.Response, status: int) -> dict[str, object]:
    """The problem a reply must be."""
    assert reply.status_code == status, reply.text
    assert reply.headers["content-type"] == "application/problem+json"
    told = reply.json()
    assert told["status"] == status
    assert {"type", "title", "detail"} <= told.keys()
    assert isinstance(told, dict)
    return told


def fields(told: dict[str, object]) -> list[str]:
    errors = told["errors"]
    assert isinstance(errors, list)
    return [error["field"] for error in errors]
