import json
import math
import pickle
from dataclasses import asdict

import numpy as np
import pytest
import safetensors.numpy
from numpy.typing import ArrayLike, NDArray

import models.checkpoint
from fuzz.sealing import Parts
from models.checkpoint import Checkpoint, CheckpointError, Metadata, dump, load
from models.linear.feature_map import FeatureMap
from models.linear.features import MAX_TOKENS
from models.linear.model import LinearModel
from models.provenance import Provenance, TrainingList
from models.scoring.percentile_table import GRID_SIZE, PercentileTable
from models.text.lexicon import Lexicon
from models.text.normalization import normalize
from models.text.vocabulary import Vocabulary

PROVENANCE = Provenance(
    recipe="post",
    penalty=0.01,
    loss=2.5,
    nll=2.4,
    source=TrainingList(
        name="list.txt", names=3, transitions=12, sha256="0" * 64, lengths=[0, 0, 3]
    ),
    trained_at="2026-01-31T12:00:00+00:00",
    trained_with={"moniker": "0.1.0"},
)


NONE = np.empty((0, 2), dtype=np.intp)
LEXICON = Lexicon.of(Vocabulary("abc"), ["ab", "abc", "cab"])
EMPTY_LEXICON = Lexicon.of(Vocabulary("abc"), [])
KNOTS_OF_LENGTH_1 = np.column_stack(
    [np.linspace(-40, -5, GRID_SIZE), np.linspace(-20, -0.5, GRID_SIZE)]
)
PERCENTILES = PercentileTable(np.array([KNOTS_OF_LENGTH_1]))


@pytest.fixture
def payload(small_model: LinearModel) -> bytes:
    return dump(small_model, PROVENANCE, LEXICON, PERCENTILES)


def equal(first: Checkpoint, second: Checkpoint) -> bool:
    return (
        first.digest == second.digest
        and first.provenance == second.provenance
        and np.array_equal(first.model.weights, second.model.weights)
        and np.array_equal(first.lexicon.stream, second.lexicon.stream)
        and first.model.vocabulary == second.model.vocabulary
    )


def rewritten(payload: bytes, **metadata: str) -> bytes:
    """Return the payload with changed metadata."""
    length = int.from_bytes(payload[:8], "little")
    old = json.loads(payload[8 : 8 + length])["__metadata__"]
    return safetensors.numpy.save(safetensors.numpy.load(payload), old | metadata)


def test_load_returns_what_dump_was_given(small_model: LinearModel, payload: bytes) -> None:
    loaded = load(payload)
    assert loaded.model.feature_map.architecture == small_model.feature_map.architecture
    assert loaded.model.feature_map.positions == small_model.feature_map.positions
    assert np.array_equal(loaded.model.state_logits, small_model.state_logits)
    assert np.array_equal(loaded.model.position_logits, small_model.position_logits)
    assert loaded.model.vocabulary == small_model.vocabulary
    assert loaded.provenance == PROVENANCE
    assert np.array_equal(loaded.lexicon.stream, LEXICON.stream)
    assert loaded.lexicon.tokens == len(small_model.vocabulary)
    assert np.array_equal(loaded.percentiles.grid, PERCENTILES.grid.astype(np.float32))
    assert len(loaded.digest) == 64


def test_a_checkpoint_without_known_names_has_an_empty_lexicon(small_model: LinearModel) -> None:
    loaded = load(dump(small_model, PROVENANCE, EMPTY_LEXICON, PERCENTILES))
    assert not loaded.lexicon.known


def test_any_alphabet_and_kept_case_are_restored() -> None:
    vocabulary = Vocabulary("'.AZaz\N{CYRILLIC SMALL LETTER ZHE}\N{GRINNING FACE}", keep_case=True)
    feature_map = FeatureMap.from_arrays("bigram", 9, 23, NONE, NONE)
    weights = np.zeros((9, 9), dtype=np.float32)
    lexicon = Lexicon.of(vocabulary, ["\N{GRINNING FACE}", "Z'z."])
    loaded = load(
        dump(LinearModel(feature_map, vocabulary, weights), PROVENANCE, lexicon, PERCENTILES)
    )
    assert loaded.model.vocabulary == vocabulary
    assert np.array_equal(loaded.lexicon.stream, lexicon.stream)


