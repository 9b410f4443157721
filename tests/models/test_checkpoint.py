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
from models.checkpoint import Checkpoint, CheckpointError, Facts, Provenance, Source, dump, load
from models.linear.feature_map import FeatureMap
from models.linear.features import MAX_TOKENS
from models.linear.model import LinearModel
from models.scoring.percentile_table import GRID_SIZE, PercentileTable
from models.text.lexicon import Lexicon
from models.text.normalization import normalize
from models.text.vocabulary import Vocabulary

RECORD = Provenance(
    recipe="post",
    penalty=0.01,
    loss=2.5,
    nll=2.4,
    source=Source(name="list.txt", names=3, transitions=12, sha256="0" * 64, lengths=[0, 0, 3]),
    trained_at="2026-01-31T12:00:00+00:00",
    trained_with={"moniker": "0.1.0"},
)


NONE = np.empty((0, 2), dtype=np.intp)
ROSTER = Lexicon.of(Vocabulary("abc"), ["ab", "abc", "cab"])
NO_ROSTER = Lexicon.of(Vocabulary("abc"), [])
GRID_OF_ONE = np.column_stack([np.linspace(-40, -5, GRID_SIZE), np.linspace(-20, -0.5, GRID_SIZE)])
PERCENTILES = PercentileTable(np.array([GRID_OF_ONE]))


@pytest.fixture
def payload(small_model: LinearModel) -> bytes:
    return dump(small_model, RECORD, ROSTER, PERCENTILES)


def same(one: Checkpoint, other: Checkpoint) -> bool:
    return (
        one.digest == other.digest
        and one.record == other.record
        and np.array_equal(one.model.weights, other.model.weights)
        and np.array_equal(one.lexicon.stream, other.lexicon.stream)
        and one.model.vocabulary == other.model.vocabulary
    )


def rewritten(payload: bytes, **metadata: str) -> bytes:
    """The payload with other metadata."""
    length = int.from_bytes(payload[:8], "little")
    old = json.loads(payload[8 : 8 + length])["__metadata__"]
    return safetensors.numpy.save(safetensors.numpy.load(payload), old | metadata)


def test_what_is_dumped_is_loaded(small_model: LinearModel, payload: bytes) -> None:
    loaded = load(payload)
    assert loaded.model.feature_map.name == small_model.feature_map.name
    assert loaded.model.feature_map.positions == small_model.feature_map.positions
    assert np.array_equal(loaded.model.state_logits, small_model.state_logits)
    assert np.array_equal(loaded.model.position_logits, small_model.position_logits)
    assert loaded.model.vocabulary == small_model.vocabulary
    assert loaded.record == RECORD
    assert np.array_equal(loaded.lexicon.stream, ROSTER.stream)
    assert loaded.lexicon.tokens == len(small_model.vocabulary)
    assert np.array_equal(loaded.percentiles.grid, PERCENTILES.grid.astype(np.float32))
    assert len(loaded.digest) == 64


def test_a_checkpoint_of_a_list_that_is_not_known_has_no_names(small_model: LinearModel) -> None:
    loaded = load(dump(small_model, RECORD, NO_ROSTER, PERCENTILES))
    assert not loaded.lexicon.known


def test_any_alphabet_and_kept_case_come_back() -> None:
    vocabulary = Vocabulary("'.AZaz\N{CYRILLIC SMALL LETTER ZHE}\N{GRINNING FACE}", keep_case=True)
    feature_map = FeatureMap.of("bigram", 9, 23, NONE, NONE)
    weights = np.zeros((9, 9), dtype=np.float32)
    lexicon = Lexicon.of(vocabulary, ["\N{GRINNING FACE}", "Z'z."])
    loaded = load(dump(LinearModel(feature_map, vocabulary, weights), RECORD, lexicon, PERCENTILES))
    assert loaded.model.vocabulary == vocabulary
    assert np.array_equal(loaded.lexicon.stream, lexicon.stream)


