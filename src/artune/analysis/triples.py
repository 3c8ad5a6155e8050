"""Triples of photograph, painting and result, from folders."""

from pathlib import Path

from artune.errors import InputError
from artune.files import expanded
from artune.images.find import search_folder
from artune.images.read import read_picture

NAMES = ("content", "style", "result")
"""Names of the files of a triple, without their suffixes."""


def read_triples(folder: Path) -> tuple[tuple[Path, Path, Path], ...]:
    """The files of triples.

    Args:
        folder: holds a folder for each, with ``content``, ``style`` and ``result``, each with the suffix of a picture.

    Raises:
        InputError: there is no folder, or a picture is missing.
        PictureError: a picture cannot be read.
    """
    folder = expanded(folder)
    places = sorted(path for path in folder.glob("*") if path.is_dir())
    if not places:
        raise InputError(f"there is no triple in {folder}; it must hold folders with {', '.join(NAMES)} in each")
    found = []
    for place in places:
        files = {path.stem: path for path in search_folder(place).pictures}
        if lacking := [name for name in NAMES if name not in files]:
            raise InputError(f"{place} holds no picture called {lacking[0]}; a triple is {', '.join(NAMES)}")
        content, style, result = (files[name] for name in NAMES)
        for file in (content, style, result):
            read_picture(file)
        found.append((content, style, result))
    return tuple(found)