def test_the_digest_differs_between_models_and_between_lexicons(small_model: LinearModel) -> None:
    other = LinearModel(small_model.feature_map, Vocabulary("abd"), small_model.weights)
    changed = LinearModel(small_model.feature_map, Vocabulary("abc"), small_model.weights + 1)
    shorter = Lexicon.of(Vocabulary("abc"), ["ab", "abc"])
    lower = PercentileTable(PERCENTILES.grid - 1)
    contents = [
        (small_model, LEXICON, PERCENTILES),
        (other, LEXICON, PERCENTILES),
        (changed, LEXICON, PERCENTILES),
        (small_model, shorter, PERCENTILES),
        (small_model, LEXICON, lower),
    ]
    digests = {
        load(dump(model, PROVENANCE, lexicon, table)).digest for model, lexicon, table in contents
    }
    assert len(digests) == 5


def test_a_payload_truncated_anywhere_is_rejected(payload: bytes) -> None:
    for length in range(len(payload)):
        with pytest.raises(CheckpointError):
            load(payload[:length])


def test_a_payload_with_any_bit_flipped_is_rejected_or_loads_the_same(payload: bytes) -> None:
    # The same if the bit is in the white space that pads the header.
    expected = load(payload)
    rejected = 0
    for at in range(len(payload)):
        for bit in (0x01, 0x20, 0x80):
            flipped = bytearray(payload)
            flipped[at] ^= bit
            try:
                assert equal(load(bytes(flipped)), expected)
            except CheckpointError:
                rejected += 1
    assert rejected > 3 * len(payload) - 50


@pytest.mark.parametrize(
    ("foreign", "reason"),
    [
        (b"", "not a complete safetensors file"),
        (b"garbage" * 100, "not a complete safetensors file"),
        (pickle.dumps({"weights": [1.0]}), "not a complete safetensors file"),
        (safetensors.numpy.save({"w": np.zeros(3)}), "not a checkpoint of moniker"),
        (
            safetensors.numpy.save({"w": np.zeros(3)}, {"facts": "", "sha256": ""}),
            "not a checkpoint of",
        ),
    ],
)
def test_a_foreign_payload_is_rejected(foreign: bytes, reason: str) -> None:
    with pytest.raises(CheckpointError, match=reason):
        load(foreign)


def test_a_checkpoint_of_another_format_is_rejected(payload: bytes) -> None:
    with pytest.raises(CheckpointError, match="not in the format moniker/7"):
        load(rewritten(payload, format="moniker/1"))


def test_the_format_is_checked_before_the_tensors(payload: bytes) -> None:
    tensors = safetensors.numpy.load(payload)
    del tensors["lexicon"]
    metadata = {"format": "moniker/2", "facts": "{}", "sha256": "0" * 64}
    with pytest.raises(CheckpointError, match="not in the format moniker/7"):
        load(safetensors.numpy.save(tensors, metadata))


def test_changed_metadata_does_not_match_the_digest(payload: bytes) -> None:
    with pytest.raises(CheckpointError, match="does not match its digest"):
        load(rewritten(payload, facts='{"architecture": "bigram"}'))


@pytest.mark.parametrize("name", ["weights", "lexicon", "percentiles"])
def test_a_changed_tensor_does_not_match_the_digest(payload: bytes, name: str) -> None:
    tensors = safetensors.numpy.load(payload)
    tensors[name] = tensors[name].copy()
    tensors[name][0] = 2
    length = int.from_bytes(payload[:8], "little")
    metadata = json.loads(payload[8 : 8 + length])["__metadata__"]
    with pytest.raises(CheckpointError, match="does not match its digest"):
        load(safetensors.numpy.save(tensors, metadata))


def test_a_checkpoint_without_one_of_its_tensors_is_rejected(payload: bytes) -> None:
    length = int.from_bytes(payload[:8], "little")
    metadata = json.loads(payload[8 : 8 + length])["__metadata__"]
    tensors = safetensors.numpy.load(payload)
    del tensors["lexicon"]
    with pytest.raises(CheckpointError, match="does not match its digest"):
        load(safetensors.numpy.save(tensors, metadata))


def sealed(payload: bytes, tensors: dict[str, ArrayLike], metadata: dict[str, object]) -> bytes:
    """Return the payload with changed tensors and metadata, and a digest that matches them."""
    return Parts.of(payload).change(metadata, tensors).seal()


