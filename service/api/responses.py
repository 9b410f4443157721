"""What the service replies: the fields of each path with their meanings and examples."""

from pydantic import BaseModel, Field


class ModelReply(BaseModel):
    """A reply says which model gave it."""

    model: str = Field(description="name of the model", examples=["positional"])
    checkpoint: str = Field(
        description="first 12 hex digits of the checkpoint's digest", examples=["3f2a9c0d41be"]
    )


class ConstraintsReply(ModelReply):
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
    names: list[str] = Field(
        description="in the order in which they were drawn", examples=[["kayla", "moriah", "dessa"]]
    )


class DrawnName(BaseModel):
    """A line of names."""

    name: str = Field(description="as it was drawn", examples=["kayla"])
    log_likelihood: float = Field(
        description="natural logarithm of its probability at temperature 1, as in /score",
        examples=[-9.5],
    )


class TopName(BaseModel):
    """One of the likeliest names."""

    name: str = Field(description="of characters that the model knows", examples=["kaylyn"])
    log_likelihood: float = Field(
        description="natural logarithm of the chance of an unconditioned draw, at the "
        "temperature and top_k of the wish; without these, that of /score",
        examples=[-11.3],
    )
    share: float = Field(
        description="chance of the name among those that fulfil the wish", examples=[0.08]
    )


class TopReply(ConstraintsReply):
    """The likeliest names, the likeliest first; fewer than wished for if there are no more."""

    names: list[TopName] = Field(description="the likeliest first")


class Length(BaseModel):
    """A length and its probability."""

    length: int = Field(description="in characters", examples=[6])
    probability: float = Field(
        description="chance of this length among the names that fulfil the wish", examples=[0.26]
    )


class LengthsReply(ConstraintsReply):
    """The distribution of the length of the names that fulfil a wish."""

    mean: float = Field(description="length, in characters", examples=[6.1])
    lengths: list[Length] = Field(description="from min_length to max_length")


class Continuation(BaseModel):
    """What can follow the beginning of a name."""

    character: str | None = Field(description="null for the end of the name", examples=["m"])
    probability: float = Field(
        description="chance that the character follows; all add up to 1", examples=[0.41]
    )
    log_likelihood: float = Field(description="its natural logarithm", examples=[-0.89])


class Row(BaseModel):
    """What follows a character at a position."""

    previous: str | None = Field(
        description="the character before the position; null for the start of the name",
        examples=["q"],
    )
    share: float = Field(
        description="of the names that get so far, those that have it there", examples=[0.02]
    )
    probabilities: list[float] = Field(
        description="of each of `characters`, given the one before", examples=[[0.06, 0.21, 0.73]]
    )


class TransitionsReply(ConstraintsReply):
    """What follows what at a position, in the names that fulfil a wish."""

    position: int = Field(description="how many characters come before it", examples=[2])
    reached: float = Field(description="the share of names that get so far", examples=[0.98])
    ended: float = Field(description="the share of names that end there", examples=[0.03])
    characters: list[str | None] = Field(
        description="what may follow: null for the end of the name, then characters in order",
        examples=[[None, "a", "u"]],
    )
    rows: list[Row] = Field(description="for each of these that a name has before the position")


class NextReply(ModelReply):
    """What follows the beginning of a name, the likeliest first."""

    prefix: str = Field(description="as the model reads it", examples=["em"])
    next: list[Continuation] = Field(
        description="all that can follow in a normalised name, the most probable first"
    )


class NameScore(BaseModel):
    """How likely the model finds a name.

    The numbers are null if it has unknown characters or is too long.
    """

    name: str = Field(
        description="as it was sent; the beginning of one that is too long", examples=["Emma"]
    )
    normalized: str = Field(
        description="as it was scored; empty if it is too long", examples=["emma"]
    )
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
    error: str = Field(
        "",
        description="why it is not scored; absent if it is",
        examples=["more than 256 characters"],
    )


class AlternativeInfo(BaseModel):
    """Another character that might come."""

    character: str | None = Field(description="null for the end of the name", examples=["m"])
    log_likelihood: float = Field(
        description="natural logarithm of its probability", examples=[-0.89]
    )


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

    listed: bool | None = Field(
        description="whether it is a name of the training list; null if that is not known",
        examples=[True],
    )
    steps: list[StepInfo] = Field(
        description="of the name, its end included; none if it has unknown characters"
    )
    suggestions: list[NameScore] = Field(
        description="likelier names that differ from this one by an edit at its worst place, "
        "the likeliest first"
    )


class ScoreReply(ModelReply):
    """Scores in the order of the names; explained if that was asked for."""

    scores: list[ExplainedScore] | list[NameScore] = Field(
        description="one for each name, in the order of the request"
    )


class RefusedLine(BaseModel):
    """A line of the request that is no name to score."""

    name: str | None = Field(description="the beginning of one that is too long")
    error: str = Field(description="why it is not scored", examples=["more than 256 characters"])


class Status(BaseModel):
    """How the service is."""

    status: str = Field(description="in a word", examples=["ready"])


class Readiness(Status):
    """Whether the service is ready, and what is not as it should be all the same."""

    detail: str | None = Field(
        None,
        description="checkpoint files that cannot be loaded as they are now, and why",
        examples=["checkpoints/bigram.safetensors: not a complete safetensors file"],
    )
