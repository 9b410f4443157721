"""What goes over the wire: each request and reply with its limits, meanings and examples."""

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

from models.features import POSITIONS
from models.wish import Wish

MAX_NAMES = 10_000
MAX_SEED = 2**53 - 1  # the largest integer that every JSON reader keeps exact
MAX_SAMPLED_LENGTH = 64
MAX_SCORED_LENGTH = 256


class Fields(BaseModel):
    """The fields of a request; one that is not known is refused."""

    model_config = ConfigDict(extra="forbid")


class NoFields(Fields):
    """A request without fields."""


class WithModel(Fields):
    """A request to a model."""

    model: str | None = Field(
        None,
        max_length=100,
        description="name of the model, of those at /models; the default model if absent",
        examples=["positional"],
    )


class SampleQuery(WithModel):
    """A wish for names, as fields of a query."""

    n: int = Field(10, ge=1, le=MAX_NAMES, description="how many names", examples=[5])
    seed: int | None = Field(
        None,
        ge=0,
        le=MAX_SEED,
        description="the same seed and wish give the same names; chosen and returned if absent",
        examples=[42],
    )
    temperature: float = Field(
        Wish.temperature,
        ge=0.05,
        le=10.0,
        allow_inf_nan=False,
        description="divides the logits: below 1 names are more typical, above 1 more daring",
        examples=[0.8],
    )
    max_length: int = Field(
        Wish.max_length,
        ge=1,
        le=MAX_SAMPLED_LENGTH,
        description="longest name, in characters; the distribution is exact, nothing is cut off",
        examples=[12],
    )


class SampleRequest(SampleQuery):
    """A wish for names."""

    model_config = ConfigDict(strict=True)  # JSON has types of its own: "5" and true are no numbers


class ModelReply(BaseModel):
    """A reply says which model gave it."""

    model: str = Field(description="name of the model", examples=["positional"])
    checkpoint: str = Field(
        description="first 12 hex digits of the checkpoint's digest", examples=["3f2a9c0d41be"]
    )


class SampleReply(ModelReply):
    """Names."""

    seed: int = Field(description="send it with the same wish to get the same names", examples=[42])
    probability: float = Field(
        description="chance that an unconditioned draw fulfils the wish", examples=[0.9988]
    )
    names: list[str] = Field(examples=[["kayla", "moriah", "dessa"]])


ScoredName = Annotated[str, Field(max_length=MAX_SCORED_LENGTH)]


class ScoreRequest(WithModel):
    """Names to score."""

    names: list[ScoredName] = Field(
        min_length=1,
        max_length=MAX_NAMES,
        description=f"names of up to {MAX_SCORED_LENGTH} characters",
        examples=[["emma", "xqzwv"]],
    )


class ScoreQuery(WithModel):
    """Names to score, as repeated fields of a query."""

    names: list[ScoredName] = Field(
        alias="name",
        min_length=1,
        max_length=MAX_NAMES,
        description=f"a name of up to {MAX_SCORED_LENGTH} characters; repeat the field for more",
        examples=[["emma", "xqzwv"]],
    )


class NameScore(BaseModel):
    """How likely the model finds a name. The numbers are null if it has unknown characters."""

    model_config = ConfigDict(from_attributes=True)

    name: str = Field(description="as it was sent", examples=["Emma"])
    normalized: str = Field(description="as it was scored", examples=["emma"])
    log_likelihood: float | None = Field(
        description="natural logarithm of the name's probability, its end included",
        examples=[-12.0],
    )
    per_character: float | None = Field(
        description="log-likelihood per character, the end counted as one", examples=[-2.4]
    )
    perplexity: float | None = Field(
        description="exp(-per_character): as uncertain as a choice among so many", examples=[11.0]
    )
    unknown: list[str] = Field(
        description="characters of the name that the model does not know", examples=[[]]
    )


class ScoreReply(ModelReply):
    """Scores in the order of the names."""

    scores: list[NameScore]


class SourceInfo(BaseModel):
    """The list a model was trained on."""

    model_config = ConfigDict(from_attributes=True)

    name: str = Field(examples=["us_names_2017.txt"])
    names: int = Field(description="lines with a name", examples=[32469])
    transitions: int = Field(description="characters and ends of names", examples=[231718])
    sha256: str = Field(description="of the text of the list")


class ModelInfo(BaseModel):
    """What a model is and how it came about."""

    name: str = Field(examples=["positional"])
    checkpoint: str = Field(examples=["3f2a9c0d41be"])
    architecture: str = Field(examples=["positional"])
    features: list[str] = Field(
        description="what the linear layer looks at", examples=[["last 1", "position"]]
    )
    parameters: int = Field(examples=[1350])
    vocabulary: str = Field(description="the known characters, sorted", examples=["abc"])
    keeps_case: bool = Field(description="whether upper and lower case differ")
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
    source: SourceInfo
    trained_at: str = Field(examples=["2026-01-31T12:00:00+00:00"])
    trained_with: dict[str, str] = Field(examples=[{"moniker": "0.1.0"}])


class Limits(BaseModel):
    """The limits in force."""

    names: int = Field(MAX_NAMES, description="names in a request or a reply")
    sampled_length: int = Field(MAX_SAMPLED_LENGTH, description="largest max_length")
    scored_length: int = Field(MAX_SCORED_LENGTH, description="characters of a name to score")


class ModelsReply(BaseModel):
    """The models in service."""

    default: str = Field(description="the model of a request that names none")
    models: list[ModelInfo]
    limits: Limits = Limits()


class ModelInfoReply(ModelInfo):
    """A model and the limits in force."""

    limits: Limits = Limits()


class Status(BaseModel):
    """How the service is."""

    status: str = Field(examples=["ready"])


class FieldProblem(BaseModel):
    """What is wrong with a field."""

    field: str = Field(examples=["temperature"])
    detail: str = Field(examples=["Input should be greater than or equal to 0.05"])


class Problem(BaseModel):
    """An RFC 9457 problem, sent as application/problem+json."""

    type: str = Field("about:blank", description="about:blank: the status says it all")
    title: str = Field(examples=["Unprocessable Content"])
    status: int = Field(examples=[422])
    detail: str = Field(examples=["temperature: Input should be greater than or equal to 0.05"])
    errors: list[FieldProblem] = Field([], description="the fields at fault")
