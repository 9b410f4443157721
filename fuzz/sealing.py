"""A checkpoint taken apart and sealed anew: header and digest fit whatever it is made of.

Both are computed here from what the format says, not by the code that reads it.
"""

import hashlib
import json
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

ORDER = ["weights", "context_trie", "position_contexts", "lexicon", "percentiles"]  # of the digest
CODES = {"float32": "F32", "float64": "F64", "int32": "I32", "uint16": "U16"}


@dataclass
class Tensor:
    """A tensor as the file has it: what its header says of it, and its bytes."""

    code: str
    shape: list[int]
    content: bytes

    @classmethod
    def of(cls, values: ArrayLike) -> "Tensor":
        """The tensor of an array."""
        array = np.asarray(values)
        return cls(CODES[array.dtype.name], list(array.shape), array.tobytes())


@dataclass
class Parts:
    """What a checkpoint is made of; all of it may be changed."""

    metadata: dict[str, str]
    tensors: dict[str, Tensor]

    @classmethod
    def of(cls, payload: bytes) -> "Parts":
        """The parts of a payload. Raises ValueError or KeyError if it is none."""
        length = int.from_bytes(payload[:8], "little")
        header, content = json.loads(payload[8 : 8 + length]), payload[8 + length :]
        metadata = header.pop("__metadata__")
        return cls(
            metadata,
            {
                name: Tensor(told["dtype"], told["shape"], content[slice(*told["data_offsets"])])
                for name, told in header.items()
            },
        )

    def change(self, facts: dict[str, Any], tensors: dict[str, ArrayLike]) -> "Parts":
        """Put other facts and tensors in place of those there are; returns itself."""
        self.metadata["facts"] = json.dumps(json.loads(self.metadata["facts"]) | facts)
        self.tensors |= {name: Tensor.of(values) for name, values in tensors.items()}
        return self

    def seal(self) -> bytes:
        """The payload, with the digest that its facts and tensors have."""
        digest = hashlib.sha256(self.metadata["facts"].encode())
        for name in ORDER:
            if name in self.tensors:
                tensor = self.tensors[name]
                digest.update(f"{name}{tuple(tensor.shape)}".encode() + tensor.content)
        self.metadata["sha256"] = digest.hexdigest()
        return self.write()

    def write(self) -> bytes:
        """The payload, with the digest that it has."""
        header: dict[str, Any] = {"__metadata__": self.metadata}
        end = 0
        for name, tensor in self.tensors.items():
            start, end = end, end + len(tensor.content)
            header[name] = {
                "dtype": tensor.code, "shape": tensor.shape, "data_offsets": [start, end],
            }  # fmt: skip
        text = json.dumps(header).encode()
        text += b" " * (-len(text) % 8)
        content = b"".join(tensor.content for tensor in self.tensors.values())
        return len(text).to_bytes(8, "little") + text + content