def test_the_digest_tells_models_and_their_names_apart(small_model: LinearModel) -> None:
    other = LinearModel(small_model.feature_map, Vocabulary("abd"), small_model.weights)
    changed = LinearModel(small_model.feature_map, Vocabulary("abc"), small_model.weights + 1)
    shorter = Lexicon.of(Vocabulary("abc"), ["ab", "abc"])
    lower = PercentileTable(PERCENTILES.grid - 1)
    made = [
        (small_model, ROSTER, PERCENTILES),
        (other, ROSTER, PERCENTILES),
        (changed, ROSTER, PERCENTILES),
        (small_model, shorter, PERCENTILES),
        (small_model, ROSTER, lower),
    ]
    digests = {load(dump(model, RECORD, lexicon, table)).digest for model, lexicon, table in made}
    assert len(digests) == 5


def test_a_payload_cut_off_anywhere_is_refused(payload: bytes) -> None:
    for length in range(len(payload)):
        with pytest.raises(CheckpointError):
            load(payload[:length])


def test_a_payload_with_any_bit_flipped_is_refused_or_says_the_same(payload: bytes) -> None:
    # The same: a bit of the white space that pads the header.
    whole = load(payload)
    refused = 0
    for at in range(len(payload)):
        for bit in (0x01, 0x20, 0x80):
            flipped = bytearray(payload)
            flipped[at] ^= bit
            try:
                assert same(load(bytes(flipped)), whole)
            except CheckpointError:
                refused += 1
    assert refused > 3 * len(payload) - 50


@pytest.mark.parametrize(
    ("foreign", "reason"),
    [
        (b"", "not a whole safetensors file"),
        (b"garbage" * 100, "not a whole safetensors file"),
        (pickle.dumps({"weights": [1.0]}), "not a whole safetensors file"),
        (safetensors.numpy.save({"w": np.zeros(3)}), "not one of moniker's checkpoints"),
        (safetensors.numpy.save({"w": np.zeros(3)}, {"facts": "", "sha256": ""}), "not one of"),
    ],
)
def test_a_foreign_payload_is_refused(foreign: bytes, reason: str) -> None:
    with pytest.raises(CheckpointError, match=reason):
        load(foreign)


def test_a_checkpoint_of_another_format_is_refused(payload: bytes) -> None:
    with pytest.raises(CheckpointError, match="not in the format moniker/6"):
        load(rewritten(payload, format="moniker/1"))


def test_a_checkpoint_of_the_format_before_names_is_refused_by_its_format(payload: bytes) -> None:
    tensors = safetensors.numpy.load(payload)
    del tensors["names"]
    metadata = {"format": "moniker/2", "facts": "{}", "sha256": "0" * 64}
    with pytest.raises(CheckpointError, match="not in the format moniker/6"):
        load(safetensors.numpy.save(tensors, metadata))


def test_changed_facts_do_not_match_the_digest(payload: bytes) -> None:
    with pytest.raises(CheckpointError, match="does not match its digest"):
        load(rewritten(payload, facts='{"architecture": "bigram"}'))


@pytest.mark.parametrize("name", ["weights", "names", "percentiles"])
def test_a_changed_tensor_does_not_match_the_digest(payload: bytes, name: str) -> None:
    tensors = safetensors.numpy.load(payload)
    tensors[name] = tensors[name].copy()
    tensors[name][0] = 2
    length = int.from_bytes(payload[:8], "little")
    metadata = json.loads(payload[8 : 8 + length])["__metadata__"]
    with pytest.raises(CheckpointError, match="does not match its digest"):
        load(safetensors.numpy.save(tensors, metadata))


def test_a_checkpoint_without_one_of_its_tensors_is_refused(payload: bytes) -> None:
    length = int.from_bytes(payload[:8], "little")
    metadata = json.loads(payload[8 : 8 + length])["__metadata__"]
    tensors = safetensors.numpy.load(payload)
    del tensors["names"]
    with pytest.raises(CheckpointError, match="does not match its digest"):
        load(safetensors.numpy.save(tensors, metadata))


