"""Where a film goes, and what would be lost there."""

import os
import re
from collections.abc import Iterable
from pathlib import Path

from artune.errors import OutputError, PictureError
from artune.files import check_writable, expanded
from artune.video.stills import is_pattern, numbered_name, pictures_of_pattern

_NUMBERED = re.compile(r"\d{4,}\.[a-z]+")
"""Names of the pictures that a folder gets."""


def result_files(out: Path | str) -> list[Path]:
    """The files of a result that there are: a film, an animation, or the numbered pictures of a pattern or a folder."""
    out = expanded(out)
    if out.is_dir():
        return sorted(path for path in out.iterdir() if _NUMBERED.fullmatch(path.name))
    if is_pattern(out):
        try:
            return pictures_of_pattern(out)
        except PictureError:
            return []
    return [out] if os.path.lexists(out) else []


def check_place(out: Path | str, inputs: Iterable[Path | str] = (), *, replace: bool = False) -> None:
    """Raise unless a film can be written without losing anything.

    Args:
        out: the film, an animation, a pattern of the names of numbered pictures, or a folder for them.
        inputs: files, patterns and folders that are read.
        replace: whether what is there may be replaced.

    Raises:
        OutputError: one of the inputs would be lost; there is something, and it may not be replaced; or nothing can be
            written there.
    """
    place, there = expanded(out), result_files(out)
    read = {identity: path for source in inputs for path in _read_files(source) if (identity := _identity(path))}
    for file in there:
        if (identity := _identity(file)) in read:
            raise OutputError(f"{read[identity]} is one of the inputs, and would be lost; choose another result")
    if there and not replace:
        raise OutputError(f"{there[0]} exists; `overwrite` replaces {'it' if len(there) == 1 else 'all of them'}")
    if place.is_dir():
        if any(place.iterdir()) and not replace:
            raise OutputError(f"{place} exists and is not empty; give a new folder, or `overwrite`")
        place = place / "0001.png"
    elif is_pattern(place):
        place = numbered_name(place, 1)
    check_writable(place)


def _read_files(source: Path | str) -> list[Path]:
    """The files of an input, as far as they may be those of a film."""
    path = expanded(source)
    if path.is_dir():
        return [*path.iterdir()]
    return result_files(path)


def _identity(path: Path) -> tuple[int, int] | None:
    """What tells a file from others, by whatever name; ``None`` if there is none."""
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_dev, found.st_ino
