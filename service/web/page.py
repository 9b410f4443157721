"""The web page at / and its assets, which load nothing from other origins."""

from pathlib import Path

from fastapi import APIRouter

from service.http.paths import ASSETS as ASSETS_PATH
from service.web import static_files as files

WEB = Path(__file__).parent
ASSETS = WEB / "assets"


def asset_files() -> dict[str, Path]:
    """Return the URL path and the file of each asset, in subfolders too."""
    files_below = (file for file in sorted(ASSETS.rglob("*")) if file.is_file())
    return {ASSETS_PATH + file.relative_to(ASSETS).as_posix(): file for file in files_below}


def routes() -> APIRouter:
    """Return the routes of the page and its assets."""
    return files.routes({"/": WEB / "index.html", **asset_files()})