def sealed(payload: bytes, tensors: dict[str, ArrayLike], facts: dict[str, object]) -> bytes:
    """The payload with other tensors and facts, and a digest that matches them."""
    return Parts.of(payload).change(facts, tensors).seal()


@pytest.mark.parametrize(
    ("facts", "reason"),
    [
        ({"architecture": "decagram"}, "no architecture has the name 'decagram'"),
        ({"positions": 10**9}, "1000000000 positions, expected 1 to 256"),
        ({"positions": 2}, "weights of shape|does not exist"),
        ({"characters": "cba"}, "sorted order"),
        ({"characters": " \u2000\u3000"}, "white space alone"),
        ({"characters": "\0ab"}, "with control characters"),
        ({"characters": "\nab"}, "with control characters"),
        ({"characters": "ab\x7f"}, "with control characters"),
        ({"characters": "ab\x9f"}, "with control characters"),
        ({"characters": "Aab"}, r"no name is read with U\+0041"),
        ({"characters": "ab\N{OHM SIGN}"}, r"no name is read with U\+2126"),
        ({"characters": "ab\N{OHM SIGN}", "keep_case": True}, r"no name is read with U\+2126"),
        ({"characters": "ab\N{NO-BREAK SPACE}"}, r"no name is read with U\+00A0"),
        ({"characters": "ab\N{SOFT HYPHEN}"}, r"no name is read with U\+00AD"),
        ({"characters": "".join(map(chr, range(0x3400, 0x5400)))}, "8,192 different characters"),
        ({"characters": "ab\ud800"}, "wrong in its facts, which are not a JSON object"),
        ({"characters": "aab"}, "distinct characters"),
        ({"characters": ""}, "distinct characters"),
        ({"positions": 0}, "0 positions, expected 1 to 256"),
        ({"positions": 10**4000}, "positions"),
        ({"positions": 1e400}, "wrong in its facts, at 'positions'"),
        ({"architecture": "long" * 1000}, "no architecture has the name 'longlong.{,40}$"),
        ({"long" * 1000: 1}, "wrong in its facts, at 'longlong.{,40}$"),
        ({"characters": 5}, "wrong in its facts, at 'characters'"),
        ({"colour": "red"}, "wrong in its facts, at 'colour'"),
        ({"record": {"loss": float("nan")}}, "wrong in its facts, at 'record"),
        ({"record": asdict(RECORD) | {"trained_at": "yesterday"}}, "at 'record.trained_at'"),
        ({"record": asdict(RECORD) | {"trained_at": "2026-01-31T12:00:00"}}, "trained_at"),
    ],
)
def test_facts_that_make_no_model_are_refused(
    payload: bytes, facts: dict[str, object], reason: str
) -> None:
    with pytest.raises(CheckpointError, match=reason):
        load(sealed(payload, {}, facts))


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
        '{"record": ' * 300,
        "1e999",
    ],
    ids=lambda text: text[:20],
)
def test_facts_that_are_no_facts_are_refused(payload: bytes, text: str) -> None:
    parts = Parts.of(payload)
    parts.metadata["facts"] = text
    with pytest.raises(CheckpointError, match="wrong in its facts"):
        load(parts.seal())


def test_a_vocabulary_may_keep_upper_case(payload: bytes) -> None:
    loaded = load(sealed(payload, {}, {"characters": "Aab", "keep_case": True}))
    assert loaded.model.vocabulary.normalize("A") == "A"


def test_a_vocabulary_that_training_takes_is_loaded() -> None:
    # All that can be left of a name once it is normalised, as many as a model takes.
    every = "".join(map(chr, [*range(0x20, 0x7F), *range(0xA0, 0xD800), *range(0xE000, 0x20000)]))
    normal = Vocabulary.of([normalize(every)]).characters
    for start in range(0, len(normal), MAX_TOKENS - 1):
        facts = Facts("bigram", normal[start : start + MAX_TOKENS - 1], False, False, 1, RECORD)
        assert models.checkpoint._vocabulary(facts).characters == facts.characters


