"""Fuzz target: a checkpoint raises CheckpointError, or its model can sample and score.

Without a custom mutator most inputs would fail at the digest. So the mutator changes the parts of
a checkpoint and computes the digest again.
"""

import json
import math
from collections.abc import Callable
from functools import cache
from random import Random
from typing import Any

import numpy as np

from fuzz.sealing import CODES, Parts, Tensor
from models.chain.conditioning import condition
from models.chain.markov_chain import compile_chain
from models.checkpoint import CheckpointError, dump, load
from models.constraints.constraints import Constraints
from models.counts.context_counts import count
from models.counts.transitions import transitions
from models.linear.feature_map import FeatureMap
from models.linear.features import ARCHITECTURES
from models.linear.model import LinearModel
from models.provenance import Provenance, TrainingList
from models.queries.sampling import Sampler
from models.scoring.percentile_table import GRID_SIZE, PercentileTable
from models.scoring.score import Scorer
from models.text.lexicon import Lexicon
from models.text.vocabulary import Vocabulary

MAX_LENGTH = 8  # characters of the sampled names
MAX_BYTES = 20_000  # of a checkpoint
DTYPES = {code: dtype for dtype, code in CODES.items()}
NAMES = ["aaa", "ab", "abc", "bacab", "cabba"]
Mutate = Callable[[bytes, int], bytes]

# Replacements of a fact, and of a number of a tensor or of a shape.
FACTS: list[Any] = [
    None, True, False, -1, 0, 1, 2, 255, 256, 257, 2**31, 2**63, 10**400, 0.5, -0.0, 1e308,
    "", "a", "A", "abc", "abd", "aéé", "\n", "\x00", " ", " a", "e\u0301", "\u212a", "\u0301",
    "ß", "İ", "\u1100\u1161\u11a8",
    "\ufffe", "\U0001f600", *ARCHITECTURES, [], {}, [[]], {"a": 1},
]  # fmt: skip
NUMBERS = [-(2**31), -1, 0, 1, 2, 3, 4, 5, 6, 7, 255, 65535, 2**31 - 1]
FLOATS = [0.0, -0.0, 1e-45, -1e-38, 1.0, -1.0, 1e6, -1e6, 1.1e6, 3e38, -3e38, math.inf, math.nan]


@cache
def seeds() -> list[bytes]:
    """Return a small checkpoint of each architecture."""
    letters = Vocabulary("abc")
    counts = count(transitions(letters.encode(NAMES), order=4, positions=3))
    knots = np.column_stack([np.linspace(-40, -5, GRID_SIZE), np.linspace(-20, -0.5, GRID_SIZE)])
    provenance = Provenance(
        "post",
        0.01,
        2.5,
        2.4,
        TrainingList("list", 5, 20, "0" * 64, [0, 5]),
        "2026-01-31T12:00:00Z",
        {},
    )
    payloads = []
    for name in ARCHITECTURES:
        feature_map = FeatureMap.from_counts(name, len(letters), 3, counts)
        weights = np.random.default_rng(5).normal(size=feature_map.shape).astype(np.float32)
        model = LinearModel(feature_map, letters, weights)
        payloads.append(
            dump(model, provenance, Lexicon.of(letters, NAMES), PercentileTable(knots[np.newaxis]))
        )
    return payloads


def check(payload: bytes) -> None:
    """Check that a checkpoint is rejected, or that its model samples and scores names."""
    try:
        checkpoint = load(payload)
    except CheckpointError as error:
        _check_message(str(error))
        return
    vocabulary = checkpoint.model.vocabulary
    chain = compile_chain(checkpoint.model)
    names = Sampler(condition(chain, Constraints(MAX_LENGTH))).draw(2, np.random.default_rng(0))
    for name in names:
        assert 1 <= len(name) <= MAX_LENGTH
        assert set(name) <= set(vocabulary.characters)
        assert vocabulary.normalize(name) == name
    for score in Scorer(chain, checkpoint.percentiles).score(names):
        assert score.log_likelihood is not None
        assert score.percentile is not None
        assert math.isfinite(score.log_likelihood)
        assert 0 <= score.percentile <= 1


def _check_message(message: str) -> None:
    assert message.isprintable()
    assert len(message) < 5_000


