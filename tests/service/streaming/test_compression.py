"""Tests of gzip compression: static files, the OpenAPI document and responses of medium size."""

import gzip
from typing import NamedTuple

import httpx
import pytest

from service.web.page import asset_files

ASSETS = sorted(asset_files())
DOCS = ["/docs", "/docs/swagger-ui-bundle.js", "/docs/swagger-ui.css", "/openapi.json"]
SMALL_FILE = "/docs/docs.js"  # gzip makes it larger
IDENTITY, GZIP = None, "gzip"


class Fetched(NamedTuple):
    """A response with its body before decoding."""

    status: int
    headers: httpx.Headers
    body: bytes


def fetch(
    client: httpx.Client, path: str, coding: str | None, method: str = "GET", **headers: str
) -> Fetched:
    """Send a request with an Accept-Encoding header, or without one for None."""
    request = client.build_request(method, path, headers=headers)
    del request.headers["Accept-Encoding"]
    if coding is not None:
        request.headers["Accept-Encoding"] = coding
    reply = client.send(request, stream=True)
    body = b"".join(reply.iter_raw())
    reply.close()
    return Fetched(reply.status_code, reply.headers, body)


def fetch_both(client: httpx.Client, path: str) -> tuple[Fetched, Fetched]:
    """Fetch a path without and with compression, and check that the contents are equal."""
    plain, packed = (fetch(client, path, coding) for coding in (IDENTITY, GZIP))
    assert "content-encoding" not in plain.headers
    assert packed.headers["content-encoding"] == "gzip"
    assert gzip.decompress(packed.body) == plain.body
    return plain, packed


@pytest.mark.parametrize("path", ["/", *ASSETS, *DOCS])
class TestRepresentations:
    def test_both_representations_have_the_same_content_and_different_tags(
        self, client: httpx.Client, path: str
    ) -> None:
        plain, packed = fetch_both(client, path)
        assert len(packed.body) < len(plain.body)
        assert plain.headers["etag"] != packed.headers["etag"]
        for reply in (plain, packed):
            assert reply.headers["etag"].startswith('"')
            assert reply.headers["vary"] == "Accept-Encoding"
            assert reply.headers["cache-control"] == "no-cache"
        assert plain.headers["content-type"] == packed.headers["content-type"]

    @pytest.mark.parametrize("coding", [IDENTITY, GZIP])
    def test_head_has_the_headers_of_get(
        self, client: httpx.Client, path: str, coding: str | None
    ) -> None:
        get, head = (fetch(client, path, coding, method) for method in ("GET", "HEAD"))
        assert int(get.headers["content-length"]) == len(get.body)
        assert head.body == b""
        for reply in (get, head):
            del reply.headers["date"], reply.headers["x-request-id"]
        assert head.headers == get.headers

    def test_an_acceptable_copy_of_the_client_gets_a_304(
        self, client: httpx.Client, path: str
    ) -> None:
        plain, packed = (fetch(client, path, coding) for coding in (IDENTITY, GZIP))
        policy = plain.headers["content-security-policy"]
        for coding, copy in ((IDENTITY, plain), (GZIP, plain), (GZIP, packed)):
            tag = copy.headers["etag"]
            for method in ("GET", "HEAD"):
                again = fetch(client, path, coding, method, **{"If-None-Match": f'"a", {tag}'})
                assert (again.status, again.body) == (304, b"")
                assert again.headers["etag"] == tag
                assert again.headers["vary"] == "Accept-Encoding"
                assert again.headers["cache-control"] == "no-cache"
                assert again.headers["content-security-policy"] == policy
                assert "content-encoding" not in again.headers
        both = f"{plain.headers['etag']}, {packed.headers['etag']}"
        again = fetch(client, path, GZIP, **{"If-None-Match": both})
        assert (again.status, again.headers["etag"]) == (304, packed.headers["etag"])

    def test_a_client_that_does_not_accept_gzip_gets_a_plain_copy(
        self, client: httpx.Client, path: str
    ) -> None:
        tag = fetch(client, path, GZIP).headers["etag"]
        for coding in (IDENTITY, "gzip;q=0", "br"):
            reply = fetch(client, path, coding, **{"If-None-Match": tag})
            assert reply.status == 200
            assert "content-encoding" not in reply.headers

    def test_ranges_are_not_supported(self, client: httpx.Client, path: str) -> None:
        reply = fetch(client, path, GZIP, Range="bytes=0-9")
        assert reply.status == 200
        assert "accept-ranges" not in reply.headers
        assert reply.body == fetch(client, path, GZIP).body