@pytest.mark.parametrize(
    ("metadata", "reason"),
    [
        ({"architecture": "decagram"}, "unknown architecture 'decagram'"),
        ({"positions": 10**9}, "1000000000 positions, expected 1 to 256"),
        ({"positions": 2}, "weights of shape|does not exist"),
        ({"characters": "cba"}, "sorted order"),
        ({"characters": " \u2000\u3000"}, "white space alone"),
        ({"characters": "\0ab"}, "control characters"),
        ({"characters": "\nab"}, "control characters"),
        ({"characters": "ab\x7f"}, "control characters"),
        ({"characters": "ab\x9f"}, "control characters"),
        ({"characters": "Aab"}, r"U\+0041 is in no normalised name"),
        ({"characters": "ab\N{OHM SIGN}"}, r"U\+2126 is in no normalised name"),
        ({"characters": "ab\N{OHM SIGN}", "keep_case": True}, r"U\+2126 is in no normalised name"),
        ({"characters": "ab\N{NO-BREAK SPACE}"}, r"U\+00A0 is in no normalised name"),
        ({"characters": "ab\N{SOFT HYPHEN}"}, r"U\+00AD is in no normalised name"),
        (
            {"characters": "".join(map(chr, range(0x3400, 0x5400)))},
            "8,192 characters; a vocabulary has at most 8,191",
        ),
        ({"characters": "ab\ud800"}, "invalid metadata: not a JSON object"),
        ({"characters": "aab"}, "distinct characters"),
        ({"characters": ""}, "distinct characters"),
        ({"positions": 0}, "0 positions, expected 1 to 256"),
        ({"positions": 10**4000}, "positions"),
        ({"positions": 1e400}, "invalid metadata: wrong value at 'positions'"),
        ({"architecture": "long" * 1000}, "unknown architecture 'longlong.{,40}$"),
        ({"long" * 1000: 1}, "invalid metadata: wrong value at 'longlong.{,40}$"),
        ({"characters": 5}, "invalid metadata: wrong value at 'characters'"),
        ({"colour": "red"}, "invalid metadata: wrong value at 'colour'"),
        ({"provenance": {"loss": float("nan")}}, "invalid metadata: wrong value at 'provenance"),
        (
            {"provenance": asdict(PROVENANCE) | {"trained_at": "yesterday"}},
            "at 'provenance.trained_at'",
        ),
        ({"provenance": asdict(PROVENANCE) | {"trained_at": "2026-01-31T12:00:00"}}, "trained_at"),
    ],
)
def test_metadata_that_makes_no_model_is_rejected(
    payload: bytes, metadata: dict[str, object], reason: str
) -> None:
    with pytest.raises(CheckpointError, match=reason):
        load(sealed(payload, {}, metadata))


@pytest.mark.parametrize(
    "text",
    [
        "",
        "null",
        "[]",
        '"text"',
        "{",
        "[" * 100_000,
        '{"a":' * 100_000,
        '{"provenance": ' * 300,
        "1e999",
    ],
    ids=lambda text: text[:20],
)
def test_metadata_that_is_not_a_valid_json_object_is_rejected(payload: bytes, text: str) -> None:
    parts = Parts.of(payload)
    parts.metadata["facts"] = text
    with pytest.raises(CheckpointError, match="invalid metadata"):
        load(parts.seal())


def test_a_vocabulary_may_keep_upper_case(payload: bytes) -> None:
    loaded = load(sealed(payload, {}, {"characters": "Aab", "keep_case": True}))
    assert loaded.model.vocabulary.normalize("A") == "A"


def test_every_vocabulary_that_training_accepts_is_loaded() -> None:
    # All characters of normalised names, in vocabularies of the maximum size.
    characters = "".join(
        map(chr, [*range(0x20, 0x7F), *range(0xA0, 0xD800), *range(0xE000, 0x20000)])
    )
    normalized = Vocabulary.of([normalize(characters)]).characters
    for start in range(0, len(normalized), MAX_TOKENS - 1):
        metadata = Metadata(
            "bigram", normalized[start : start + MAX_TOKENS - 1], False, False, 1, PROVENANCE
        )
        assert models.checkpoint._vocabulary(metadata).characters == metadata.characters