def mutate(mutate_bytes: Mutate, data: bytes, max_bytes: int, seed: int) -> bytes:
    """Return the payload with random changes, and a matching digest if its parts can be read."""
    random = Random(seed)
    if random.random() < 0.7 and not _loads(data):
        data = random.choice(seeds())  # changes to an invalid payload rarely reach new code
    try:
        parts = Parts.of(data)
        for change in random.choices(CHANGES, FREQUENCIES, k=random.choice([1, 1, 2, 4])):
            change(parts, mutate_bytes, random)
        changed = parts.seal()
    except (ValueError, TypeError, LookupError, ArithmeticError, AttributeError, RecursionError):
        return mutate_bytes(data, max_bytes)  # its parts cannot be read
    if random.random() < 0.1:
        changed = mutate_bytes(changed, max_bytes)
    return changed if len(changed) <= max_bytes else data


def _loads(payload: bytes) -> bool:
    try:
        load(payload)
    except CheckpointError:
        return False
    return True


def _change_fact(parts: Parts, mutate_bytes: Mutate, random: Random) -> None:
    """Replace the value of a fact."""
    facts = json.loads(parts.metadata["facts"])
    parent = facts
    key = random.choice(sorted(facts))
    while isinstance(parent[key], dict) and parent[key] and random.random() < 0.8:
        parent, key = parent[key], random.choice(sorted(parent[key]))
    if isinstance(parent[key], str) and random.random() < 0.5:
        letters = mutate_bytes(parent[key].encode(), 60).decode(errors="replace")
        parent[key] = "".join(sorted(set(letters))) if key == "characters" else letters
    else:
        same_type = [fact for fact in FACTS if type(fact) is type(parent[key])]
        parent[key] = random.choice(same_type if same_type and random.random() < 0.7 else FACTS)
    parts.metadata["facts"] = json.dumps(facts)


def _change_text(parts: Parts, mutate_bytes: Mutate, random: Random) -> None:
    """Change the bytes of the facts or of the format."""
    key = random.choice(["facts", "facts", "format"])
    parts.metadata[key] = mutate_bytes(parts.metadata[key].encode(), 2_000).decode(errors="replace")


def _change_tensor(parts: Parts, mutate_bytes: Mutate, random: Random) -> None:
    """Change numbers of a tensor, or its number of rows."""
    name = random.choice(sorted(parts.tensors))
    tensor = parts.tensors[name]
    dtype = np.dtype(DTYPES[tensor.code])
    row = math.prod(tensor.shape[1:])
    if not 0 < row < MAX_BYTES:
        raise ValueError("rows are empty, or longer than the payload")
    values = np.frombuffer(tensor.content, dtype).reshape(tensor.shape).copy()
    method = random.randrange(4)
    if method == 0 and values.size:
        number = random.choice(
            FLOATS if dtype.kind == "f" else [n for n in NUMBERS if n >= 0 or dtype.kind == "i"]
        )
        maximum = 2**16 - 1 if dtype.itemsize == 2 else number
        values.ravel()[random.randrange(values.size)] = min(number, maximum)
    elif method == 1 and values.ndim:
        rows = random.randrange(2 * len(values) + 2)
        values = np.resize(values, (rows, *values.shape[1:]))
    elif method == 2 and values.ndim:
        values = np.insert(values, random.randrange(len(values) + 1), 1, axis=0)
    else:
        content = mutate_bytes(tensor.content, len(tensor.content) + 16)
        content = content[: len(content) // (row * dtype.itemsize) * row * dtype.itemsize]
        values = np.frombuffer(content, dtype).reshape(-1, *tensor.shape[1:])
    parts.tensors[name] = Tensor.of(values)


def _change_header(parts: Parts, mutate_bytes: Mutate, random: Random) -> None:
    """Change the data type or the shape of a tensor in the header."""
    tensor = parts.tensors[random.choice(sorted(parts.tensors))]
    method = random.randrange(4)
    if method == 0:
        tensor.code = random.choice(
            ["F32", "F64", "I32", "U16", "I64", "BF16", "F8_E4M3", "C64", "BOOL"]
        )
    elif method == 1:
        tensor.shape = tensor.shape[::-1]
    elif method == 2:
        tensor.shape = [*tensor.shape, 1][-random.randrange(1, 80) :] * random.choice([1, 1, 1, 40])
    elif tensor.shape:
        tensor.shape[random.randrange(len(tensor.shape))] = random.choice(
            [0, 1, 2, 2**31, 2**63, 2**64 - 1]
        )


CHANGES = [_change_fact, _change_text, _change_tensor, _change_header]
FREQUENCIES = [4, 1, 10, 1]  # of the changes, relative
