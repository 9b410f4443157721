"""What the service replies: the fields of each path with their meanings and examples."""

from pydantic import BaseModel, ConfigDict, Field

from models.features import POSITIONS
from service.requests import (
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


class ModelReply(BaseModel):
    """A reply says which model gave it."""

    model: str = Field(description="name of the model", examples=["positional"])
    checkpoint: str = Field(
        description="first 12 hex digits of the checkpoint's digest", examples=["3f2a9c0d41be"]
    )


class WishReply(ModelReply):
    """A reply to a wish says how likely it is."""

    probability: float = Field(
        description="chance that an unconditioned draw fulfils the wish", examples=[0.9988]
    )


class SampleReply(ModelReply):
    """Names."""

    seed: int = Field(description="send it with the same wish to get the same names", examples=[42])
    probability: float = Field(
        description="chance that an unconditioned draw fulfils the wish", examples=[0.9988]
    )
    names: list[str] = Field(examples=[["kayla", "moriah", "dessa"]])


class DrawnName(BaseModel):
    """A line of names."""

    name: str = Field(examples=["kayla"])
    log_likelihood: float = Field(
        description="natural logarithm of its probability at temperature 1, as in /score",
        examples=[-9.5],
    )


class TopName(BaseModel):
    """One of the likeliest names."""

    name: str = Field(examples=["kaylyn"])
    log_likelihood: float = Field(
        description="natural logarithm of the chance of an unconditioned draw, at the "
        "temperature and top_k of the wish; without these, that of /score",
        examples=[-11.3],
    )
    share: float = Field(
        description="chance of the name among those that fulfil the wish", examples=[0.08]
    )


class TopReply(WishReply):
    """The likeliest names, the likeliest first; fewer than wished for if there are no more."""

    names: list[TopName]


class Length(BaseModel):
    """A length and its probability."""

    length: int = Field(description="in characters", examples=[6])
    probability: float = Field(examples=[0.26])


class LengthsReply(WishReply):
    """The distribution of the length of the names that fulfil a wish."""

    mean: float = Field(description="length, in characters", examples=[6.1])
    lengths: list[Length] = Field(description="from min_length to max_length")


class Continuation(BaseModel):
    """What can follow the beginning of a name."""

    character: str | None = Field(description="null for the end of the name", examples=["m"])
    probability: float = Field(examples=[0.41])
    log_likelihood: float = Field(description="its natural logarithm", examples=[-0.89])


class NextReply(ModelReply):
    """What follows the beginning of a name, the likeliest first."""

    prefix: str = Field(description="as the model reads it", examples=["em"])
    next: list[Continuation]


class NameScore(BaseModel):
    """How likely the model finds a name. The numbers are null if it has unknown characters."""

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
    percentile: float | None = Field(
        description="share of the model's names of the same length that are less likely, from "
        "0 to 1; those that are as likely count half",
        examples=[0.55],
    )
    unknown: list[str] = Field(
        description="characters of the name that the model does not know", examples=[[]]
    )


class AlternativeInfo(BaseModel):
    """Another character that might come."""

    character: str | None = Field(description="null for the end of the name", examples=["m"])
    log_likelihood: float = Field(examples=[-0.89])


class StepInfo(BaseModel):
    """A step of a name: how likely its next character is, and why."""

    character: str | None = Field(description="null for the end of the name", examples=["m"])
    log_likelihood: float = Field(
        description="natural logarithm of its probability; all add up to that of the name",
        examples=[-0.89],
    )
    rank: int = Field(description="1 for the likeliest character here", examples=[1])
    expected: float = Field(
        description="mean log-likelihood of what the model makes here", examples=[-2.1]
    )
    contributions: dict[str, float] = Field(
        description="by how much each feature makes the character likelier than what the model "
        "makes here; together with `expected` they add up to log_likelihood",
        examples=[{"last 1": 0.9, "position": 0.31}],
    )
    alternatives: list[AlternativeInfo] = Field(description="the likeliest other characters")


class ExplainedScore(NameScore):
    """A score, and where it comes from."""

    steps: list[StepInfo] = Field(
        description="of the name, its end included; none if it has unknown characters"
    )
    suggestions: list[NameScore] = Field(
        description="likelier names that differ from this one by an edit at its worst place, "
        "the likeliest first"
    )


class ScoreReply(ModelReply):
    """Scores in the order of the names; explained if that was asked for."""

    scores: list[ExplainedScore] | list[NameScore]


class RefusedLine(BaseModel):
    """A line of the request that is no name to score."""

    name: str | None = Field(description="the beginning of one that is too long")
    error: str = Field(examples=["more than 256 characters"])


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
    models: list[ModelInfo]
    limits: Limits = Limits()


class ModelInfoReply(ModelInfo):
    """A model and the limits in force."""

    limits: Limits = Limits()


class Status(BaseModel):
    """How the service is."""

    status: str = Field(examples=["ready"])


class Readiness(Status):
    """Whether the service is ready, and what is not as it should be all the same."""

    detail: str | None = Field(
        None,
        description="checkpoint files that cannot be loaded as they are now, and why",
        examples=["checkpoints/bigram.safetensors: not a whole safetensors file"],
    )


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
