"""Endpoint that explains the type of a problem: /errors/{slug}."""

from fastapi import APIRouter
from fastapi.responses import PlainTextResponse

from service.api.route import StrictRoute
from service.errors import PROBLEMS, NotFoundError

router = APIRouter(route_class=StrictRoute, include_in_schema=False)


@router.get("/errors/{slug}")
async def get_error(slug: str) -> PlainTextResponse:
    """Explain a type of problem: its title and status, when it occurs and what to do."""
    if slug not in PROBLEMS:
        raise NotFoundError("There is no such type of problem.")
    kind = PROBLEMS[slug]
    return PlainTextResponse(f"{kind.title} ({kind.status})\n\n{kind.__doc__}\n{kind.remedy}\n")
