"""Provenance of a model: the list, the recipe and the software it was trained with."""

from typing import Annotated

from pydantic import AfterValidator, AwareDatetime, ConfigDict, Field, NonNegativeInt, TypeAdapter
from pydantic.dataclasses import dataclass as checked_dataclass

from models.scoring.percentile_table import MAX_TABLE_LENGTH
from models.text.lexicon import Lexicon

STRICT = ConfigDict(extra="forbid", allow_inf_nan=False)
MIN_TRAINING_NAMES = 20  # a model of a shorter list has a warning


@checked_dataclass(frozen=True, config=STRICT)
class TrainingList:
    """The list of names that a model was trained on.

    names, transitions: their number; a transition is a character or the end of a name
    sha256: of the text of the list, 64 hex digits
    lengths: the number of names of 1, 2, ... characters, up to MAX_TABLE_LENGTH
    """

    name: str
    names: int
    transitions: int
    sha256: str
    lengths: Annotated[list[NonNegativeInt], Field(max_length=MAX_TABLE_LENGTH)]


def _check_time(text: str) -> str:
    TypeAdapter(AwareDatetime).validate_python(text)
    return text


@checked_dataclass(frozen=True, config=STRICT)
class Provenance:
    """How a model was trained.

    penalty: L2 weight in the loss, in the units of the recipe
    loss: at the last evaluation by the fit, penalty included, in nats per character
    nll: mean negative log-likelihood of the list under the finished model, in nats per character
    trained_at: ISO 8601 with a time zone; training writes UTC
    trained_with: version of each software package
    """

    recipe: str
    penalty: float
    loss: float
    nll: float
    source: TrainingList
    trained_at: Annotated[str, AfterValidator(_check_time)]
    trained_with: dict[str, str]


def size_warnings(source: TrainingList, lexicon: Lexicon) -> list[str]:
    """Return a one-sentence warning if the list has fewer than MIN_TRAINING_NAMES names, else [].

    Counts distinct names, or all names if the distinct ones are not known, as with a table of
    counts.
    """
    names = len(lexicon) if lexicon.known else source.names
    if names >= MIN_TRAINING_NAMES:
        return []
    kind = "distinct name" if lexicon.known else "name"
    number = f"{names} {kind}{'' if names == 1 else 's'}"
    return [
        f"trained on {number}: with fewer than {MIN_TRAINING_NAMES} a model mostly repeats them"
    ]
