"""Writing that is whole or not at all, digests, and checkpoints."""

import contextlib
import hashlib
import json
import os
import struct
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from artune.errors import CheckpointError, OutputError

if TYPE_CHECKING:
    from torch import Tensor


@contextlib.contextmanager
def atomic(path: Path, *, sync: bool = True, replace: bool = True) -> Iterator[Path]:
    """A temporary file beside ``path`` that takes its place when the block ends well.

    A kill at any moment leaves the old file or the new one; with ``sync`` a power cut does too. A link is followed,
    so that it stays a link.

    Raises:
        OutputError: when the place cannot be written or the disk is full; or, without ``replace``, when there is a
            file by now.
    """
    path = Path(os.path.realpath(path))
    temporary: Path | None = None
    with _told(path):
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            if path.exists() and not path.is_file():
                raise OutputError(f"cannot write {path}: it is no regular file; choose another place")
            handle, name = tempfile.mkstemp(prefix=f".{path.name[:40]}.", dir=path.parent)
            os.close(handle)
            temporary = Path(name)
            yield temporary
            if sync:
                with temporary.open("rb+") as file:
                    os.fsync(file.fileno())
            mode = path.stat().st_mode & 0o777 if path.exists() else 0o666 & ~_umask()
            temporary.chmod(mode)
            if replace:
                os.replace(temporary, path)
                temporary = None
            else:
                _publish(temporary, path)
        finally:
            if temporary is not None:
                temporary.unlink(missing_ok=True)


@contextlib.contextmanager
def atomic_folder(path: Path) -> Iterator[Path]:
    """A temporary folder beside ``path`` that takes its place when the block ends well; else nothing is left.

    Args:
        path: a new folder, or an empty one.

    Raises:
        OutputError: when the place cannot be written, or holds something by now.
    """
    path = Path(os.path.realpath(path))
    with _told(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix=f".{path.name[:40]}.", dir=path.parent) as kept:
            temporary = Path(kept) / path.name
            temporary.mkdir()
            yield temporary
            os.replace(temporary, path)


def write(path: Path, data: bytes) -> None:
    """Write a file, whole or not at all.

    Raises:
        OutputError: when the place cannot be written or the disk is full.
    """
    with atomic(path) as temporary:
        temporary.write_bytes(data)


def write_together(folder: Path, files: Mapping[str, bytes]) -> None:
    """Write files by name, all or none of them.

    In a folder that exists they take their places one after the other, in the order given, once all are on the disk: a
    kill just then leaves some old and some new ones, each whole.

    Raises:
        OutputError: when the place cannot be written or the disk is full.
    """
    if not folder.exists():
        with atomic_folder(folder) as begun:
            for name, data in files.items():
                _write(begun / name, data, folder / name)
        return
    with contextlib.ExitStack() as stack:
        places = {name: stack.enter_context(atomic(folder / name, sync=False)) for name in reversed([*files])}
        for name, data in files.items():
            _write(places[name], data, folder / name)


def _write(path: Path, data: bytes, shown: Path) -> None:
    """Bytes to the disk; an error names the place ``shown``."""
    with _told(shown), path.open("wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())


@contextlib.contextmanager
def _told(path: Path) -> Iterator[None]:
    """What the system says against writing, as an :class:`OutputError` with what to do."""
    try:
        yield
    except OutputError:
        raise
    except OSError as error:
        raise OutputError(
            f"cannot write {path}: {error.strerror or error}; free some space or choose another place"
        ) from error


def _publish(temporary: Path, path: Path) -> None:
    """Give a whole file its second name, if there is none of that name."""
    try:
        os.link(temporary, path)
    except OSError:  # there is one, or the file system has no hard links
        if os.path.lexists(path):
            raise OutputError(f"{path} was written by another run meanwhile; choose another place") from None
        os.rename(temporary, path)


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask


def check_writable(path: Path) -> None:
    """Raise before the work begins, not after it.

    Raises:
        OutputError: when a file cannot be made at ``path``.
    """
    try:
        if path.is_dir():
            raise OutputError(f"cannot write {path}: it is a folder; give a file name such as {path / 'out.png'}")
        if path.exists() and not path.is_file():
            raise OutputError(f"cannot write {path}: it is no regular file; choose another place")
        parent = path.parent
        while not parent.exists() and parent != parent.parent:
            parent = parent.parent
        if not parent.is_dir():
            raise OutputError(f"cannot write {path}: {parent} is not a folder; choose another place")
        with tempfile.TemporaryFile(dir=parent):
            pass
    except OSError as error:
        if isinstance(error, OutputError):
            raise
        raise OutputError(f"cannot write {path}: {error.strerror or error}; choose another place") from error


def file_digest(path: Path) -> str:
    """sha256 of a file, in hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def save_checkpoint(path: Path, tensors: "Mapping[str, Tensor]", about: Mapping[str, Any]) -> None:
    """Write tensors and plain data to one safetensors file, atomically but without waiting for the disk."""
    with atomic(path, sync=False) as temporary:
        whole = {name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}
        text = json.dumps(about)
        write_tensors(temporary, whole, {"artune": text, "sha256": _digest_of(whole, text)})


_KINDS = {"torch.float32": "F32", "torch.float64": "F64", "torch.int64": "I64"}
"""Names of safetensors for what states are made of."""


def write_tensors(path: Path, tensors: "Mapping[str, Tensor]", metadata: Mapping[str, str]) -> None:
    """A safetensors file of contiguous tensors on the CPU: fp32, fp64, int64.

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
    """What :func:`save_checkpoint` wrote.

    Raises:
        CheckpointError: when the file is damaged or is no checkpoint of artune.
    """
    with _checkpoint(path) as file:
        metadata = file.metadata() or {}
        tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 - not a dict
        if metadata["sha256"] != _digest_of(tensors, metadata["artune"]):
            raise ValueError("its sha256 is another")
        return tensors, json.loads(metadata["artune"])


def read_about(path: Path) -> Any:
    """The plain data of what :func:`save_checkpoint` wrote; the tensors are not read.

    Raises:
        CheckpointError: when the file is damaged or is no checkpoint of artune.
    """
    with _checkpoint(path) as file:
        return json.loads((file.metadata() or {})["artune"])


@contextlib.contextmanager
def _checkpoint(path: Path) -> Iterator[Any]:
    """The file, open; whatever is wrong with it is said in words."""
    from safetensors import SafetensorError, safe_open

    if not os.path.exists(path):
        raise CheckpointError(f"there is no checkpoint {path} to resume from")
    try:
        with safe_open(path, framework="pt") as file:
            yield file
    except (SafetensorError, KeyError, ValueError, OSError) as error:
        reason = "it is damaged or no checkpoint of artune"
        raise CheckpointError(f"cannot resume from {path}: {reason} ({error}); remove it to start anew") from error
