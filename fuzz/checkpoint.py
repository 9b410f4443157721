"""Checkpoints, sealed again after each change: refused with a reason, or a model that works.

Most inputs would end at the digest, so that they are changed part by part.
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

LONGEST = 8  # characters of the names that are drawn
MOST = 20_000  # bytes of a checkpoint
DTYPES = {code: dtype for dtype, code in CODES.items()}
NAMES = ["aaa", "ab", "abc", "bacab", "cabba"]
Mutate = Callable[[bytes, int], bytes]

# What is put in place of a fact, and of a number in a tensor or in a shape.
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
    """A small checkpoint of each architecture."""
    letters = Vocabulary("abc")
    counts = count(transitions(letters.encode(NAMES), order=4, positions=3))
    knots = np.column_stack([np.linspace(-40, -5, KNOTS), np.linspace(-20, -0.5, KNOTS)])
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
    """Load a checkpoint; what can be loaded can be used."""
    try:
        checkpoint = load(payload)
    except CheckpointError as error:
        _is_a_line(str(error))
        return
    vocabulary = checkpoint.model.vocabulary
    chain = compile_chain(checkpoint.model)
    drawn = Sampler(condition(chain, Constraints(LONGEST))).draw(2, np.random.default_rng(0))
    for name in drawn:
        assert 1 <= len(name) <= LONGEST
        assert set(name) <= set(vocabulary.characters)
        assert vocabulary.normalize(name) == name
    for score in Scorer(chain, checkpoint.percentiles).score(drawn):
        assert score.log_likelihood is not None
        assert score.percentile is not None
        assert math.isfinite(score.log_likelihood)
        assert 0 <= score.percentile <= 1


def _is_a_line(message: str) -> None:
    assert message.isprintable()
    assert len(message) < 5_000


def mutated(mutate: Mutate, data: bytes, most: int, seed: int) -> bytes:
    """The payload with something changed, and sealed again if it still has parts."""
    random = Random(seed)
    if random.random() < 0.7 and not _loads(data):
        data = random.choice(seeds())  # what is refused already says little more when changed
    try:
        parts = Parts.of(data)
        for change in random.choices(CHANGES, OFTEN, k=random.choice([1, 1, 2, 4])):
            change(parts, mutate, random)
        changed = parts.seal()
    except (ValueError, TypeError, LookupError, ArithmeticError, AttributeError, RecursionError):
        return mutate(data, most)  # it is in pieces already
    if random.random() < 0.1:
        changed = mutate(changed, most)
    return changed if len(changed) <= most else data


def _loads(payload: bytes) -> bool:
    try:
        load(payload)
    except CheckpointError:
        return False
    return True


def _change_fact(parts: Parts, mutate: Mutate, random: Random) -> None:
    """One of the facts becomes another value."""
    facts = json.loads(parts.metadata["facts"])
    where = facts
    key = random.choice(sorted(facts))
    while isinstance(where[key], dict) and where[key] and random.random() < 0.8:
        where, key = where[key], random.choice(sorted(where[key]))
    if isinstance(where[key], str) and random.random() < 0.5:
        letters = mutate(where[key].encode(), 60).decode(errors="replace")
        where[key] = "".join(sorted(set(letters))) if key == "characters" else letters
    else:
        same = [fact for fact in FACTS if type(fact) is type(where[key])]
        where[key] = random.choice(same if same and random.random() < 0.7 else FACTS)
    parts.metadata["facts"] = json.dumps(facts)


def _change_text(parts: Parts, mutate: Mutate, random: Random) -> None:
    """The text of the facts, or of other metadata, is no longer what it was."""
    key = random.choice(["facts", "facts", "format"])
    parts.metadata[key] = mutate(parts.metadata[key].encode(), 2_000).decode(errors="replace")


def _change_tensor(parts: Parts, mutate: Mutate, random: Random) -> None:
    """Some numbers of a tensor are others; or it has more or fewer rows."""
    name = random.choice(sorted(parts.tensors))
    tensor = parts.tensors[name]
    dtype = np.dtype(DTYPES[tensor.code])
    row = math.prod(tensor.shape[1:])
    if not 0 < row < MOST:
        raise ValueError("rows of nothing, or of more than there is")
    values = np.frombuffer(tensor.content, dtype).reshape(tensor.shape).copy()
    way = random.randrange(4)
    if way == 0 and values.size:
        number = random.choice(
            FLOATS if dtype.kind == "f" else [n for n in NUMBERS if n >= 0 or dtype.kind == "i"]
        )
        most = 2**16 - 1 if dtype.itemsize == 2 else number
        values.ravel()[random.randrange(values.size)] = min(number, most)
    elif way == 1 and values.ndim:
        rows = random.randrange(2 * len(values) + 2)
        values = np.resize(values, (rows, *values.shape[1:]))
    elif way == 2 and values.ndim:
        values = np.insert(values, random.randrange(len(values) + 1), 1, axis=0)
    else:
        content = mutate(tensor.content, len(tensor.content) + 16)
        content = content[: len(content) // (row * dtype.itemsize) * row * dtype.itemsize]
        values = np.frombuffer(content, dtype).reshape(-1, *tensor.shape[1:])
    parts.tensors[name] = Tensor.of(values)


def _change_claim(parts: Parts, mutate: Mutate, random: Random) -> None:
    """The header says something else of a tensor."""
    tensor = parts.tensors[random.choice(sorted(parts.tensors))]
    way = random.randrange(4)
    if way == 0:
        tensor.code = random.choice(
            ["F32", "F64", "I32", "U16", "I64", "BF16", "F8_E4M3", "C64", "BOOL"]
        )
    elif way == 1:
        tensor.shape = tensor.shape[::-1]
    elif way == 2:
        tensor.shape = [*tensor.shape, 1][-random.randrange(1, 80) :] * random.choice([1, 1, 1, 40])
    elif tensor.shape:
        tensor.shape[random.randrange(len(tensor.shape))] = random.choice(
            [0, 1, 2, 2**31, 2**63, 2**64 - 1]
        )


CHANGES = [_change_fact, _change_text, _change_tensor, _change_claim]
OFTEN = [4, 1, 10, 1]
