"""Files that are written whole or not at all, and digests."""

import contextlib
import errno
import hashlib
import os
import re
import secrets
import tempfile
from collections.abc import Iterable, Iterator, Mapping
from itertools import count
from pathlib import Path

from artune.errors import OutputError


def expanded(path: Path | str) -> Path:
    """The path with ``~`` and ``~name`` replaced by the user's home; as it is where there is no such user.

    Every function that opens a file or a folder of the user's calls this first; the paths in a spec went through it.
    """
    return Path(os.path.expanduser(path))


@contextlib.contextmanager
def atomic(path: Path, *, sync: bool = True, replace: bool = True) -> Iterator[Path]:
    """A temporary file beside ``path`` that takes its place when the block ends well.

    A kill at any moment leaves the old file or the new one; with ``sync`` a power cut does too. A link is followed,
    so that it stays a link.

    Raises:
        OutputError: when the place cannot be written or the disk is full; or, without ``replace``, when there is a
            file by now.
    """
    path = Path(os.path.realpath(expanded(path)))
    temporary: Path | None = None
    with _output_errors(path):
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            if path.exists() and not path.is_file():
                raise OutputError(f"cannot write {path}: it is no regular file; choose another place")
            temporary = _new_beside(path)
            yield temporary
            if sync:
                with temporary.open("rb+") as file:
                    os.fsync(file.fileno())
            if path.exists():
                temporary.chmod(path.stat().st_mode & 0o777)
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
    path = Path(os.path.realpath(expanded(path)))
    with _output_errors(path):
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
    folder = expanded(folder)
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
    with _output_errors(shown), path.open("wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())


@contextlib.contextmanager
def _output_errors(path: Path) -> Iterator[None]:
    """Errors of the system on writing, as an ``OutputError`` that says what to do."""
    try:
        yield
    except OutputError:
        raise
    except OSError as error:
        raise OutputError(
            f"cannot write {path}: {error.strerror or error}; free some space or choose another place"
        ) from error


def _publish(temporary: Path, path: Path) -> None:
    """Move a finished file to its place, unless a file is there by now."""
    try:
        os.link(temporary, path)
    except OSError:  # there is one, or the file system has no hard links
        if os.path.lexists(path):
            raise OutputError(f"{path} was written by another run meanwhile; choose another place") from None
        os.rename(temporary, path)


def free_name(path: Path) -> Path:
    """A name beside a file that is taken: ``a-2.png`` for ``a.png``, or the next number that is free."""
    names = (path.with_name(f"{path.stem}-{number}{path.suffix}") for number in count(2))
    return next(name for name in names if not os.path.lexists(name))


def _new_beside(path: Path) -> Path:
    """An empty file in the folder of ``path``; the system gives it the user's permissions, by the umask."""
    while True:
        temporary = path.with_name(f"{_beginning(path.name)}{secrets.token_hex(4)}")
        with contextlib.suppress(FileExistsError):
            os.close(os.open(temporary, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o666))
            return temporary


def _beginning(name: str) -> str:
    """Beginning of the names of a file's temporary files; eight hexadecimal digits follow."""
    return f".{name[:40]}."


def temporary_files(folder: Path, name: str = "") -> list[Path]:
    """The temporary files of ``atomic`` in a folder; a process that is killed leaves its own there.

    Args:
        folder: where to look.
        name: name of the file whose place they were to take; default: any.
    """
    beginning = re.escape(_beginning(name)) if name else r"\..+\."
    return [path for path in folder.glob(".*") if re.fullmatch(beginning + "[0-9a-f]{8}", path.name)]


def is_full(error: OSError) -> bool:
    """Whether a file could not be written because the disk, or the user's share of it, is full."""
    cause = error.__cause__ if isinstance(error, OutputError) else error
    return isinstance(cause, OSError) and cause.errno in (errno.ENOSPC, errno.EDQUOT)


def check_writable(path: Path) -> None:
    """Raise before the work begins, rather than when it is done and cannot be saved.

    Raises:
        OutputError: when a file cannot be made at ``path``.
    """
    path = expanded(path)
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
    with expanded(path).open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def without_copies(paths: Iterable[Path]) -> list[Path]:
    """Files without those that hold the same as an earlier one; one that cannot be read is kept.

    Args:
        paths: the files.
    """
    first: dict[str, Path] = {}
    for path in paths:
        try:
            digest = file_digest(path)
        except OSError:
            digest = str(path)
        first.setdefault(digest, path)
    return [*first.values()]
