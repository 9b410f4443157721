"""Parts of a checkpoint that can be changed and written again with a matching header and digest.

Both are computed from the specification of the format, independently of the code that reads it.
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
    """A tensor of the file: data type and shape as in the header, and its bytes."""

    code: str
    shape: list[int]
    content: bytes

    @classmethod
    def of(cls, values: ArrayLike) -> "Tensor":
        """Return the tensor of an array."""
        array = np.asarray(values)
        return cls(CODES[array.dtype.name], list(array.shape), array.tobytes())


@dataclass
class Parts:
    """The metadata and tensors of a checkpoint; both may be changed."""

    metadata: dict[str, str]
    tensors: dict[str, Tensor]

    @classmethod
    def of(cls, payload: bytes) -> "Parts":
        """Return the parts of a payload. Raises ValueError or KeyError if it is invalid."""
        length = int.from_bytes(payload[:8], "little")
        header, content = json.loads(payload[8 : 8 + length]), payload[8 + length :]
        metadata = header.pop("__metadata__")
        return cls(
            metadata,
            {
                name: Tensor(entry["dtype"], entry["shape"], content[slice(*entry["data_offsets"])])
                for name, entry in header.items()
            },
        )

    def change(self, facts: dict[str, Any], tensors: dict[str, ArrayLike]) -> "Parts":
        """Replace facts and tensors, or add new ones; return self."""
        self.metadata["facts"] = json.dumps(json.loads(self.metadata["facts"]) | facts)
        self.tensors |= {name: Tensor.of(values) for name, values in tensors.items()}
        return self

    def seal(self) -> bytes:
        """Return the payload with the digest of its facts and tensors."""
        digest = hashlib.sha256(self.metadata["facts"].encode())
        for name in ORDER:
            if name in self.tensors:
                tensor = self.tensors[name]
                digest.update(f"{name}{tuple(tensor.shape)}".encode() + tensor.content)
        self.metadata["sha256"] = digest.hexdigest()
        return self.write()

    def write(self) -> bytes:
        """Return the payload with its present digest."""
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
