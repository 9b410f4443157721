"""What the service tells of its models: what they are, how they came about, and the limits."""

from pydantic import BaseModel, ConfigDict, Field

from models.linear.features import POSITIONS
from service.api.requests import (
    MAX_EXCLUDED,
    MAX_EXCLUDED_LENGTH,
    MAX_EXPLAINED,
    MAX_NAMES,
    MAX_PATTERN_LENGTH,
    MAX_SAMPLED_LENGTH,
    MAX_SCORED_LENGTH,
    MAX_STREAMED,
    MAX_TOP,
)


class SourceInfo(BaseModel):
    """The list a model was trained on."""

    model_config = ConfigDict(from_attributes=True)

    name: str = Field(description="of the file", examples=["us_names_2017.txt"])
    names: int = Field(description="lines with a name", examples=[32469])
    transitions: int = Field(description="characters and ends of names", examples=[231718])
    sha256: str = Field(description="of the text of the list")
    lengths: list[int] = Field(
        description="how many names have 1, 2, ... characters, to 256 at most",
        examples=[[0, 124, 830]],
    )


class FeatureInfo(BaseModel):
    """A feature: an input of the linear layer."""

    model_config = ConfigDict(from_attributes=True)

    name: str = Field(
        description="as in the contributions of explained scores", examples=["last 1"]
    )
    last: int = Field(description="how many of the last characters it looks at", examples=[1])
    position: bool = Field(description="whether it looks at the position", examples=[False])


class ModelInfo(BaseModel):
    """What a model is and how it came about."""

    name: str = Field(description="as requests name it", examples=["positional"])
    checkpoint: str = Field(
        description="first 12 hex digits of the checkpoint's digest", examples=["3f2a9c0d41be"]
    )
    architecture: str = Field(
        description="which of the architectures it is, whatever its name", examples=["positional"]
    )
    features: list[FeatureInfo] = Field(
        description="what the linear layer looks at",
        examples=[
            [
                {"name": "last 1", "last": 1, "position": False},
                {"name": "position", "last": 0, "position": True},
            ]
        ],
    )
    parameters: int = Field(description="how many weights it has", examples=[1350])
    vocabulary: str = Field(description="the known characters, sorted", examples=["abc"])
    keeps_case: bool = Field(description="whether upper and lower case differ")
    turkish: bool = Field(description="whether I is the capital of the dotless i, U+0131")
    positions: int = Field(
        description="positions told apart; later ones count as the last", examples=[POSITIONS]
    )
    recipe: str = Field(
        description="post: 200 steps of gradient descent; converged: until steps gain nothing",
        examples=["post"],
    )
    penalty: float = Field(
        description="weight of the squares of the weights in the loss, as the recipe counts it",
        examples=[0.01],
    )
    loss: float = Field(description="of the last training step, penalty included, in nats")
    nll: float = Field(description="of the training list, in nats a character")
    source: SourceInfo = Field(description="the list it was trained on")
    trained_at: str = Field(
        description="when, in UTC, as ISO 8601 writes it", examples=["2026-01-31T12:00:00+00:00"]
    )
    trained_with: dict[str, str] = Field(
        description="versions of the programs that trained it", examples=[{"moniker": "0.1.0"}]
    )
    warnings: list[str] = Field(
        description="what to know before the model is used; empty for most models",
        examples=[
            ["trained on 2 distinct names: with fewer than 20 a model mostly repeats them"],
        ],
    )
    report: str | None = Field(
        description="path of the evaluation report, in HTML, below the address of the service; "
        "null if the model was trained without --evaluate",
        examples=["/models/positional/report"],
    )


class Limits(BaseModel):
    """The limits in force."""

    names: int = Field(MAX_NAMES, description="names in a request or a reply as JSON")
    streamed_names: int = Field(MAX_STREAMED, description="names in a reply as text or JSON lines")
    top_names: int = Field(MAX_TOP, description="names in a reply of /top")
    sampled_length: int = Field(MAX_SAMPLED_LENGTH, description="largest max_length")
    pattern_length: int = Field(MAX_PATTERN_LENGTH, description="characters of a pattern")
    excluded: int = Field(MAX_EXCLUDED, description="substrings to exclude")
    excluded_length: int = Field(MAX_EXCLUDED_LENGTH, description="characters of each of these")
    scored_length: int = Field(MAX_SCORED_LENGTH, description="characters of a name to score")
    explained_names: int = Field(MAX_EXPLAINED, description="names to explain in a request as JSON")


class ModelsReply(BaseModel):
    """The models in service."""

    default: str = Field(description="the model of a request that names none")
    models: list[ModelInfo] = Field(description="sorted by name")
    limits: Limits = Field(Limits(), description="what requests are held to")


class ModelInfoReply(ModelInfo):
    """A model and the limits in force."""

    limits: Limits = Field(Limits(), description="what requests are held to")
