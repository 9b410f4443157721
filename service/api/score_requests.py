"""Fields of /score: the names, in a body, a query or lines, and how to score them."""

from typing import Annotated

from pydantic import AfterValidator, BaseModel, FailFast, Field, TypeAdapter, ValidationInfo
from pydantic_core import PydanticCustomError

from service.api.limits import MAX_EXPLAINED, MAX_NAMES, MAX_SCORED_LENGTH
from service.api.requests import ModelRequest


class ScoreFields(ModelRequest):
    """How to score names. If the names are sent as lines, these fields are in the query."""

    explain: bool = Field(
        False,
        description="add to each score its steps, spelling suggestions and whether the name is in "
        f"the training set; for at most {MAX_EXPLAINED} names as JSON, or any number as lines",
        examples=[True],
    )


def _check_names(names: list[str], info: ValidationInfo) -> list[str]:
    """Reject too many names to explain. Cut names that are too long just above the limit."""
    if info.data.get("explain") and len(names) > MAX_EXPLAINED:
        message = "List should have at most {most} items to explain; send more names as lines"
        raise PydanticCustomError("explained", message, {"most": MAX_EXPLAINED})
    return [name[: MAX_SCORED_LENGTH + 1] for name in names]


Names = Annotated[list[str], FailFast(), AfterValidator(_check_names)]


class ScoreRequest(ScoreFields):
    """Names to score, as JSON."""

    names: Names = Field(
        min_length=1,
        max_length=MAX_NAMES,
        description=f"names of at most {MAX_SCORED_LENGTH} characters; the score of a longer name "
        "has an `error`",
        examples=[["emma", "xqzwv"]],
    )


class ScoreQuery(ScoreFields):
    """Names to score, as a repeated field of a query."""

    names: Names = Field(
        alias="name",
        min_length=1,
        max_length=MAX_NAMES,
        description=f"a name of at most {MAX_SCORED_LENGTH} characters; repeat the field for more "
        "names, and use POST if they do not fit into a URL",
        examples=[["emma", "xqzwv"]],
    )


LineName = Annotated[str, Field(max_length=MAX_SCORED_LENGTH)]


class NamedLine(BaseModel):
    """A line of JSON that is an object with a name. Its other fields are ignored."""

    name: LineName


Line: TypeAdapter[str | NamedLine] = TypeAdapter(LineName | NamedLine)