@pytest.mark.parametrize(
    ("accepted", "expected"),
    [
        (None, IDENTITY), ("", IDENTITY), ("identity", IDENTITY), ("br, zstd", IDENTITY),
        ("gzip", GZIP), ("GZip", GZIP), ("x-gzip", GZIP), ("gzip, deflate, br, zstd", GZIP),
        ("*", GZIP), ("br, *;q=0.1", GZIP), ("*;q=0", IDENTITY), ("gzip, *;q=0", GZIP),
        ("gzip;q=0", IDENTITY), ("gzip;q=0.000, *", IDENTITY), ("gzip;q=0.001", GZIP),
        ("gzip;q=0.5, identity;q=0.4", GZIP), ("gzip;q=0.4, identity;q=0.5", IDENTITY),
        ("gzip;q=0.5, identity;q=0.5", GZIP), ("identity;q=0, gzip;q=0.1", GZIP),
        ("identity;q=0", IDENTITY), ("identity;q=0, *", GZIP), ("gzip;q=0, identity;q=0", IDENTITY),
        ("gzip;q=2", IDENTITY), ("gzip;q=", IDENTITY), ("gzip ; q=0.9 ,, br", GZIP),
        (";q=1", IDENTITY), ("gzipped", IDENTITY),
    ],
)  # fmt: skip
def test_the_preferred_representation_is_sent(
    client: httpx.Client, accepted: str | None, expected: str | None
) -> None:
    reply = fetch(client, "/", accepted)
    assert reply.status == 200
    assert reply.headers.get("content-encoding") == expected


def test_several_accept_encoding_headers_are_joined(client: httpx.Client) -> None:
    headers = [("Accept-Encoding", "identity;q=0.5"), ("Accept-Encoding", "gzip;q=0.4")]
    assert "content-encoding" not in client.get("/", headers=headers).headers


@pytest.mark.parametrize("coding", [IDENTITY, GZIP, "identity;q=0, gzip"])
def test_a_file_that_gzip_makes_larger_is_not_compressed(
    client: httpx.Client, coding: str | None
) -> None:
    reply = fetch(client, SMALL_FILE, coding)
    assert reply.status == 200
    assert not {"vary", "content-encoding"} & reply.headers.keys()
    assert reply.body.startswith(b'"use strict"')


class TestReplies:
    @pytest.mark.parametrize("path", [
        "/sample?n=2000&seed=1", "/transitions?position=6",
        "/score?explain=true" + "&name=alex" * 9,
    ])  # fmt: skip
    def test_a_response_of_medium_size_is_compressed_if_the_client_accepts_it(
        self, client: httpx.Client, path: str
    ) -> None:
        plain, packed = fetch_both(client, path)
        assert len(packed.body) < 0.6 * len(plain.body)
        assert int(packed.headers["content-length"]) == len(packed.body)
        for reply in (plain, packed):
            assert "Accept-Encoding" in reply.headers["vary"]
        for refused in ("gzip;q=0", "gzip;q=0.4, identity;q=0.5"):
            assert fetch(client, path, refused).body == plain.body

    @pytest.mark.parametrize("path", ["/sample?n=10", "/score?name=emma"])
    def test_a_short_response_is_not_compressed(self, client: httpx.Client, path: str) -> None:
        assert "content-encoding" not in fetch(client, path, GZIP).headers

    def test_a_long_response_is_not_compressed(self, client: httpx.Client) -> None:
        score = client.post("/score", json={"names": ["emma"] * 5000})
        assert len(score.content) > 2**17
        assert "content-encoding" not in score.headers

    def test_head_has_the_headers_of_get(self, client: httpx.Client) -> None:
        path = "/sample?n=2000&seed=1"
        get, head = (fetch(client, path, GZIP, method) for method in ("GET", "HEAD"))
        for name in ("content-encoding", "content-length", "vary"):
            assert get.headers[name] == head.headers[name]
        assert head.body == b""
