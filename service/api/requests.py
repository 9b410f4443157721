"""What a request sends: the fields of each path with their limits, meanings and examples."""

from typing import Annotated

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    FailFast,
    Field,
    TypeAdapter,
    ValidationInfo,
    field_validator,
)
from pydantic_core import PydanticCustomError

from models.constraints.constraints import Constraints
from models.linear.features import MAX_TOKENS

MAX_NAMES = 10_000
MAX_STREAMED = 10_000_000
MAX_TOP = 1_000
MAX_SEED = 2**53 - 1  # the largest integer that every JSON reader keeps exact
MAX_SAMPLED_LENGTH = 64
MAX_SCORED_LENGTH = 256
MAX_EXPLAINED = 100
MAX_CHARACTERS = 200
MAX_PATTERN_LENGTH = 256
MAX_EXCLUDED = 100
MAX_EXCLUDED_LENGTH = 64


class Fields(BaseModel):
    """The fields of a request. `route` refuses unknown ones: pydantic takes 1 kB for each."""

    model_config = ConfigDict(json_schema_extra={"additionalProperties": False})


class ModelRequest(Fields):
    """A request to a model."""

    model: str | None = Field(
        None,
        max_length=100,
        description="name of the model, of those at /models; the default model if absent",
        examples=["positional"],
    )


Excluded = Annotated[str, Field(min_length=1, max_length=MAX_EXCLUDED_LENGTH)]


def _at_most_max_length(length: int, info: ValidationInfo) -> int:
    # max_length is missing if it is wrong itself.
    if length > info.data.get("max_length", length):
        raise PydanticCustomError("lengths", "Input should be at most max_length")
    return length


class ConstraintsRequest(ModelRequest):
    """What names are wished for."""

    temperature: float = Field(
        Constraints.temperature,
        ge=0.05,
        le=10.0,
        allow_inf_nan=False,
        description="divides the logits: below 1 names are more typical, above 1 more daring",
        examples=[0.8],
    )
    top_k: int | None = Field(
        Constraints.top_k,
        ge=1,
        le=MAX_TOKENS,
        description="each step takes one of the so many likeliest, the name's end among them; "
        "any if absent",
        examples=[10],
    )
    pattern: str = Field(
        Constraints.pattern,
        min_length=1,
        max_length=MAX_PATTERN_LENGTH,
        description="of the whole name: ? one character, * any number of them, "
        "[abc] or [a-f] one of these, [!aeiou] one that is none of these; "
        "normalised like a name, without regard to case unless the model keeps it; "
        "some name must match it",
        examples=["ka*lyn"],
    )
    max_length: int = Field(
        Constraints.max_length,
        ge=1,
        le=MAX_SAMPLED_LENGTH,
        description="longest name, in characters; the distribution is exact, nothing is cut off",
        examples=[12],
    )
    min_length: int = Field(
        Constraints.min_length,
        ge=1,
        le=MAX_SAMPLED_LENGTH,
        description="shortest name, in characters; not greater than max_length",
        examples=[4],
    )
    exclude: Annotated[list[Excluded], FailFast()] = Field(
        [],
        max_length=MAX_EXCLUDED,
        description="substrings that must not occur, in upper or lower case, composed or not",
        examples=[["xx", "ass"]],
    )
    novel: bool = Field(
        Constraints.novel, description="leave out the names of the training list", examples=[True]
    )

    @field_validator("min_length")
    @classmethod
    def _not_above_max_length(cls, shortest: int, info: ValidationInfo) -> int:
        return _at_most_max_length(shortest, info)

    @property
    def constraints(self) -> Constraints:
        """The wish that `models` knows."""
        return Constraints(
            max_length=self.max_length,
            temperature=self.temperature,
            min_length=self.min_length,
            top_k=self.top_k,
            pattern=self.pattern,
            exclude=frozenset(self.exclude),
            novel=self.novel,
        )


class SampleRequest(ConstraintsRequest):
    """A wish for names."""

    n: int = Field(
        10,
        ge=1,
        le=MAX_STREAMED,
        description=f"how many names; at most {MAX_NAMES:,} as JSON or with `unique`, "
        "and with that not more than there are",
        examples=[5],
    )
    seed: int | None = Field(
        None,
        ge=0,
        le=MAX_SEED,
        description="the same seed and wish give the same names; chosen and returned if absent",
        examples=[42],
    )
    unique: bool = Field(False, description="no name twice", examples=[True])


class TopRequest(ConstraintsRequest):
    """A wish for the likeliest names."""

    n: int = Field(10, ge=1, le=MAX_TOP, description="how many names", examples=[3])


class TransitionsRequest(ConstraintsRequest):
    """A position in the names that are wished for."""

    position: int = Field(
        0,
        ge=0,
        le=MAX_SAMPLED_LENGTH,
        description="how many characters come before; not greater than max_length",
        examples=[2],
    )
    characters: int = Field(
        40,
        ge=1,
        le=MAX_CHARACTERS,
        description="of so many different characters at most, those that are most frequent",
        examples=[26],
    )

    @field_validator("position")
    @classmethod
    def _within_max_length(cls, position: int, info: ValidationInfo) -> int:
        return _at_most_max_length(position, info)


class NextRequest(ModelRequest):
    """The beginning of a name."""

    prefix: str = Field(
        "",
        max_length=MAX_SCORED_LENGTH,
        description="the beginning of a name, of characters that the model knows; "
        "nothing for what names begin with",
        examples=["em"],
    )


class ScoreFields(ModelRequest):
    """How names are to be scored; beside names that are sent as lines it is the query."""

    explain: bool = Field(
        False,
        description="tell each step of a name and how the name could be repaired; of at most "
        f"{MAX_EXPLAINED} names, or of any number sent as lines",
        examples=[True],
    )


def _names(names: list[str], info: ValidationInfo) -> list[str]:
    """Refuse too many to explain; keep of a name that is too long only what shows that."""
    if info.data.get("explain") and len(names) > MAX_EXPLAINED:
        message = "List should have at most {most} items to explain"
        raise PydanticCustomError("explained", message, {"most": MAX_EXPLAINED})
    return [name[: MAX_SCORED_LENGTH + 1] for name in names]


Names = Annotated[list[str], FailFast(), AfterValidator(_names)]


class ScoreRequest(ScoreFields):
    """Names to score."""

    names: Names = Field(
        min_length=1,
        max_length=MAX_NAMES,
        description=f"names of up to {MAX_SCORED_LENGTH} characters; the score of a longer one has "
        "an `error`",
        examples=[["emma", "xqzwv"]],
    )


class ScoreQuery(ScoreFields):
    """Names to score, as repeated fields of a query."""

    names: Names = Field(
        alias="name",
        min_length=1,
        max_length=MAX_NAMES,
        description=f"a name of up to {MAX_SCORED_LENGTH} characters; repeat the field for more, "
        "and send what is too long for an address in a body",
        examples=[["emma", "xqzwv"]],
    )


LineName = Annotated[str, Field(max_length=MAX_SCORED_LENGTH)]


class NamedLine(BaseModel):
    """A line of JSON that is an object; what else it has is not looked at."""

    name: LineName


Line: TypeAdapter[str | NamedLine] = TypeAdapter(LineName | NamedLine)
