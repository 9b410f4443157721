"""The page at /, which needs nothing from elsewhere."""

from pathlib import Path

from fastapi import APIRouter

from service import files

WEB = Path(__file__).parent / "web"
ASSETS = "/assets/"  # where its other files are


def routes() -> APIRouter:
    """Its files."""
    assets = {ASSETS + file.name: file for file in (WEB / "assets").iterdir()}
    return files.routes({"/": WEB / "index.html", **assets})
