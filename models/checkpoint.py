"""A fitted model and its record <-> one safetensors payload, verified by a digest.

The payload holds the tensor `weights` and, as metadata, everything else in JSON
with the SHA-256 of both: a flipped bit in either is found on loading.
"""

import hashlib
import json
from dataclasses import dataclass
from typing import Any

import numpy as np
import safetensors.numpy
from pydantic import ConfigDict, TypeAdapter, ValidationError
from pydantic.dataclasses import dataclass as checked_dataclass
from safetensors import SafetensorError

from models.features import ARCHITECTURES
from models.linear import LinearModel
from models.vocabulary import Vocabulary

FORMAT = "moniker/1"
LENGTH_BYTES = 8  # a safetensors payload begins with the length of its header, little-endian
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

    loss: of the last training step, penalty included, as the post reports it
    nll: of the training list under the finished model, in nats a character
    trained_at: UTC, ISO 8601
    trained_with: software -> version
    """

    recipe: str
    loss: float
    nll: float
    source: Source
    trained_at: str
    trained_with: dict[str, str]


@checked_dataclass(frozen=True, config=CHECKED)
class Facts:
    """All of a checkpoint but its weights."""

    architecture: str
    characters: str
    keep_case: bool
    positions: int
    record: Record


FACTS = TypeAdapter(Facts)


@dataclass(frozen=True, eq=False)
class Checkpoint:
    """A model, its record and the digest over both, 64 hex digits."""

    model: LinearModel
    record: Record
    digest: str


def dump(model: LinearModel, record: Record) -> bytes:
    """The payload of a checkpoint file."""
    characters, keep_case = model.vocabulary.characters, model.vocabulary.keep_case
    facts = Facts(model.architecture, characters, keep_case, model.positions, record)
    text = FACTS.dump_json(facts).decode()
    metadata = {"format": FORMAT, "facts": text, "sha256": _digest(text, model.weights)}
    return safetensors.numpy.save({"weights": model.weights}, metadata)


def load(payload: bytes) -> Checkpoint:
    """The checkpoint in a payload. Raises CheckpointError if anything about it is wrong."""
    tensors, metadata = _parse(payload)
    if not {"facts", "sha256"} <= metadata.keys() or "weights" not in tensors:
        raise CheckpointError("not one of moniker's checkpoints")
    if metadata.get("format") != FORMAT:
        raise CheckpointError(f"not in the format {FORMAT} that this version reads")
    digest = _digest(metadata["facts"], tensors["weights"])
    if digest != metadata["sha256"]:
        raise CheckpointError("damaged: the content does not match its digest")
    try:
        facts = FACTS.validate_json(metadata["facts"])
        return Checkpoint(_model(facts, tensors["weights"]), facts.record, digest)
    except ValidationError as error:
        where = ".".join(map(str, error.errors()[0]["loc"]))
        raise CheckpointError(f"wrong in its facts, at {where!r}") from error
    except ValueError as error:
        raise CheckpointError(f"wrong: {error}") from error


def _parse(payload: bytes) -> tuple[dict[str, np.ndarray[Any, Any]], dict[str, str]]:
    """Tensors and metadata of a safetensors payload."""
    try:
        tensors = safetensors.numpy.load(payload)
    except (SafetensorError, KeyError) as error:  # a KeyError is a type that numpy lacks
        raise CheckpointError("not a whole safetensors file") from error
    length = int.from_bytes(payload[:LENGTH_BYTES], "little")
    header = json.loads(payload[LENGTH_BYTES : LENGTH_BYTES + length])
    return tensors, header.get("__metadata__") or {}


def _model(facts: Facts, weights: np.ndarray[Any, Any]) -> LinearModel:
    """Raises ValueError if weights and facts do not make a model."""
    if facts.architecture not in ARCHITECTURES:
        raise ValueError(f"no architecture has the name {facts.architecture!r}")
    if weights.dtype != np.float32 or not np.isfinite(weights).all():
        raise ValueError("weights are to be finite and float32")
    vocabulary = Vocabulary(facts.characters, facts.keep_case)
    return LinearModel(facts.architecture, vocabulary, facts.positions, weights)


def _digest(facts: str, weights: np.ndarray[Any, Any]) -> str:
    # Type and shape of the weights need no digest: the facts leave them no choice.
    return hashlib.sha256(facts.encode() + weights.tobytes()).hexdigest()
