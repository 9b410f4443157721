"""Checkpoint serialisation: a model with its provenance <-> one verified safetensors payload.

The metadata entries of the payload hold everything but the tensors as JSON, and the SHA-256 of
both, so that loading finds a flipped bit in either. The tensors are

weights: float32, (rows, tokens)
context_trie: int32, (n, 2), the extensions of a `ContextTrie`
position_contexts: int32, (n, 2), the pairs of `PositionContexts`
lexicon: uint16, (n,), the token stream of a `Lexicon`
percentiles: float32, (lengths, grid, 2), the quantile grids of a `PercentileTable`
"""

import hashlib
import json
import math
from reprlib import repr as shortened
from typing import Any, NamedTuple, TypeAlias

import numpy as np
import safetensors.numpy
from pydantic import TypeAdapter, ValidationError
from pydantic.dataclasses import dataclass as checked_dataclass
from safetensors import SafetensorError, deserialize

from models.arrays import array_dataclass
from models.errors import MonikerError
from models.linear.feature_map import MAX_CONTEXT_WEIGHTS, FeatureMap
from models.linear.features import ARCHITECTURES, MAX_TOKENS
from models.linear.model import LinearModel
from models.provenance import STRICT, Provenance
from models.scoring.percentile_table import GRID_SIZE, MAX_TABLE_LENGTH, PercentileTable
from models.text.lexicon import MAX_LEXICON_CHARACTERS, Lexicon
from models.text.normalization import CONTROL_CHARACTER
from models.text.vocabulary import Vocabulary

FORMAT = "moniker/7"
LENGTH_BYTES = 8  # a safetensors payload starts with the length of its header, little-endian
MAX_PAYLOAD_BYTES = 2**29  # almost twice the largest payload that training writes
MAX_HEADER_BYTES = 2**20  # 30 times the header of the largest vocabulary
MAX_ABSOLUTE_WEIGHT = 1_000_000  # with larger logits, probabilities lose their last digits
MAX_AXES = 3  # of a tensor


class TensorLimits(NamedTuple):
    """The type of a tensor, in numpy and in safetensors, and its maximum number of elements.

    Training writes no larger tensor. The limit is checked first: it bounds the time and memory
    of all later checks.
    """

    dtype: type[np.number[Any]]
    code: str
    max_size: int


TENSORS = {
    "weights": TensorLimits(np.float32, "F32", MAX_TOKENS**2 + MAX_CONTEXT_WEIGHTS),
    "context_trie": TensorLimits(np.int32, "I32", MAX_CONTEXT_WEIGHTS),
    "position_contexts": TensorLimits(np.int32, "I32", MAX_CONTEXT_WEIGHTS),
    "lexicon": TensorLimits(np.uint16, "U16", MAX_LEXICON_CHARACTERS),
    "percentiles": TensorLimits(np.float32, "F32", MAX_TABLE_LENGTH * GRID_SIZE * 2),
}

Tensors: TypeAlias = dict[str, np.ndarray[Any, Any]]
Views: TypeAlias = dict[str, dict[str, Any]]  # type, shape and bytes of each tensor


class CheckpointError(MonikerError):
    """The payload is not a valid checkpoint; the message is one line."""


@checked_dataclass(frozen=True, config=STRICT)
class Metadata:
    """Everything in a checkpoint but its tensors: the JSON object at the key `facts`."""

    architecture: str
    characters: str
    keep_case: bool
    turkish: bool
    positions: int
    provenance: Provenance


METADATA = TypeAdapter(Metadata)


@array_dataclass
class Checkpoint:
    """A model and everything that is stored with it.

    lexicon: the distinct names of the training list
    percentiles: of the log-likelihoods of names that the model generates
    digest: SHA-256 of metadata and tensors, 64 hex digits
    """

    model: LinearModel
    provenance: Provenance
    lexicon: Lexicon
    percentiles: PercentileTable
    digest: str

    @property
    def version(self) -> str:
        """The first 12 hex digits of the digest, which identify the checkpoint in replies."""
        return self.digest[:12]


def dump(
    model: LinearModel, provenance: Provenance, lexicon: Lexicon, percentiles: PercentileTable
) -> bytes:
    """Return the payload of a checkpoint; the lexicon uses the vocabulary of the model."""
    feature_map, vocabulary = model.feature_map, model.vocabulary
    position_contexts = feature_map.position_contexts
    metadata = Metadata(
        architecture=feature_map.architecture,
        characters=vocabulary.characters,
        keep_case=vocabulary.keep_case,
        turkish=vocabulary.turkish,
        positions=feature_map.positions,
        provenance=provenance,
    )
    tensors: Tensors = {
        "weights": model.weights,
        "context_trie": position_contexts.trie.extensions.astype(np.int32),
        "position_contexts": position_contexts.pairs.astype(np.int32),
        "lexicon": lexicon.stream.astype(np.uint16),
        "percentiles": percentiles.grid.astype(np.float32),
    }
    tensors = {name: np.ascontiguousarray(tensor) for name, tensor in tensors.items()}
    text = METADATA.dump_json(metadata).decode()
    entries = {"format": FORMAT, "facts": text, "sha256": _digest(text, tensors)}
    return safetensors.numpy.save(tensors, entries)