def test_a_vocabulary_may_be_turkish(payload: bytes) -> None:
    loaded = load(sealed(payload, {}, {"characters": "ai\u0131", "turkish": True}))
    assert loaded.model.vocabulary.normalize("I\u0130") == "\u0131i"
    with pytest.raises(CheckpointError, match="no Turkish lower case"):
        load(sealed(payload, {}, {"keep_case": True, "turkish": True}))


def i32(*pairs: tuple[int, int]) -> ArrayLike:
    return np.array(pairs, dtype=np.int32).reshape(-1, 2)


def f32(shape: tuple[int, ...] = ()) -> NDArray[np.float32]:
    return np.ones(shape, dtype=np.float32)


def u16(*tokens: int) -> ArrayLike:
    return np.array(tokens, dtype=np.uint16)


# NaNs of the kind that computing with them warns of.
SIGNALLING = np.full((1, GRID_SIZE, 2), 0x7FA00000, np.uint32).view(np.float32)


@pytest.mark.parametrize(
    ("tensors", "reason"),
    [
        ({"weights": np.zeros((6, 4), np.float32)}, r"weights of shape \(6, 4\), expected \("),
        ({"weights": np.float32(0)}, r"weights of shape \(\), expected \("),
        ({"weights": np.full((7, 4), np.nan, np.float32)}, "finite and at most 1,000,000"),
        ({"weights": np.full((7, 4), -3e38, np.float32)}, "finite and at most 1,000,000"),
        ({"weights": np.zeros((7, 4))}, "weights are to be float32"),
        ({"suffixes": np.zeros((0, 2))}, "suffixes are to be int32"),
        ({"suffixes": np.zeros(4, np.int32)}, "suffixes are to be pairs"),
        ({"places": np.zeros((3, 1), np.int32)}, "places are to be pairs"),
        ({"places": i32((1, 3))}, "a place has a position that does not exist"),
        ({"places": i32((10**9, 0))}, "a place has a suffix that does not exist"),
        ({"places": i32((1, -1))}, "a place has a position that does not exist"),
        ({"places": i32((1, 1), (1, 1))}, "the places are out of order"),
        ({"names": np.array([1, 0], np.int32)}, "names are to be uint16"),
        ({"names": np.array([[1, 0]], np.uint16)}, "names are to be in one row"),
        ({"names": np.uint16(0)}, "names are to be in one row"),
        ({"percentiles": PERCENTILES.grid}, "percentiles are to be float32"),
        ({"percentiles": f32()}, "do not have the shape"),
        ({"percentiles": f32((GRID_SIZE, 2))}, "do not have the shape"),
        ({"percentiles": f32((1, GRID_SIZE, 3))}, "do not have the shape"),
        ({"percentiles": f32((0, GRID_SIZE, 2))}, "do not have the shape"),
        ({"percentiles": f32((1, GRID_SIZE, 2)) * np.nan}, "not the logarithms of shares"),
        ({"percentiles": f32((1, GRID_SIZE, 2))}, "not the logarithms of shares"),
        ({"percentiles": SIGNALLING}, "not the logarithms of shares"),
        ({"weights": SIGNALLING}, "finite and at most 1,000,000"),
        ({"percentiles": f32((1, GRID_SIZE, 2)).cumsum(1) * -1}, "out of order"),
        ({"names": u16(1, 4, 0)}, "a name has a character that does not exist"),
        ({"names": u16(1, 0, 2)}, "the last name has no end"),
        ({"names": u16(1, 0, 0)}, "a name has no character"),
        ({"names": u16(2, 0, 1, 0)}, "the names are not distinct and in order"),
    ],
)
def test_tensors_that_make_no_model_are_refused(
    payload: bytes, tensors: dict[str, ArrayLike], reason: str
) -> None:
    with pytest.raises(CheckpointError, match=reason):
        load(sealed(payload, tensors, {}))


