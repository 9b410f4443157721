"""Content negotiation: the media types and content codings that a request sends and accepts."""

import re
from collections.abc import Sequence

from fastapi import Request
from starlette.exceptions import HTTPException

JSON = "application/json"
TEXT = "text/plain"
JSON_LINES = "application/jsonl"
ND_JSON = "application/x-ndjson"  # another name of JSON lines
LINES = [TEXT, JSON_LINES, ND_JSON]
UTF_8 = {"", "utf-8", "utf8", "us-ascii"}  # and what is a part of it
IDENTITY, GZIP = "identity", "gzip"
UNLISTED = 1e-4  # the weight of identity where Accept-Encoding does not list it: below any other
QUALITY = re.compile(r"q=(0(?:\.\d{0,3})?|1(?:\.0{0,3})?)")  # RFC 9110, section 12.4.2


def preferred(request: Request, offered: Sequence[str]) -> str:
    """The media type that the Accept header likes best, the first offered if it does not care.

    Raises a 406 if it allows none. Source: RFC 9110, section 12.5.1.
    """
    accept = ",".join(request.headers.getlist("accept")) or "*/*"
    if accept == "*/*":
        return offered[0]
    ranges = dict(_range(part) for part in accept.lower().split(","))
    liking = {media: _liking(media, ranges) for media in offered}
    best = max(offered, key=lambda media: liking[media])
    if liking[best] == 0:
        raise HTTPException(406, f"Accept must allow {' or '.join(offered)}.")
    return best


def accepted_codings(request: Request, offered: Sequence[str]) -> list[str]:
    """The offered content codings that Accept-Encoding allows, the most preferred first.

    Without the header it is identity alone. A request that allows none gets identity, too: the
    header is then disregarded, as RFC 9110 permits in section 12.4.1. Source: section 12.5.3.
    """
    accepted = ",".join(request.headers.getlist("accept-encoding")).lower()
    weights = dict(_range(part) for part in accepted.replace("x-gzip", GZIP).split(","))
    weights = {IDENTITY: weights.get("*", UNLISTED)} | weights
    found = {coding: weights.get(coding, weights.get("*", 0.0)) for coding in offered}
    allowed = [coding for coding in offered if found[coding] > 0]
    return sorted(allowed, key=lambda coding: -found[coding]) or [IDENTITY]


def _range(part: str) -> tuple[str, float]:
    """`text/plain; q=0.5` -> `("text/plain", 0.5)`; a weight that is malformed counts as 0."""
    media, *parameters = (piece.strip() for piece in part.split(";"))
    weights = [p for p in parameters if p.startswith("q=")]
    if not weights:
        return media, 1.0
    weight = QUALITY.fullmatch(weights[0])
    return media, float(weight[1]) if weight else 0.0


def _liking(media: str, ranges: dict[str, float]) -> float:
    """The weight of the most specific range that a media type falls into."""
    kind = media.partition("/")[0]
    return next((ranges[r] for r in (media, f"{kind}/*", "*/*") if r in ranges), 0.0)


def content_type(request: Request, accepted: Sequence[str]) -> str:
    """The media type of the body, one of those accepted, in UTF-8; else a 415."""
    media, _, parameters = _header(request, "content-type").partition(";")
    charset = parameters.partition("charset=")[2].partition(";")[0].strip(' "')
    if media.strip() not in accepted:
        raise HTTPException(415, f"Send the body with Content-Type: {' or '.join(accepted)}.")
    if charset not in UTF_8:
        raise HTTPException(415, "Send the body in UTF-8.")
    return media.strip()


def is_packed(request: Request) -> bool:
    """Whether the body is gzip-encoded; a 415 if it has another encoding.

    Source: RFC 9110, sections 8.4.1.3 and 15.5.16.
    """
    encoding = _header(request, "content-encoding")
    if encoding not in {"", IDENTITY, GZIP, "x-gzip"}:
        detail = "Send the body as it is or with Content-Encoding: gzip."
        raise HTTPException(415, detail, {"Accept-Encoding": GZIP})
    return GZIP in encoding


def _header(request: Request, name: str) -> str:
    """A header in lower case; one that is sent twice says both, as RFC 9110 joins them."""
    return ",".join(request.headers.getlist(name)).lower()
