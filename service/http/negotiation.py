"""Content negotiation: the media types and content codings of requests and responses."""

import re
from collections.abc import Sequence

from fastapi import Request

from service.errors import NotAcceptableError, UnsupportedMediaTypeError

JSON = "application/json"
TEXT = "text/plain"
JSON_LINES = "application/jsonl"
ND_JSON = "application/x-ndjson"  # alias of JSON Lines
LINES = [TEXT, JSON_LINES, ND_JSON]
UTF_8 = {"", "utf-8", "utf8", "us-ascii"}  # charset parameters; ASCII is a subset of UTF-8
IDENTITY, GZIP = "identity", "gzip"
UNLISTED = 1e-4  # weight of identity if Accept-Encoding omits it: below 0.001, the least weight
QUALITY = re.compile(r"q=(0(?:\.\d{0,3})?|1(?:\.0{0,3})?)")  # RFC 9110, section 12.4.2


def preferred(request: Request, offered: Sequence[str]) -> str:
    """Return the media type with the highest weight in Accept; of equals the first offered.

    Raises NotAcceptableError if Accept allows none. Source: RFC 9110, section 12.5.1.
    """
    accept = ",".join(request.headers.getlist("accept")) or "*/*"
    if accept == "*/*":
        return offered[0]
    ranges = dict(_range(part) for part in accept.lower().split(","))
    weights = {media: _weight(media, ranges) for media in offered}
    best = max(offered, key=lambda media: weights[media])
    if weights[best] == 0:
        raise NotAcceptableError(f"Accept must allow {' or '.join(offered)}.")
    return best


def accepted_codings(request: Request, offered: Sequence[str]) -> list[str]:
    """Return the offered content codings that Accept-Encoding allows, by descending weight.

    Without the header only identity is allowed. If the header allows none of them it is
    disregarded, as RFC 9110 permits in section 12.4.1, and identity is returned.
    Source: RFC 9110, section 12.5.3.
    """
    accepted = ",".join(request.headers.getlist("accept-encoding")).lower()
    weights = dict(_range(part) for part in accepted.replace("x-gzip", GZIP).split(","))
    weights = {IDENTITY: weights.get("*", UNLISTED)} | weights
    offers = {coding: weights.get(coding, weights.get("*", 0.0)) for coding in offered}
    allowed = [coding for coding in offered if offers[coding] > 0]
    return sorted(allowed, key=lambda coding: -offers[coding]) or [IDENTITY]


def _range(part: str) -> tuple[str, float]:
    """Parse `text/plain; q=0.5` to `("text/plain", 0.5)`; a malformed weight counts as 0."""
    media, *parameters = (piece.strip() for piece in part.split(";"))
    weights = [parameter for parameter in parameters if parameter.startswith("q=")]
    if not weights:
        return media, 1.0
    weight = QUALITY.fullmatch(weights[0])
    return media, float(weight[1]) if weight else 0.0


def _weight(media: str, ranges: dict[str, float]) -> float:
    """Return the weight of the most specific range that contains a media type; 0 without."""
    main_type = media.partition("/")[0]
    matches = (media, f"{main_type}/*", "*/*")
    return next((ranges[match] for match in matches if match in ranges), 0.0)


def content_type(request: Request, accepted: Sequence[str]) -> str:
    """Return the media type of the body.

    Raises UnsupportedMediaTypeError if it is not accepted, or its charset is not UTF-8.
    """
    media, _, parameters = _header(request, "content-type").partition(";")
    charset = parameters.partition("charset=")[2].partition(";")[0].strip(' "')
    if media.strip() not in accepted:
        detail = f"Send the body with Content-Type: {' or '.join(accepted)}."
        raise UnsupportedMediaTypeError(detail)
    if charset not in UTF_8:
        raise UnsupportedMediaTypeError("Send the body in UTF-8.")
    return media.strip()


def is_gzip(request: Request) -> bool:
    """Return whether the body is gzip-encoded.

    Raises UnsupportedMediaTypeError if it has another content coding.
    Source: RFC 9110, sections 8.4.1.3 and 15.5.16.
    """
    encoding = _header(request, "content-encoding")
    if encoding not in {"", IDENTITY, GZIP, "x-gzip"}:
        detail = "Send the body uncompressed, or with Content-Encoding: gzip."
        raise UnsupportedMediaTypeError(detail, headers={"Accept-Encoding": GZIP})
    return GZIP in encoding


def _header(request: Request, name: str) -> str:
    """Return a header in lower case; values of a repeated header are joined by commas."""
    return ",".join(request.headers.getlist(name)).lower()
