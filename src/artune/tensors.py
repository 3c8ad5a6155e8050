"""Checkpoints: tensors and plain data in one safetensors file."""

import contextlib
import hashlib
import json
import os
import struct
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from artune.errors import CheckpointError
from artune.files import atomic, expanded

if TYPE_CHECKING:
    from torch import Tensor


def save_checkpoint(path: Path, tensors: "Mapping[str, Tensor]", about: Mapping[str, Any]) -> None:
    """Write tensors and plain data to one safetensors file, atomically but without waiting for the disk."""
    with atomic(path, sync=False) as temporary:
        whole = {name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}
        text = json.dumps(about)
        write_tensors(temporary, whole, {"artune": text, "sha256": _digest_of(whole, text)})


_KINDS = {
    "torch.uint8": "U8",
    "torch.float16": "F16",
    "torch.float32": "F32",
    "torch.float64": "F64",
    "torch.int64": "I64",
}
"""Names of safetensors for what states, and files of trained styles, are made of."""


def write_tensors(path: Path, tensors: "Mapping[str, Tensor]", metadata: Mapping[str, str]) -> None:
    """A safetensors file of contiguous tensors on the CPU: uint8, fp16, fp32, fp64, int64.

    Without the copy of all tensors that the library's own writer makes; and what is the same has the same bytes, where
    that writer puts the metadata in any order.
    """
    header: dict[str, Any] = {"__metadata__": metadata}
    end = 0
    aligned = sorted(tensors.items(), key=lambda item: -item[1].itemsize)
    for name, tensor in aligned:
        begin, end = end, end + tensor.nbytes
        header[name] = {"dtype": _KINDS[str(tensor.dtype)], "shape": [*tensor.shape], "data_offsets": [begin, end]}
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)  # tensors begin at a multiple of eight bytes
    with path.open("wb") as file:
        file.write(struct.pack("<Q", len(text)) + text)
        for _, tensor in aligned:
            file.write(tensor.numpy().data)


def _digest_of(tensors: "Mapping[str, Tensor]", text: str) -> str:
    seen = hashlib.sha256(text.encode())
    for name in sorted(tensors):
        seen.update(name.encode())
        seen.update(tensors[name].numpy().data)
    return seen.hexdigest()


def load_checkpoint(path: Path) -> "tuple[dict[str, Tensor], dict[str, Any]]":
    """What ``save_checkpoint`` wrote.

    Raises:
        CheckpointError: when the file is damaged or is no checkpoint of artune.
    """
    with _checkpoint(path) as file:
        metadata = file.metadata() or {}
        tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 - not a dict
        if metadata["sha256"] != _digest_of(tensors, metadata["artune"]):
            raise ValueError("its sha256 is another")
        return tensors, json.loads(metadata["artune"])


@contextlib.contextmanager
def _checkpoint(path: Path) -> Iterator[Any]:
    """The file, open; whatever is wrong with it is said in words."""
    from safetensors import SafetensorError, safe_open

    path = expanded(path)
    if not os.path.exists(path):
        raise CheckpointError(f"there is no checkpoint {path} to resume from")
    try:
        with safe_open(path, framework="pt") as file:
            yield file
    except (SafetensorError, KeyError, ValueError, OSError) as error:
        reason = "it is damaged or no checkpoint of artune"
        raise CheckpointError(f"cannot resume from {path}: {reason} ({error}); remove it to start anew") from error
