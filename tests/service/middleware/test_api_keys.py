"""API keys and CORS."""

from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from tests.support.http.problems import problem
from tests.support.http.server import Server, run_service

FIRST, SECOND = "first-key-7531", "second/key+86420="
PAGE = "https://page.example"


@pytest.fixture(scope="module")
def locked(checkpoints: Path) -> Iterator[Server]:
    """A service with two keys, which allows pages of one origin."""
    settings = {
        "MONIKER_CHECKPOINTS": str(checkpoints),
        "MONIKER_API_KEYS": f"{FIRST}, {SECOND}",
        "MONIKER_CORS_ORIGINS": PAGE,
    }
    with Server(**settings) as running:
        yield running


def authorization(key: str, scheme: str = "Bearer") -> dict[str, str]:
    return {"Authorization": f"{scheme} {key}"}


@pytest.mark.parametrize("key", [FIRST, SECOND])
def test_a_request_with_a_valid_key_is_served(locked: Server, key: str) -> None:
    assert locked.get("/sample", headers=authorization(key)).status_code == 200
    assert locked.get("/sample", headers=authorization(key, "bearer")).status_code == 200


@pytest.mark.parametrize(
    "headers",
    [
        {}, {"Authorization": "Bearer"}, {"Authorization": FIRST}, authorization("another"),
        authorization(FIRST[:-1]), authorization(FIRST + "x"), authorization(f"{FIRST}, {SECOND}"),
        authorization(FIRST, "Basic"), {"X-API-Key": FIRST},
    ],
)  # fmt: skip
def test_a_request_without_a_valid_key_is_refused(locked: Server, headers: dict[str, str]) -> None:
    reply = locked.get("/sample", headers=headers)
    problem(reply, 401)
    assert reply.headers["www-authenticate"].startswith("Bearer")


@pytest.mark.parametrize(
    "path",
    [
        "/models",
        "/metrics",
        "/docs",
        "/openapi.json",
        "/nowhere",
        "/healthz/",
        "//healthz",
        "/models/assets/",
        "/assets",
        "//assets/page.js",
        "//",
    ],
)
def test_a_path_that_only_resembles_an_open_one_needs_a_key(locked: Server, path: str) -> None:
    problem(locked.get(path), 401)
    problem(locked.post(path, content="x"), 401)


@pytest.mark.parametrize("path", ["/healthz", "/readyz"])
def test_the_probes_need_no_key(locked: Server, path: str) -> None:
    assert locked.get(path).status_code == 200


def test_no_key_is_logged(locked: Server) -> None:
    locked.get("/sample", headers=authorization("a-wrong-key-1357"))
    locked.get("/sample", headers=authorization(FIRST))
    for key in (FIRST, SECOND, "a-wrong-key-1357"):
        assert key not in locked.log


@pytest.mark.parametrize("keys", ["good-key,bad key", "naïve", "tab\there"])
def test_a_key_that_is_invalid_in_a_header_stops_the_service_and_is_not_logged(keys: str) -> None:
    ended = run_service(MONIKER_API_KEYS=keys)
    assert ended.returncode == 2
    assert ended.stderr.startswith("error: MONIKER_API_KEYS: ")
    assert not any(key in ended.stderr for key in keys.split(","))


@pytest.mark.parametrize("keys", ["", " ", ",,"])
def test_an_empty_list_of_keys_stops_the_service(keys: str) -> None:
    ended = run_service(MONIKER_API_KEYS=keys)
    assert ended.returncode == 2
    assert "MONIKER_API_KEYS: it has no key" in ended.stderr


def test_only_a_page_of_an_allowed_origin_may_read_a_reply(locked: Server) -> None:
    for origin, allowed in [(PAGE, PAGE), ("https://elsewhere.example", None)]:
        headers = authorization(FIRST) | {"Origin": origin}
        reply = locked.get("/sample", headers=headers)
        assert reply.headers.get("access-control-allow-origin") == allowed
        assert "Origin" in reply.headers["vary"]


def test_a_page_of_an_allowed_origin_may_send_a_key_and_json(locked: Server) -> None:
    preflight = {
        "Origin": PAGE,
        "Access-Control-Request-Method": "POST",
        "Access-Control-Request-Headers": "authorization,content-type",
    }
    reply = locked.request("OPTIONS", "/score", headers=preflight)
    assert reply.status_code == 200
    assert reply.headers["access-control-allow-origin"] == PAGE
    assert "authorization" in reply.headers["access-control-allow-headers"].lower()


def test_a_preflight_of_another_origin_is_refused_with_a_problem(locked: Server) -> None:
    preflight = {"Origin": "https://elsewhere.example", "Access-Control-Request-Method": "GET"}
    problem(locked.request("OPTIONS", "/sample", headers=preflight), 400)


def test_an_allowed_page_can_read_the_refusal_of_a_large_body(locked: Server) -> None:
    headers = authorization(FIRST) | {"Origin": PAGE, "Content-Type": "application/json"}
    reply = locked.post("/score", content=b" " * 9_000_000, headers=headers)
    problem(reply, 413)
    assert reply.headers["access-control-allow-origin"] == PAGE


def test_an_allowed_page_can_read_the_refusal_of_a_missing_key(locked: Server) -> None:
    reply = locked.get("/sample", headers={"Origin": PAGE})
    problem(reply, 401)
    assert reply.headers["access-control-allow-origin"] == PAGE


@pytest.mark.parametrize("origins", ["page.example", "https://page.example/path", "https://*"])
def test_an_invalid_origin_stops_the_service(origins: str) -> None:
    ended = run_service(MONIKER_CORS_ORIGINS=origins)
    assert ended.returncode == 2
    assert "MONIKER_CORS_ORIGINS" in ended.stderr


def test_the_openapi_document_describes_keys_if_there_are_any(
    locked: Server, client: httpx.Client
) -> None:
    document = locked.get("/openapi.json", headers=authorization(FIRST)).json()
    assert document["components"]["securitySchemes"] == {
        "key": {"type": "http", "scheme": "bearer"}
    }
    assert document["security"] == [{"key": []}]
    assert document["paths"]["/healthz"]["get"]["security"] == []
    assert "401" in document["paths"]["/sample"]["post"]["responses"]
    assert "security" not in client.get("/openapi.json").json()
