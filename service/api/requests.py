"""Fields of requests, with their limits, descriptions and examples; /score has its own module."""

from typing import Annotated

from pydantic import BaseModel, ConfigDict, FailFast, Field, ValidationInfo, field_validator
from pydantic_core import PydanticCustomError

from models.constraints.constraints import Constraints
from models.linear.features import MAX_TOKENS
from service.api.limits import (
    MAX_CHARACTERS,
    MAX_EXCLUDED,
    MAX_EXCLUDED_LENGTH,
    MAX_NAMES,
    MAX_PATTERN_LENGTH,
    MAX_SAMPLED_LENGTH,
    MAX_SCORED_LENGTH,
    MAX_SEED,
    MAX_STREAMED,
    MAX_TOP,
)


class Fields(BaseModel):
    """Fields of a request.

    `StrictRoute` rejects unknown fields: pydantic would need 1 kB of memory for each of them.
    """

    model_config = ConfigDict(json_schema_extra={"additionalProperties": False})


class ModelRequest(Fields):
    """The model of a request."""

    model: str | None = Field(
        None,
        max_length=100,
        description="name of a model at /models; the default model if absent",
        examples=["positional"],
    )


Excluded = Annotated[str, Field(min_length=1, max_length=MAX_EXCLUDED_LENGTH)]


def _at_most_max_length(length: int, info: ValidationInfo) -> int:
    # max_length is missing if it is invalid itself.
    if length > info.data.get("max_length", length):
        raise PydanticCustomError("lengths", "Input should be at most max_length")
    return length


class ConstraintsRequest(ModelRequest):
    """Constraints on names, and how their distribution is changed."""

    temperature: float = Field(
        Constraints.temperature,
        ge=0.05,
        le=10.0,
        allow_inf_nan=False,
        description="divides the logits; below 1 probable names become more probable, above 1 less",
        examples=[0.8],
    )
    top_k: int | None = Field(
        Constraints.top_k,
        ge=1,
        le=MAX_TOKENS,
        description="each character is one of the k most probable, where the end of the name "
        "counts as a character; no limit if absent",
        examples=[10],
    )
    pattern: str = Field(
        Constraints.pattern,
        min_length=1,
        max_length=MAX_PATTERN_LENGTH,
        description="glob pattern of the whole name: ? matches one character, * any number, "
        "[abc] or [a-f] one of these, [!aeiou] one of the others; normalised like a name, and "
        "case-insensitive unless the model keeps the case; at least one name must match it",
        examples=["ka*lyn"],
    )
    max_length: int = Field(
        Constraints.max_length,
        ge=1,
        le=MAX_SAMPLED_LENGTH,
        description="maximum length of a name in characters; the distribution is conditioned on "
        "it, and no name is truncated",
        examples=[12],
    )
    min_length: int = Field(
        Constraints.min_length,
        ge=1,
        le=MAX_SAMPLED_LENGTH,
        description="minimum length of a name in characters; at most max_length",
        examples=[4],
    )
    exclude: Annotated[list[Excluded], FailFast()] = Field(
        [],
        max_length=MAX_EXCLUDED,
        description="substrings that no name contains, in upper or lower case and in any Unicode "
        "composition",
        examples=[["xx", "ass"]],
    )
    novel: bool = Field(
        Constraints.novel, description="exclude the names of the training set", examples=[True]
    )

    @field_validator("min_length")
    @classmethod
    def _check_min_length(cls, length: int, info: ValidationInfo) -> int:
        return _at_most_max_length(length, info)

    @property
    def constraints(self) -> Constraints:
        """The constraints as an object of `models`."""
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
    """How to sample names."""

    n: int = Field(
        10,
        ge=1,
        le=MAX_STREAMED,
        description=f"number of names; at most {MAX_NAMES:,} as JSON or with `unique`, and with "
        "`unique` at most as many as satisfy the constraints",
        examples=[5],
    )
    seed: int | None = Field(
        None,
        ge=0,
        le=MAX_SEED,
        description="the same seed and fields give the same names; chosen at random and returned "
        "if absent",
        examples=[42],
    )
    unique: bool = Field(
        False, description="sample without replacement: no name occurs twice", examples=[True]
    )


class TopRequest(ConstraintsRequest):
    """How many of the most probable names to return."""

    n: int = Field(10, ge=1, le=MAX_TOP, description="number of names", examples=[3])


class TransitionsRequest(ConstraintsRequest):
    """A position in the names, and the number of characters to return."""

    position: int = Field(
        0,
        ge=0,
        le=MAX_SAMPLED_LENGTH,
        description="number of characters before the position; at most max_length",
        examples=[2],
    )
    characters: int = Field(
        40,
        ge=1,
        le=MAX_CHARACTERS,
        description="maximum number of different characters; the most frequent are returned",
        examples=[26],
    )

    @field_validator("position")
    @classmethod
    def _check_position(cls, position: int, info: ValidationInfo) -> int:
        return _at_most_max_length(position, info)


class NextRequest(ModelRequest):
    """The prefix of a name."""

    prefix: str = Field(
        "",
        max_length=MAX_SCORED_LENGTH,
        description="the first characters of a name, all in the vocabulary of the model; empty for "
        "the distribution of the first character",
        examples=["em"],
    )