@pytest.mark.parametrize(
    ("name", "claim", "reason"),
    [
        ("weights", {"shape": [100_000, 100_000]}, "not a whole safetensors file"),
        ("weights", {"code": "F33"}, "not a whole safetensors file"),
        ("weights", {"code": "U32"}, "weights are to be float32"),
        ("weights", {"shape": [1] * 70}, "not a whole safetensors file|more weights"),
        ("suffixes", {"shape": [0, 2**64 - 1]}, "more suffixes than a checkpoint has"),
        ("suffixes", {"shape": [0, 2**62, 2**62]}, "more suffixes than a checkpoint has"),
        ("suffixes", {"shape": [0] * 70}, "more suffixes than a checkpoint has"),
        ("suffixes", {"shape": [0], "code": "BF16"}, "suffixes are to be int32"),
        ("suffixes", {"shape": [0], "code": "F8_E4M3"}, "suffixes are to be int32"),
    ],
)
def test_a_header_that_claims_what_is_not_there_is_refused(
    name: str, claim: dict[str, object], reason: str
) -> None:
    model = LinearModel(FeatureMap.of("bigram", 2, 1, NONE, NONE), Vocabulary("a"), f32((2, 2)))
    payload = dump(model, RECORD, Lexicon.of(Vocabulary("a"), []), PERCENTILES)
    parts = Parts.of(payload)
    vars(parts.tensors[name]).update(claim)
    with pytest.raises(CheckpointError, match=reason):
        load(parts.seal())


def test_a_header_that_is_very_long_is_refused_unread(payload: bytes) -> None:
    # Two million tensors without content would take seconds and a gigabyte.
    metadata = {f"{number:0100}": "" for number in range(11_000)}
    with pytest.raises(CheckpointError, match=r"its header takes 1,.* bytes, 1,048,576 at most"):
        load(rewritten(payload, **metadata))


@pytest.mark.parametrize("name", ["suffixes", "places", "names", "percentiles"])
def test_a_tensor_with_more_than_any_training_makes_is_refused(payload: bytes, name: str) -> None:
    tensor = safetensors.numpy.load(payload)[name]
    most = models.checkpoint.TENSORS[name].most
    larger = np.zeros((most // math.prod(tensor.shape[1:]) + 1, *tensor.shape[1:]), tensor.dtype)
    with pytest.raises(CheckpointError, match=f"more {name} than a checkpoint has, {most:,} at"):
        load(sealed(payload, {name: larger}, {}))


def test_a_model_that_knows_more_than_training_lets_it_is_refused(
    payload: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    num_context_weights = load(payload).model.feature_map.num_context_weights
    monkeypatch.setattr(models.checkpoint, "MAX_WEIGHTS", num_context_weights)
    load(payload)
    monkeypatch.setattr(models.checkpoint, "MAX_WEIGHTS", num_context_weights - 1)
    with pytest.raises(CheckpointError, match="knows more than"):
        load(payload)


def test_a_row_moved_from_one_tensor_to_another_does_not_match_the_digest(
    fivegram: LinearModel,
) -> None:
    payload = dump(fivegram, RECORD, Lexicon.of(fivegram.vocabulary, []), PERCENTILES)
    length = int.from_bytes(payload[:8], "little")
    metadata = json.loads(payload[8 : 8 + length])["__metadata__"]
    tensors = safetensors.numpy.load(payload)
    tensors["places"] = np.vstack([tensors["suffixes"][-1:], tensors["places"]])
    tensors["suffixes"] = tensors["suffixes"][:-1]
    with pytest.raises(CheckpointError, match="does not match its digest"):
        load(safetensors.numpy.save(tensors, metadata))


def test_a_fivegram_comes_back_whole(fivegram: LinearModel) -> None:
    loaded = load(dump(fivegram, RECORD, Lexicon.of(fivegram.vocabulary, []), PERCENTILES)).model
    known, expected = loaded.feature_map.position_contexts, fivegram.feature_map.position_contexts
    assert np.array_equal(loaded.weights, fivegram.weights)
    assert np.array_equal(known.table, expected.table)
    assert np.array_equal(known.trie.next_states, expected.trie.next_states)
