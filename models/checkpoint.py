"""A model and what is kept with it <-> one safetensors payload, verified.

The payload holds the tensors and, as metadata, everything else in JSON with the SHA-256
of both: a flipped bit in either is found on loading. The tensors are

weights: float32, (rows, tokens)
suffixes: int32, (n, 2), the known suffixes of more than one character, as in `ContextTrie`
places: int32, (n, 2), the suffixes known at a position, as in `PositionContexts`
names: uint16, (n,), the distinct names of the list, as in `Lexicon`
percentiles: float32, (lengths, GRID_SIZE, 2), as in `PercentileTable`
"""

import hashlib
import json
import math
import re
from reprlib import repr as shortened
from typing import Annotated, Any, NamedTuple, TypeAlias

import numpy as np
import safetensors.numpy
from pydantic import (
    AfterValidator,
    AwareDatetime,
    ConfigDict,
    Field,
    NonNegativeInt,
    TypeAdapter,
    ValidationError,
)
from pydantic.dataclasses import dataclass as checked_dataclass
from safetensors import SafetensorError, deserialize

from models.arrays import array_dataclass
from models.linear.feature_map import MAX_WEIGHTS, FeatureMap
from models.linear.features import ARCHITECTURES, MAX_TOKENS
from models.linear.model import LinearModel
from models.scoring.percentile_estimation import MAX_TABLE_LENGTH
from models.scoring.percentile_table import GRID_SIZE, PercentileTable
from models.text.lexicon import MAX_CHARACTERS, Lexicon
from models.text.vocabulary import Vocabulary

FORMAT = "moniker/6"
LENGTH_BYTES = 8  # a safetensors payload begins with the length of its header, little-endian
MAX_BYTES = 2**29  # of a payload: almost twice the largest that training makes
MAX_HEADER = 2**20  # bytes of it: the largest vocabulary takes a thirtieth
MAX_WEIGHT = 1_000_000
MAX_AXES = 3  # of a tensor
CONTROL_CHARACTER = re.compile(r"[\x00-\x1f\x7f-\x9f]")


class Kind(NamedTuple):
    """What a tensor is made of: a type, as safetensors calls it too, and so many at most.

    No training makes more. Time and memory are bounded by it before anything is checked.
    """

    dtype: type[np.number[Any]]
    code: str
    most: int


TENSORS = {
    "weights": Kind(np.float32, "F32", MAX_TOKENS**2 + MAX_WEIGHTS),
    "suffixes": Kind(np.int32, "I32", MAX_WEIGHTS),
    "places": Kind(np.int32, "I32", MAX_WEIGHTS),
    "names": Kind(np.uint16, "U16", MAX_CHARACTERS),
    "percentiles": Kind(np.float32, "F32", MAX_TABLE_LENGTH * GRID_SIZE * 2),
}
CHECKED = ConfigDict(extra="forbid", allow_inf_nan=False)


class CheckpointError(Exception):
    """A payload that is not a whole and sound checkpoint; the message is one line."""


@checked_dataclass(frozen=True, config=CHECKED)
class Source:
    """The list a model was trained on: its name, size and the SHA-256 of its text.

    lengths: how many names have 1, 2, ... characters, to MAX_TABLE_LENGTH at most
    """

    name: str
    names: int
    transitions: int
    sha256: str
    lengths: Annotated[list[NonNegativeInt], Field(max_length=MAX_TABLE_LENGTH)]


def _time(text: str) -> str:
    TypeAdapter(AwareDatetime).validate_python(text)
    return text


@checked_dataclass(frozen=True, config=CHECKED)
class Provenance:
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
    trained_at: Annotated[str, AfterValidator(_time)]
    trained_with: dict[str, str]


@checked_dataclass(frozen=True, config=CHECKED)
class Facts:
    """All of a checkpoint but its tensors."""

    architecture: str
    characters: str
    keep_case: bool
    turkish: bool
    positions: int
    record: Provenance


FACTS = TypeAdapter(Facts)
Tensors: TypeAlias = dict[str, np.ndarray[Any, Any]]
Views: TypeAlias = dict[str, dict[str, Any]]  # of tensors: their type, shape and bytes


@array_dataclass
class Checkpoint:
    """A model and what is kept with it, and the digest over all, 64 hex digits.

    roster: the names of its list
    percentiles: of the model's own names
    """

    model: LinearModel
    record: Provenance
    lexicon: Lexicon
    percentiles: PercentileTable
    digest: str

    @property
    def version(self) -> str:
        """What tells this checkpoint from others: the first 12 hex digits of its digest."""
        return self.digest[:12]


def dump(
    model: LinearModel, record: Provenance, lexicon: Lexicon, percentiles: PercentileTable
) -> bytes:
    """The payload of a checkpoint file; the roster is over the vocabulary of the model."""
    feature_map, vocabulary = model.feature_map, model.vocabulary
    facts = Facts(
        architecture=feature_map.name,
        characters=vocabulary.characters,
        keep_case=vocabulary.keep_case,
        turkish=vocabulary.turkish,
        positions=feature_map.positions,
        record=record,
    )
    trie, position_contexts = (
        feature_map.position_contexts.trie.extensions,
        feature_map.position_contexts.pairs,
    )
    tensors: Tensors = {
        "weights": model.weights,
        "suffixes": trie.astype(np.int32),
        "places": position_contexts.astype(np.int32),
        "names": lexicon.stream.astype(np.uint16),
        "percentiles": percentiles.grid.astype(np.float32),
    }
    tensors = {name: np.ascontiguousarray(tensor) for name, tensor in tensors.items()}
    text = FACTS.dump_json(facts).decode()
    metadata = {"format": FORMAT, "facts": text, "sha256": _digest(text, tensors)}
    return safetensors.numpy.save(tensors, metadata)


