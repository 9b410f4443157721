"""Assertions on RFC 9457 problem responses."""

import httpx


def problem(reply: httpx.Response, status: int) -> dict[str, object]:
    """Return the content of a response, which must be a problem with this status."""
    assert reply.status_code == status, reply.text
    assert reply.headers["content-type"] == "application/problem+json"
    content = reply.json()
    assert content["status"] == status
    assert {"type", "title", "detail"} <= content.keys()
    assert isinstance(content, dict)
    return content


def fields(content: dict[str, object]) -> list[str]:
    """Return the names of the fields at fault in a problem."""
    errors = content["errors"]
    assert isinstance(errors, list)
    return [error["field"] for error in errors]
