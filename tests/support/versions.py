"""What may come to be in a checkpoint file: versions of a model, and what is none."""

from dataclasses import replace

import numpy as np

from models.checkpoint import dump, load


def versions(payload: bytes, count: int) -> list[bytes]:
    """So many checkpoints that differ from one and from each other in their weights."""
    known = load(payload)
    generator = np.random.default_rng(1)
    made = []
    for _ in range(count):
        noise = generator.normal(scale=0.3, size=known.model.weights.shape).astype(np.float32)
        model = replace(known.model, weights=known.model.weights + noise)
        made.append(dump(model, known.provenance, known.lexicon, known.percentiles))
    return made


def truncated(payload: bytes) -> bytes:
    return payload[: len(payload) // 2]


def garbled(payload: bytes) -> bytes:
    return np.random.default_rng(2).bytes(len(payload))


def with_a_bit_flipped(payload: bytes) -> bytes:
    middle = len(payload) // 2
    return payload[:middle] + bytes([payload[middle] ^ 8]) + payload[middle + 1 :]


def emptied(payload: bytes) -> bytes:
    return b""


# What may happen to a payload, and what is said of the file then.
SPOILED = {
    truncated: "not a complete safetensors file",
    garbled: "not a complete safetensors file",
    with_a_bit_flipped: "damaged: the content does not match its digest",
    emptied: "not a complete safetensors file",
}
