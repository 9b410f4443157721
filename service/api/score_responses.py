"""Fields of the responses of /score, with their descriptions and examples."""

from pydantic import BaseModel, Field

from service.api.responses import ModelResponse


class NameScore(BaseModel):
    """The score of a name. The numbers are null if it has unknown characters or is too long."""

    name: str = Field(
        description="the name as sent; a name that is too long is truncated", examples=["Emma"]
    )
    normalized: str = Field(
        description="the normalised name, which is scored; empty if it is too long",
        examples=["emma"],
    )
    log_likelihood: float | None = Field(
        description="natural logarithm of the probability of the name, its end included",
        examples=[-12.0],
    )
    per_character: float | None = Field(
        description="log-likelihood per character, where the end counts as one", examples=[-2.4]
    )
    perplexity: float | None = Field(
        description="exp(-per_character): the uncertainty of a uniform choice between this many "
        "characters",
        examples=[11.0],
    )
    percentile: float | None = Field(
        description="fraction, from 0 to 1, of the model's names of the same length that are less "
        "probable; equally probable names count half",
        examples=[0.55],
    )
    unknown: list[str] = Field(
        description="characters that are not in the vocabulary of the model", examples=[[]]
    )
    error: str = Field(
        "",
        description="reason why the name has no score; absent if it has one",
        examples=["more than 256 characters"],
    )


class AlternativeInfo(BaseModel):
    """A probable alternative to the character of a step."""

    character: str | None = Field(description="null for the end of the name", examples=["m"])
    log_likelihood: float = Field(
        description="natural logarithm of its probability", examples=[-0.89]
    )


class StepInfo(BaseModel):
    """A step of a name: the log-likelihood of its next character, and what contributes to it."""

    character: str | None = Field(description="null for the end of the name", examples=["m"])
    log_likelihood: float = Field(
        description="natural logarithm of the probability of the character; the steps add up to "
        "that of the name",
        examples=[-0.89],
    )
    rank: int = Field(
        description="rank of the character by probability; 1 is the most probable", examples=[1]
    )
    expected: float = Field(
        description="expected log-likelihood of this step, over all characters", examples=[-2.1]
    )
    contributions: dict[str, float] = Field(
        description="by how much each feature raises the log-likelihood above `expected`; the "
        "contributions and `expected` add up to log_likelihood",
        examples=[{"last 1": 0.9, "position": 0.31}],
    )
    alternatives: list[AlternativeInfo] = Field(
        description="the most probable other characters, by descending probability"
    )


class ExplainedNameScore(NameScore):
    """A score with its steps, suggestions and whether the name is in the training set."""

    in_training_set: bool | None = Field(
        description="whether the name is in the training set; null if the checkpoint does not "
        "contain the set",
        examples=[True],
    )
    steps: list[StepInfo] = Field(
        description="a step for each character and one for the end; empty if the name has unknown "
        "characters"
    )
    suggestions: list[NameScore] = Field(
        description="spelling suggestions: more probable names that differ by one edit, by "
        "descending probability"
    )


class ScoreResponse(ModelResponse):
    """Scores of names."""

    scores: list[ExplainedNameScore] | list[NameScore] = Field(
        description="a score for each name, in the order of the request; with `explain` an "
        "explained one"
    )


class UnscoredLine(BaseModel):
    """The response to a line that is not a name to score."""

    name: str | None = Field(
        description="the first characters of a name that is too long; else null"
    )
    error: str = Field(
        description="reason why the line has no score", examples=["more than 256 characters"]
    )
