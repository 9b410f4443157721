"""The reference of all paths at /docs: Swagger UI, taken from a package, so that it works offline.

Its files are under /docs/, beside the page that starts it, which needs nothing inline.
"""

from importlib.util import find_spec
from pathlib import Path

from fastapi import APIRouter

from service import files

SWAGGER = Path(__file__).parent / "swagger"
DOCS = "/docs"  # where it is, and below it its files


def routes() -> APIRouter:
    """Its files."""
    spec = find_spec("fastapi_swagger")  # nothing of the package is imported
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
