"""A model and what is kept with it <-> one safetensors payload, verified.

The payload holds the tensors and, as metadata, everything else in JSON with the SHA-256
of both: a flipped bit in either is found on loading. The tensors are

weights: float32, (rows, tokens)
suffixes: int32, (n, 2), the known suffixes of more than one character, as in `Suffixes`
places: int32, (n, 2), the suffixes known at a position, as in `Places`
names: uint16, (n,), the distinct names of the list, as in `Roster`
percentiles: float32, (lengths, knots, 2), the laws of log-likelihoods, as in `Percentiles`
"""

import hashlib
import json
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
import safetensors.numpy
from pydantic import ConfigDict, TypeAdapter, ValidationError
from pydantic.dataclasses import dataclass as checked_dataclass
from safetensors import SafetensorError

from models.features import ARCHITECTURES
from models.layout import Layout
from models.linear import LinearModel
from models.percentiles import Percentiles
from models.roster import Roster
from models.vocabulary import Vocabulary

FORMAT = "moniker/4"
LENGTH_BYTES = 8  # a safetensors payload begins with the length of its header, little-endian
MAX_WEIGHT = 1_000_000
TENSORS = {
    "weights": np.float32,
    "suffixes": np.int32,
    "places": np.int32,
    "names": np.uint16,
    "percentiles": np.float32,
}
CHECKED = ConfigDict(extra="forbid", allow_inf_nan=False)


class CheckpointError(Exception):
    """A payload that is not a whole and sound checkpoint; the message is one line."""


@checked_dataclass(frozen=True, config=CHECKED)
class Source:
    """The list a model was trained on: its name, size and the SHA-256 of its text."""

    name: str
    names: int
    transitions: int
    sha256: str


@checked_dataclass(frozen=True, config=CHECKED)
class Record:
    """How a model came about.

    penalty: weight of the squares of the weights in the loss, as the recipe counts it
    loss: of the last training step, penalty included, as the post reports it
    nll: of the training list under the finished model, in nats a character
    trained_at: UTC, ISO 8601
    trained_with: software -> version
    """

    recipe: str
    penalty: float
    loss: float
    nll: float
    source: Source
    trained_at: str
    trained_with: dict[str, str]


@checked_dataclass(frozen=True, config=CHECKED)
class Facts:
    """All of a checkpoint but its tensors."""

    architecture: str
    characters: str
    keep_case: bool
    positions: int
    record: Record


FACTS = TypeAdapter(Facts)
Tensors: TypeAlias = dict[str, np.ndarray[Any, Any]]


@dataclass(frozen=True, eq=False)
class Checkpoint:
    """A model and what is kept with it, and the digest over all, 64 hex digits.

    roster: the names of its list
    percentiles: of the model's own names
    """

    model: LinearModel
    record: Record
    roster: Roster
    percentiles: Percentiles
    digest: str


def dump(model: LinearModel, record: Record, roster: Roster, percentiles: Percentiles) -> bytes:
    """The payload of a checkpoint file; the roster is over the vocabulary of the model."""
    characters, keep_case = model.vocabulary.characters, model.vocabulary.keep_case
    layout = model.layout
    facts = Facts(layout.name, characters, keep_case, layout.positions, record)
    suffixes, places = layout.places.suffixes.longer, layout.places.pairs
    tensors: Tensors = {
        "weights": model.weights,
        "suffixes": suffixes.astype(np.int32),
        "places": places.astype(np.int32),
        "names": roster.stream.astype(np.uint16),
        "percentiles": percentiles.knots.astype(np.float32),
    }
    text = FACTS.dump_json(facts).decode()
    metadata = {"format": FORMAT, "facts": text, "sha256": _digest(text, tensors)}
    return safetensors.numpy.save(tensors, metadata)


def load(payload: bytes) -> Checkpoint:
    """The checkpoint in a payload. Raises CheckpointError if anything about it is wrong."""
    tensors, metadata = _parse(payload)
    if not {"facts", "sha256"} <= metadata.keys() or "weights" not in tensors:
        raise CheckpointError("not one of moniker's checkpoints")
    if metadata.get("format") != FORMAT:
        raise CheckpointError(f"not in the format {FORMAT} that this version reads")
    if (
        tensors.keys() != TENSORS.keys()
        or _digest(metadata["facts"], tensors) != metadata["sha256"]
    ):
        raise CheckpointError("damaged: the content does not match its digest")
    try:
        facts = FACTS.validate_json(metadata["facts"])
        model = _model(facts, tensors)
        roster = _roster(model.vocabulary, tensors["names"])
        percentiles = Percentiles(tensors["percentiles"].astype(np.float64))
        return Checkpoint(model, facts.record, roster, percentiles, metadata["sha256"])
    except ValidationError as error:
        where = ".".join(map(str, error.errors()[0]["loc"]))
        raise CheckpointError(f"wrong in its facts, at {where!r}") from error
    except ValueError as error:
        raise CheckpointError(f"wrong: {error}") from error


def _parse(payload: bytes) -> tuple[Tensors, dict[str, str]]:
    """Tensors and metadata of a safetensors payload."""
    try:
        tensors = safetensors.numpy.load(payload)
    except (SafetensorError, KeyError) as error:  # a KeyError is a type that numpy lacks
        raise CheckpointError("not a whole safetensors file") from error
    length = int.from_bytes(payload[:LENGTH_BYTES], "little")
    header = json.loads(payload[LENGTH_BYTES : LENGTH_BYTES + length])
    return tensors, header.get("__metadata__") or {}


def _model(facts: Facts, tensors: Tensors) -> LinearModel:
    """Raises ValueError if tensors and facts do not make a model."""
    if facts.architecture not in ARCHITECTURES:
        raise ValueError(f"no architecture has the name {facts.architecture!r}")
    if facts.characters.isspace() or "\0" in facts.characters:
        raise ValueError("a vocabulary of white space alone, or with NUL, has no names")
    # Larger weights than any training makes: probabilities would lose their last digits.
    if not np.abs(tensors["weights"]).max(initial=0) <= MAX_WEIGHT:
        raise ValueError(f"weights are to be finite and at most {MAX_WEIGHT:,}")
    for name, dtype in TENSORS.items():
        if tensors[name].dtype != dtype:
            raise ValueError(f"{name} are to be {np.dtype(dtype)}")
        if dtype == np.int32 and tensors[name].shape[1:] != (2,):
            raise ValueError(f"{name} are to be pairs")
    vocabulary = Vocabulary(facts.characters, facts.keep_case)
    layout = Layout.of(
        facts.architecture,
        len(vocabulary),
        facts.positions,
        tensors["suffixes"].astype(np.intp),
        tensors["places"].astype(np.intp),
    )
    return LinearModel(layout, vocabulary, tensors["weights"])


def _roster(vocabulary: Vocabulary, names: np.ndarray[Any, Any]) -> Roster:
    """Raises ValueError if the tensor does not hold names over this vocabulary."""
    if names.ndim != 1:
        raise ValueError("names are to be in one row")
    return Roster(len(vocabulary), names.astype(np.intp))


def _digest(facts: str, tensors: Tensors) -> str:
    digest = hashlib.sha256(facts.encode())
    for name in TENSORS:
        digest.update(f"{name}{tensors[name].shape}".encode() + tensors[name].tobytes())
    return digest.hexdigest()