def test_a_vocabulary_may_be_turkish(payload: bytes) -> None:
    loaded = load(sealed(payload, {}, {"characters": "ai\u0131", "turkish": True}))
    assert loaded.model.vocabulary.normalize("I\u0130") == "\u0131i"
    with pytest.raises(CheckpointError, match="cannot keep case and use Turkish"):
        load(sealed(payload, {}, {"keep_case": True, "turkish": True}))


def i32(*pairs: tuple[int, int]) -> ArrayLike:
    return np.array(pairs, dtype=np.int32).reshape(-1, 2)


def f32(shape: tuple[int, ...] = ()) -> NDArray[np.float32]:
    return np.ones(shape, dtype=np.float32)


def u16(*tokens: int) -> ArrayLike:
    return np.array(tokens, dtype=np.uint16)


# Signalling NaNs: numpy warns when it computes with them.
SIGNALLING = np.full((1, GRID_SIZE, 2), 0x7FA00000, np.uint32).view(np.float32)


@pytest.mark.parametrize(
    ("tensors", "reason"),
    [
        ({"weights": np.zeros((6, 4), np.float32)}, r"weights of shape \(6, 4\), expected \("),
        ({"weights": np.float32(0)}, r"weights of shape \(\), expected \("),
        ({"weights": np.full((7, 4), np.nan, np.float32)}, "finite and at most 1,000,000"),
        ({"weights": np.full((7, 4), -3e38, np.float32)}, "finite and at most 1,000,000"),
        ({"weights": np.zeros((7, 4))}, "weights must be float32"),
        ({"context_trie": np.zeros((0, 2))}, "context_trie must be int32"),
        ({"context_trie": np.zeros(4, np.int32)}, "context_trie must have the shape"),
        (
            {"position_contexts": np.zeros((3, 1), np.int32)},
            "position_contexts must have the shape",
        ),
        (
            {"position_contexts": i32((1, 3))},
            "a position context has a position that does not exist",
        ),
        (
            {"position_contexts": i32((10**9, 0))},
            "a position context has a state that does not exist",
        ),
        (
            {"position_contexts": i32((1, -1))},
            "a position context has a position that does not exist",
        ),
        ({"position_contexts": i32((1, 1), (1, 1))}, "the position contexts are out of order"),
        ({"lexicon": np.array([1, 0], np.int32)}, "lexicon must be uint16"),
        ({"lexicon": np.array([[1, 0]], np.uint16)}, "lexicon must have one axis"),
        ({"lexicon": np.uint16(0)}, "lexicon must have one axis"),
        ({"percentiles": PERCENTILES.grid}, "percentiles must be float32"),
        ({"percentiles": f32()}, "do not have the shape"),
        ({"percentiles": f32((GRID_SIZE, 2))}, "do not have the shape"),
        ({"percentiles": f32((1, GRID_SIZE, 3))}, "do not have the shape"),
        ({"percentiles": f32((0, GRID_SIZE, 2))}, "do not have the shape"),
        ({"percentiles": f32((1, GRID_SIZE, 2)) * np.nan}, "not the logarithms of shares"),
        ({"percentiles": f32((1, GRID_SIZE, 2))}, "not the logarithms of shares"),
        ({"percentiles": SIGNALLING}, "not the logarithms of shares"),
        ({"weights": SIGNALLING}, "finite and at most 1,000,000"),
        ({"percentiles": f32((1, GRID_SIZE, 2)).cumsum(1) * -1}, "out of order"),
        ({"lexicon": u16(1, 4, 0)}, "a name has a token outside the vocabulary"),
        ({"lexicon": u16(1, 0, 2)}, "the last name has no boundary"),
        ({"lexicon": u16(1, 0, 0)}, "a name is empty"),
        ({"lexicon": u16(2, 0, 1, 0)}, "the names are not distinct and sorted"),
    ],
)
def test_tensors_that_make_no_model_are_rejected(
    payload: bytes, tensors: dict[str, ArrayLike], reason: str
) -> None:
    with pytest.raises(CheckpointError, match=reason):
        load(sealed(payload, tensors, {}))


