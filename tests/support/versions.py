"""Contents of checkpoint files: versions of a model, and damaged payloads."""

from dataclasses import replace

import numpy as np

from models.checkpoint import dump, load


def versions(payload: bytes, count: int) -> list[bytes]:
    """Return checkpoints that differ from a payload and from each other in their weights."""
    original = load(payload)
    generator = np.random.default_rng(1)
    payloads = []
    for _ in range(count):
        noise = generator.normal(scale=0.3, size=original.model.weights.shape).astype(np.float32)
        model = replace(original.model, weights=original.model.weights + noise)
        payloads.append(dump(model, original.provenance, original.lexicon, original.percentiles))
    return payloads


def truncated(payload: bytes) -> bytes:
    return payload[: len(payload) // 2]


def garbled(payload: bytes) -> bytes:
    return np.random.default_rng(2).bytes(len(payload))


def with_a_bit_flipped(payload: bytes) -> bytes:
    middle = len(payload) // 2
    return payload[:middle] + bytes([payload[middle] ^ 8]) + payload[middle + 1 :]


def emptied(payload: bytes) -> bytes:
    return b""


# Function that damages a payload -> reason that the service reports.
DAMAGES = {
    truncated: "not a complete safetensors file",
    garbled: "not a complete safetensors file",
    with_a_bit_flipped: "damaged: the content does not match its digest",
    emptied: "not a complete safetensors file",
}
