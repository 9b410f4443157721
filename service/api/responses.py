"""Fields of responses, with their descriptions and examples; /score has its own module."""

from pydantic import BaseModel, Field


class ModelResponse(BaseModel):
    """The model that made the response."""

    model: str = Field(description="name of the model", examples=["positional"])
    checkpoint: str = Field(
        description="first 12 hexadecimal digits of the checkpoint's SHA-256 digest",
        examples=["3f2a9c0d41be"],
    )


class ConstraintsResponse(ModelResponse):
    """The model and the probability of the constraints."""

    probability: float = Field(
        description="probability that an unconditioned sample satisfies the constraints",
        examples=[0.9988],
    )


class SampleResponse(ModelResponse):
    """Sampled names."""

    seed: int = Field(
        description="the same seed and fields give the same names again", examples=[42]
    )
    probability: float = Field(
        description="probability that an unconditioned sample satisfies the constraints",
        examples=[0.9988],
    )
    names: list[str] = Field(
        description="names in the order of sampling", examples=[["kayla", "moriah", "dessa"]]
    )


class SampledName(BaseModel):
    """A line of sampled names."""

    name: str = Field(description="the sampled name", examples=["kayla"])
    log_likelihood: float = Field(
        description="natural logarithm of the probability of the name at the requested "
        "temperature and top_k, before the constraints; by default that of /score",
        examples=[-9.5],
    )


class TopName(BaseModel):
    """One of the most probable names."""

    name: str = Field(description="the name", examples=["kaylyn"])
    log_likelihood: float = Field(
        description="natural logarithm of the probability of the name at the requested "
        "temperature and top_k, before the constraints; by default that of /score",
        examples=[-11.3],
    )
    share: float = Field(
        description="probability of the name among those that satisfy the constraints",
        examples=[0.08],
    )


class TopResponse(ConstraintsResponse):
    """The most probable names."""

    names: list[TopName] = Field(
        description="names by descending probability; fewer than n if fewer satisfy the constraints"
    )


class LengthProbability(BaseModel):
    """A length and its probability."""

    length: int = Field(description="length in characters", examples=[6])
    probability: float = Field(
        description="probability of this length among the names that satisfy the constraints",
        examples=[0.26],
    )


class LengthsResponse(ConstraintsResponse):
    """The distribution of the length of the names that satisfy the constraints."""

    mean: float = Field(description="mean length in characters", examples=[6.1])
    lengths: list[LengthProbability] = Field(
        description="every length from min_length to max_length"
    )


class NextCharacter(BaseModel):
    """A character that can follow a prefix."""

    character: str | None = Field(description="null for the end of the name", examples=["m"])
    probability: float = Field(
        description="probability that the character follows; all add up to 1", examples=[0.41]
    )
    log_likelihood: float = Field(
        description="natural logarithm of the probability", examples=[-0.89]
    )


class TransitionRow(BaseModel):
    """The distribution of the character that follows another one at a position."""

    previous: str | None = Field(
        description="the character before the position; null for the start of the name",
        examples=["q"],
    )
    share: float = Field(
        description="probability of this character before the position, among the names that "
        "reach the position",
        examples=[0.02],
    )
    probabilities: list[float] = Field(
        description="probability of each of `characters` after this one",
        examples=[[0.06, 0.21, 0.73]],
    )


class TransitionsResponse(ConstraintsResponse):
    """Transition probabilities at a position, among the names that satisfy the constraints."""

    position: int = Field(description="number of characters before the position", examples=[2])
    reached: float = Field(
        description="probability that a name has at least `position` characters", examples=[0.98]
    )
    ended: float = Field(
        description="probability that a name has exactly `position` characters", examples=[0.03]
    )
    characters: list[str | None] = Field(
        description="characters that can follow: null for the end of the name, then the sorted "
        "characters",
        examples=[[None, "a", "u"]],
    )
    rows: list[TransitionRow] = Field(
        description="a row for each of `characters` that occurs before the position"
    )


class NextResponse(ModelResponse):
    """The distribution of the character after a prefix."""

    prefix: str = Field(description="the normalised prefix", examples=["em"])
    next: list[NextCharacter] = Field(
        description="every character that can follow in a normalised name, by descending "
        "probability"
    )


class Health(BaseModel):
    """State of the process."""

    status: str = Field(description="always alive", examples=["alive"])


class Readiness(BaseModel):
    """Readiness of the service for requests."""

    status: str = Field(description="always ready", examples=["ready"])
    detail: str | None = Field(
        None,
        description="checkpoint files that cannot be loaded, and why; absent if all are loaded",
        examples=["checkpoints/bigram.safetensors: not a complete safetensors file"],
    )