@pytest.mark.parametrize(
    ("name", "claim", "reason"),
    [
        ("weights", {"shape": [100_000, 100_000]}, "not a complete safetensors file"),
        ("weights", {"code": "F33"}, "not a complete safetensors file"),
        ("weights", {"code": "U32"}, "weights must be float32"),
        (
            "weights",
            {"shape": [1] * 70},
            "not a complete safetensors file|weights must have at most",
        ),
        ("context_trie", {"shape": [0, 2**64 - 1]}, "context_trie must have at most"),
        ("context_trie", {"shape": [0, 2**62, 2**62]}, "context_trie must have at most"),
        ("context_trie", {"shape": [0] * 70}, "context_trie must have at most"),
        ("context_trie", {"shape": [0], "code": "BF16"}, "context_trie must be int32"),
        ("context_trie", {"shape": [0], "code": "F8_E4M3"}, "context_trie must be int32"),
    ],
)
def test_a_header_with_a_false_shape_or_type_is_rejected(
    name: str, claim: dict[str, object], reason: str
) -> None:
    model = LinearModel(
        FeatureMap.from_arrays("bigram", 2, 1, NONE, NONE), Vocabulary("a"), f32((2, 2))
    )
    payload = dump(model, PROVENANCE, Lexicon.of(Vocabulary("a"), []), PERCENTILES)
    parts = Parts.of(payload)
    vars(parts.tensors[name]).update(claim)
    with pytest.raises(CheckpointError, match=reason):
        load(parts.seal())


def test_a_very_long_header_is_rejected_before_it_is_parsed(payload: bytes) -> None:
    # Parsing two million empty tensors would take seconds and a gigabyte.
    metadata = {f"{number:0100}": "" for number in range(11_000)}
    with pytest.raises(
        CheckpointError, match=r"the header has 1,.* bytes; it must have at most 1,048,576"
    ):
        load(rewritten(payload, **metadata))


@pytest.mark.parametrize("name", ["context_trie", "position_contexts", "lexicon", "percentiles"])
def test_a_tensor_larger_than_any_that_training_writes_is_rejected(
    payload: bytes, name: str
) -> None:
    tensor = safetensors.numpy.load(payload)[name]
    max_size = models.checkpoint.TENSORS[name].max_size
    larger = np.zeros(
        (max_size // math.prod(tensor.shape[1:]) + 1, *tensor.shape[1:]), tensor.dtype
    )
    with pytest.raises(CheckpointError, match=f"{name} must have at most {max_size:,} elements"):
        load(sealed(payload, {name: larger}, {}))


def test_a_model_with_more_context_weights_than_training_makes_is_rejected(
    payload: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    num_context_weights = load(payload).model.feature_map.num_context_weights
    monkeypatch.setattr(models.checkpoint, "MAX_CONTEXT_WEIGHTS", num_context_weights)
    load(payload)
    monkeypatch.setattr(models.checkpoint, "MAX_CONTEXT_WEIGHTS", num_context_weights - 1)
    with pytest.raises(CheckpointError, match="the contexts must have at most"):
        load(payload)


def test_a_row_moved_from_one_tensor_to_another_does_not_match_the_digest(
    fivegram: LinearModel,
) -> None:
    payload = dump(fivegram, PROVENANCE, Lexicon.of(fivegram.vocabulary, []), PERCENTILES)
    length = int.from_bytes(payload[:8], "little")
    metadata = json.loads(payload[8 : 8 + length])["__metadata__"]
    tensors = safetensors.numpy.load(payload)
    tensors["position_contexts"] = np.vstack(
        [tensors["context_trie"][-1:], tensors["position_contexts"]]
    )
    tensors["context_trie"] = tensors["context_trie"][:-1]
    with pytest.raises(CheckpointError, match="does not match its digest"):
        load(safetensors.numpy.save(tensors, metadata))


def test_a_fivegram_is_restored_completely(fivegram: LinearModel) -> None:
    loaded = load(
        dump(fivegram, PROVENANCE, Lexicon.of(fivegram.vocabulary, []), PERCENTILES)
    ).model
    known, expected = loaded.feature_map.position_contexts, fivegram.feature_map.position_contexts
    assert np.array_equal(loaded.weights, fivegram.weights)
    assert np.array_equal(known.table, expected.table)
    assert np.array_equal(known.trie.next_states, expected.trie.next_states)
