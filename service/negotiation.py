"""What media types a request sends and wants."""

import re
from collections.abc import Sequence

from fastapi import Request
from starlette.exceptions import HTTPException

JSON = "application/json"
TEXT = "text/plain"
JSON_LINES = "application/jsonl"
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


def require_json(request: Request) -> None:
    """Refuse a body that does not say it is JSON: 415."""
    media = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if media != JSON:
        raise HTTPException(415, f"Send the body as JSON, with Content-Type: {JSON}.")
