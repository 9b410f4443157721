"""The page at /, which needs nothing from elsewhere."""

from pathlib import Path

from fastapi import APIRouter

from service.paths import ASSETS
from service.web import static_files as files

WEB = Path(__file__).parent


def routes() -> APIRouter:
    """Its files."""
    assets = {ASSETS + file.name: file for file in (WEB / "assets").iterdir()}
    return files.routes({"/": WEB / "index.html", **assets})