def load(payload: bytes) -> Checkpoint:
    """The checkpoint in a payload. Raises CheckpointError if anything about it is wrong."""
    views, metadata = _parse(payload)
    if not {"facts", "sha256"} <= metadata.keys() or "weights" not in views:
        raise CheckpointError("not one of moniker's checkpoints")
    if metadata.get("format") != FORMAT:
        raise CheckpointError(f"not in the format {FORMAT} that this version reads")
    try:
        tensors = {name: _tensor(name, view) for name, view in views.items() if name in TENSORS}
        if (
            views.keys() != TENSORS.keys()
            or _digest(metadata["facts"], tensors) != metadata["sha256"]
        ):
            raise CheckpointError("damaged: the content does not match its digest")
        facts = FACTS.validate_json(metadata["facts"])
        model = _model(facts, tensors)
        lexicon = _roster(model.vocabulary, tensors["names"])
        percentiles = _percentiles(tensors["percentiles"])
        return Checkpoint(model, facts.record, lexicon, percentiles, metadata["sha256"])
    except ValidationError as error:
        where = ".".join(map(str, error.errors()[0]["loc"]))
        at = f"at {shortened(where)}" if where else "which are not a JSON object"
        raise CheckpointError(f"wrong in its facts, {at}") from error
    except ValueError as error:
        raise CheckpointError(f"wrong: {error}") from error


def _parse(payload: bytes) -> tuple[Views, dict[str, str]]:
    """What is in a safetensors payload, and its metadata."""
    length = int.from_bytes(payload[:LENGTH_BYTES], "little")
    if MAX_HEADER < length < len(payload):
        raise CheckpointError(f"its header takes {length:,} bytes, {MAX_HEADER:,} at most")
    try:
        views = dict(deserialize(payload))  # type: ignore[no-untyped-call]
    except SafetensorError as error:
        raise CheckpointError("not a whole safetensors file") from error
    header = json.loads(payload[LENGTH_BYTES : LENGTH_BYTES + length])
    return views, header.get("__metadata__") or {}


def _tensor(name: str, view: dict[str, Any]) -> np.ndarray[Any, Any]:
    """Raises ValueError if it is not of its type or too large."""
    kind, shape = TENSORS[name], view["shape"]
    if view["dtype"] != kind.code:
        raise ValueError(f"{name} are to be {np.dtype(kind.dtype)}")
    # An empty tensor may claim any size, and one of a single value any number of axes.
    if len(shape) > MAX_AXES or max(math.prod(shape), *shape, 0) > kind.most:
        raise ValueError(f"more {name} than a checkpoint has, {kind.most:,} at most")
    return np.frombuffer(view["data"], kind.dtype).reshape(shape)


def _model(facts: Facts, tensors: Tensors) -> LinearModel:
    """Raises ValueError if tensors and facts do not make a model."""
    if facts.architecture not in ARCHITECTURES:
        raise ValueError(f"no architecture has the name {shortened(facts.architecture)}")
    # Larger weights than any training makes: probabilities would lose their last digits.
    if not np.abs(tensors["weights"]).max(initial=0) <= MAX_WEIGHT:
        raise ValueError(f"weights are to be finite and at most {MAX_WEIGHT:,}")
    for name in ("suffixes", "places"):
        if tensors[name].shape[1:] != (2,):
            raise ValueError(f"{name} are to be pairs")
    vocabulary = _vocabulary(facts)
    feature_map = FeatureMap.of(
        facts.architecture,
        len(vocabulary),
        facts.positions,
        tensors["suffixes"].astype(np.intp),
        tensors["places"].astype(np.intp),
    )
    if feature_map.num_context_weights > MAX_WEIGHTS:
        raise ValueError(f"it knows more than {MAX_WEIGHTS:,} weights have room for")
    return LinearModel(feature_map, vocabulary, tensors["weights"])


def _vocabulary(facts: Facts) -> Vocabulary:
    """Raises ValueError if there is no such vocabulary, or if no list of names has it."""
    if len(facts.characters) >= MAX_TOKENS:
        count = len(facts.characters)
        raise ValueError(f"{count:,} different characters, a model takes {MAX_TOKENS - 1:,}")
    if facts.characters.isspace() or CONTROL_CHARACTER.search(facts.characters):
        raise ValueError("a vocabulary of white space alone, or with control characters")
    vocabulary = Vocabulary(facts.characters, facts.keep_case, facts.turkish)
    # One by one: of two that compose each is still a character of some name.
    for character in facts.characters:
        if vocabulary.fold(character) != character:
            raise ValueError(
                f"no name is read with U+{ord(character):04X}, which is in its vocabulary"
            )
    return vocabulary


def _roster(vocabulary: Vocabulary, names: np.ndarray[Any, Any]) -> Lexicon:
    """Raises ValueError if the tensor does not hold names over this vocabulary."""
    if names.ndim != 1:
        raise ValueError("names are to be in one row")
    return Lexicon(len(vocabulary), names.astype(np.intp))


def _percentiles(grid: np.ndarray[Any, Any]) -> PercentileTable:
    """Raises ValueError if the tensor does not hold the laws of log-likelihoods."""
    with np.errstate(invalid="ignore"):  # a signalling NaN warns here: it is refused like any
        grid = grid.astype(np.float64)
    return PercentileTable(grid)


def _digest(facts: str, tensors: Tensors) -> str:
    digest = hashlib.sha256(facts.encode())
    for name in TENSORS:
        digest.update(f"{name}{tensors[name].shape}".encode() + tensors[name].tobytes())
    return digest.hexdigest()