def load(payload: bytes) -> Checkpoint:
    """Return the checkpoint in a payload. Raises CheckpointError if it is not valid."""
    views, entries = _parse(payload)
    if not {"facts", "sha256"} <= entries.keys() or "weights" not in views:
        raise CheckpointError("not a checkpoint of moniker")
    if entries.get("format") != FORMAT:
        raise CheckpointError(f"not in the format {FORMAT}: train the model again")
    try:
        tensors = {name: _tensor(name, view) for name, view in views.items() if name in TENSORS}
        _check_digest(views, tensors, entries)
        metadata = METADATA.validate_json(entries["facts"])
        model = _model(metadata, tensors)
        lexicon = _lexicon(model.vocabulary, tensors["lexicon"])
        percentiles = _percentiles(tensors["percentiles"])
        return Checkpoint(model, metadata.provenance, lexicon, percentiles, entries["sha256"])
    except ValidationError as error:
        key = ".".join(map(str, error.errors()[0]["loc"]))
        raise CheckpointError(
            f"invalid metadata: wrong value at {shortened(key)}"
            if key
            else "invalid metadata: not a JSON object"
        ) from error
    except ValueError as error:
        raise CheckpointError(f"invalid: {error}") from error


def _parse(payload: bytes) -> tuple[Views, dict[str, str]]:
    """Return the tensors and the metadata entries of a safetensors payload."""
    length = int.from_bytes(payload[:LENGTH_BYTES], "little")
    if MAX_HEADER_BYTES < length < len(payload):
        raise CheckpointError(
            f"the header has {length:,} bytes; it must have at most {MAX_HEADER_BYTES:,}"
        )
    try:
        views = dict(deserialize(payload))  # type: ignore[no-untyped-call]
    except SafetensorError as error:
        raise CheckpointError("not a complete safetensors file") from error
    header = json.loads(payload[LENGTH_BYTES : LENGTH_BYTES + length])
    return views, header.get("__metadata__") or {}


def _tensor(name: str, view: dict[str, Any]) -> np.ndarray[Any, Any]:
    """Return the tensor. Raises ValueError if its type is wrong or its size over the limit."""
    limits, shape = TENSORS[name], view["shape"]
    if view["dtype"] != limits.code:
        raise ValueError(f"{name} must be {np.dtype(limits.dtype)}")
    # An empty tensor may claim any size, and a tensor with one element any number of axes.
    if len(shape) > MAX_AXES or max(math.prod(shape), *shape, 0) > limits.max_size:
        raise ValueError(f"{name} must have at most {limits.max_size:,} elements")
    return np.frombuffer(view["data"], limits.dtype).reshape(shape)


def _check_digest(views: Views, tensors: Tensors, entries: dict[str, str]) -> None:
    if views.keys() == TENSORS.keys() and _digest(entries["facts"], tensors) == entries["sha256"]:
        return
    raise CheckpointError("damaged: the content does not match its digest")


def _digest(text: str, tensors: Tensors) -> str:
    digest = hashlib.sha256(text.encode())
    for name in TENSORS:
        digest.update(f"{name}{tensors[name].shape}".encode() + tensors[name].tobytes())
    return digest.hexdigest()


def _model(metadata: Metadata, tensors: Tensors) -> LinearModel:
    """Return the model. Raises ValueError if tensors and metadata do not fit together."""
    if metadata.architecture not in ARCHITECTURES:
        raise ValueError(f"unknown architecture {shortened(metadata.architecture)}")
    if not np.abs(tensors["weights"]).max(initial=0) <= MAX_ABSOLUTE_WEIGHT:
        raise ValueError(f"weights must be finite and at most {MAX_ABSOLUTE_WEIGHT:,}")
    for name in ("context_trie", "position_contexts"):
        if tensors[name].shape[1:] != (2,):
            raise ValueError(f"{name} must have the shape (n, 2)")
    vocabulary = _vocabulary(metadata)
    feature_map = FeatureMap.from_arrays(
        metadata.architecture,
        len(vocabulary),
        metadata.positions,
        tensors["context_trie"].astype(np.intp),
        tensors["position_contexts"].astype(np.intp),
    )
    if feature_map.num_context_weights > MAX_CONTEXT_WEIGHTS:
        raise ValueError(f"the contexts must have at most {MAX_CONTEXT_WEIGHTS:,} weights")
    return LinearModel(feature_map, vocabulary, tensors["weights"])


def _vocabulary(metadata: Metadata) -> Vocabulary:
    """Return the vocabulary. Raises ValueError if no list of names can have it."""
    if (count := len(metadata.characters)) >= MAX_TOKENS:
        raise ValueError(f"{count:,} characters; a vocabulary has at most {MAX_TOKENS - 1:,}")
    if metadata.characters.isspace() or CONTROL_CHARACTER.search(metadata.characters):
        raise ValueError("the vocabulary has control characters, or white space alone")
    vocabulary = Vocabulary(metadata.characters, metadata.keep_case, metadata.turkish)
    # One by one: together, two characters could compose to one, but a name may have each alone.
    for character in metadata.characters:
        if vocabulary.normalize_part(character) != character:
            raise ValueError(f"U+{ord(character):04X} is in no normalised name")
    return vocabulary


def _lexicon(vocabulary: Vocabulary, stream: np.ndarray[Any, Any]) -> Lexicon:
    """Return the lexicon. Raises ValueError if the tensor does not hold sorted names."""
    if stream.ndim != 1:
        raise ValueError("lexicon must have one axis")
    return Lexicon(len(vocabulary), stream.astype(np.intp))


def _percentiles(grid: np.ndarray[Any, Any]) -> PercentileTable:
    """Return the table. Raises ValueError if the tensor does not hold quantile grids."""
    with np.errstate(invalid="ignore"):  # converting a signalling NaN warns; the table rejects it
        grid = grid.astype(np.float64)
    return PercentileTable(grid)
