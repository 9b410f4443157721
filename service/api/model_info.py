"""Fields of the responses of /models: the models, their provenance, and the limits."""

from pydantic import BaseModel, ConfigDict, Field

from models.linear.features import POSITIONS
from service.api.limits import (
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
    """The training set of a model."""

    model_config = ConfigDict(from_attributes=True)

    name: str = Field(description="name of the file", examples=["us_names_2017.txt"])
    names: int = Field(description="number of names, repeated names included", examples=[32469])
    transitions: int = Field(
        description="number of transitions: characters and ends of names", examples=[231718]
    )
    sha256: str = Field(description="SHA-256 digest of the text of the list")
    lengths: list[int] = Field(
        description="number of names with 1, 2, ... characters, up to 256",
        examples=[[0, 124, 830]],
    )


class FeatureInfo(BaseModel):
    """A feature of the linear layer."""

    model_config = ConfigDict(from_attributes=True)

    name: str = Field(
        description="name in the contributions of explained scores", examples=["last 1"]
    )
    last: int = Field(description="number of last characters that it depends on", examples=[1])
    position: bool = Field(description="whether it depends on the position", examples=[False])


class ModelInfo(BaseModel):
    """A model and its provenance."""

    name: str = Field(description="name of the model in requests", examples=["positional"])
    checkpoint: str = Field(
        description="first 12 hexadecimal digits of the checkpoint's SHA-256 digest",
        examples=["3f2a9c0d41be"],
    )
    architecture: str = Field(
        description="bigram, positional, sinusoidal or fivegram; independent of the name",
        examples=["positional"],
    )
    features: list[FeatureInfo] = Field(
        description="features of the linear layer",
        examples=[
            [
                {"name": "last 1", "last": 1, "position": False},
                {"name": "position", "last": 0, "position": True},
            ]
        ],
    )
    parameters: int = Field(description="number of weights", examples=[1350])
    vocabulary: str = Field(description="characters that the model knows, sorted", examples=["abc"])
    keeps_case: bool = Field(description="whether upper and lower case are different characters")
    turkish: bool = Field(description="whether I is the upper case of the dotless i, U+0131")
    positions: int = Field(
        description="number of distinct positions; later ones count as the last",
        examples=[POSITIONS],
    )
    recipe: str = Field(
        description="post: 200 steps of gradient descent; converged: L-BFGS until convergence",
        examples=["post"],
    )
    penalty: float = Field(
        description="weight of the L2 penalty in the loss of the recipe",
        examples=[0.01],
    )
    loss: float = Field(
        description="last loss of the training, penalty included, in nats per character"
    )
    nll: float = Field(
        description="negative log-likelihood of the training set, in nats per character"
    )
    source: SourceInfo = Field(description="the training set")
    trained_at: str = Field(
        description="time of training in UTC, in ISO 8601 format",
        examples=["2026-01-31T12:00:00+00:00"],
    )
    trained_with: dict[str, str] = Field(
        description="versions of the software that trained the model",
        examples=[{"moniker": "0.1.0"}],
    )
    warnings: list[str] = Field(
        description="limitations of the model, such as a small training set; usually empty",
        examples=[
            ["trained on 2 distinct names: with fewer than 20 a model mostly repeats them"],
        ],
    )
    report: str | None = Field(
        description="path of the evaluation report in HTML, relative to the address of the "
        "service; null if there is no report",
        examples=["/models/positional/report"],
    )


class Limits(BaseModel):
    """The limits in force."""

    names: int = Field(MAX_NAMES, description="names in a request or a response as JSON")
    streamed_names: int = Field(
        MAX_STREAMED, description="names in a response as text or JSON Lines"
    )
    top_names: int = Field(MAX_TOP, description="names in a response of /top")
    sampled_length: int = Field(MAX_SAMPLED_LENGTH, description="largest max_length")
    pattern_length: int = Field(MAX_PATTERN_LENGTH, description="characters of a pattern")
    excluded: int = Field(MAX_EXCLUDED, description="substrings in `exclude`")
    excluded_length: int = Field(
        MAX_EXCLUDED_LENGTH, description="characters of a substring in `exclude`"
    )
    scored_length: int = Field(MAX_SCORED_LENGTH, description="characters of a name to score")
    explained_names: int = Field(MAX_EXPLAINED, description="names to explain in a request as JSON")


class ModelsResponse(BaseModel):
    """The models in service."""

    default: str = Field(description="model of a request without `model`")
    models: list[ModelInfo] = Field(description="models sorted by name")
    limits: Limits = Field(Limits(), description="limits of requests")


class ModelInfoResponse(ModelInfo):
    """A model and the limits in force."""

    limits: Limits = Field(Limits(), description="limits of requests")
