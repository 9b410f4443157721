"""API reference: the OpenAPI document, and Swagger UI at /docs to show it.

Swagger UI comes from a package, so that it works offline. Its files and the script that starts it
are served under /docs/, because the Content-Security-Policy allows no inline scripts.
"""

import json
from collections.abc import Callable
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from fastapi import APIRouter, Request, Response

from service.http.negotiation import JSON
from service.http.paths import DOCS
from service.web import static_files as files

SWAGGER = Path(__file__).parent / "swagger"


def routes(document: Callable[[], dict[str, Any]]) -> APIRouter:
    """Return the routes of /openapi.json and /docs. The document is generated on first request."""

    @cache
    def resource() -> files.Resource:
        text = json.dumps(document(), ensure_ascii=False, separators=(",", ":"))
        return files.Resource(text.encode(), JSON)

    async def send_document(request: Request) -> Response:
        return resource().respond(request)

    router = _swagger_routes()
    methods = ["GET", "HEAD"]
    router.add_api_route("/openapi.json", send_document, methods=methods, include_in_schema=False)
    return router


def _swagger_routes() -> APIRouter:
    spec = find_spec("fastapi_swagger")  # locates the package without importing it
    assert spec is not None
    assert spec.origin is not None
    package = Path(spec.origin).parent / "resources"
    return files.routes(
        {
            DOCS: SWAGGER / "docs.html",
            f"{DOCS}/docs.js": SWAGGER / "docs.js",
            f"{DOCS}/swagger-ui-bundle.js": package / "swagger-ui-bundle.js",
            f"{DOCS}/swagger-ui.css": package / "swagger-ui.css",
        }
    )
