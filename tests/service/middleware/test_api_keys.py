"""Who may ask: keys, and pages elsewhere."""

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
    """A service with two keys, which a page may ask."""
    settings = {
        "MONIKER_CHECKPOINTS": str(checkpoints),
        "MONIKER_API_KEYS": f"{FIRST}, {SECOND}",
        "MONIKER_CORS_ORIGINS": PAGE,
    }
    with Server(**settings) as running:
        yield running


def bearing(key: str, scheme: str = "Bearer") -> dict[str, str]:
    return {"Authorization": f"{scheme} {key}"}


@pytest.mark.parametrize("key", [FIRST, SECOND])
def test_whoever_bears_a_key_may_ask(locked: Server, key: str) -> None:
    assert locked.get("/sample", headers=bearing(key)).status_code == 200
    assert locked.get("/sample", headers=bearing(key, "bearer")).status_code == 200


@pytest.mark.parametrize(
    "headers",
    [
        {}, {"Authorization": "Bearer"}, {"Authorization": FIRST}, bearing("another"),
        bearing(FIRST[:-1]), bearing(FIRST + "x"), bearing(f"{FIRST}, {SECOND}"),
        bearing(FIRST, "Basic"), {"X-API-Key": FIRST},
    ],
)  # fmt: skip
def test_nobody_else_may(locked: Server, headers: dict[str, str]) -> None:
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
def test_every_path_is_locked(locked: Server, path: str) -> None:
    problem(locked.get(path), 401)
    problem(locked.post(path, content="x"), 401)


@pytest.mark.parametrize("path", ["/healthz", "/readyz"])
def test_the_probes_answer_everybody(locked: Server, path: str) -> None:
    assert locked.get(path).status_code == 200


def test_no_key_is_ever_told(locked: Server) -> None:
    locked.get("/sample", headers=bearing("a-wrong-key-1357"))
    locked.get("/sample", headers=bearing(FIRST))
    for key in (FIRST, SECOND, "a-wrong-key-1357"):
        assert key not in locked.log


@pytest.mark.parametrize("keys", ["good-key,bad key", "naïve", "tab\there"])
def test_a_key_that_no_header_can_hold_stops_the_service_and_is_not_told(keys: str) -> None:
    ended = run_service(MONIKER_API_KEYS=keys)
    assert ended.returncode == 2
    assert ended.stderr.startswith("error: MONIKER_API_KEYS: ")
    assert not any(key in ended.stderr for key in keys.split(","))


@pytest.mark.parametrize("keys", ["", " ", ",,"])
def test_a_lock_without_a_key_stops_the_service(keys: str) -> None:
    ended = run_service(MONIKER_API_KEYS=keys)
    assert ended.returncode == 2
    assert "MONIKER_API_KEYS: there is no key in it" in ended.stderr


def test_a_page_that_is_listed_may_ask_and_others_may_not(locked: Server) -> None:
    for origin, allowed in [(PAGE, PAGE), ("https://elsewhere.example", None)]:
        headers = bearing(FIRST) | {"Origin": origin}
        reply = locked.get("/sample", headers=headers)
        assert reply.headers.get("access-control-allow-origin") == allowed
        assert "Origin" in reply.headers["vary"]


def test_a_page_that_is_listed_may_send_a_key_and_json(locked: Server) -> None:
    asked = {
        "Origin": PAGE,
        "Access-Control-Request-Method": "POST",
        "Access-Control-Request-Headers": "authorization,content-type",
    }
    reply = locked.request("OPTIONS", "/score", headers=asked)
    assert reply.status_code == 200
    assert reply.headers["access-control-allow-origin"] == PAGE
    assert "authorization" in reply.headers["access-control-allow-headers"].lower()


def test_a_page_that_is_not_listed_is_refused_as_a_problem(locked: Server) -> None:
    asked = {"Origin": "https://elsewhere.example", "Access-Control-Request-Method": "GET"}
    problem(locked.request("OPTIONS", "/sample", headers=asked), 400)


def test_a_body_that_is_too_long_tells_a_listed_page_why(locked: Server) -> None:
    headers = bearing(FIRST) | {"Origin": PAGE, "Content-Type": "application/json"}
    reply = locked.post("/score", content=b" " * 9_000_000, headers=headers)
    problem(reply, 413)
    assert reply.headers["access-control-allow-origin"] == PAGE


def test_what_is_refused_tells_a_listed_page_why(locked: Server) -> None:
    reply = locked.get("/sample", headers={"Origin": PAGE})
    problem(reply, 401)
    assert reply.headers["access-control-allow-origin"] == PAGE


@pytest.mark.parametrize("origins", ["page.example", "https://page.example/path", "https://*"])
def test_an_origin_that_is_none_stops_the_service(origins: str) -> None:
    ended = run_service(MONIKER_CORS_ORIGINS=origins)
    assert ended.returncode == 2
    assert "MONIKER_CORS_ORIGINS" in ended.stderr


def test_the_documentation_tells_of_keys_where_there_are_any(
    locked: Server, client: httpx.Client
) -> None:
    asked = locked.get("/openapi.json", headers=bearing(FIRST)).json()
    assert asked["components"]["securitySchemes"] == {"key": {"type": "http", "scheme": "bearer"}}
    assert asked["security"] == [{"key": []}]
    assert asked["paths"]["/healthz"]["get"]["security"] == []
    assert "401" in asked["paths"]["/sample"]["post"]["responses"]
    assert "security" not in client.get("/openapi.json").json()
