"""Finding the pictures of a folder."""

from collections import Counter
from pathlib import Path
from typing import NamedTuple

from artune.errors import PictureError
from artune.files import expanded
from artune.images.formats import READABLE


class Found(NamedTuple):
    """What is in a folder; hidden files are left out.

    Attributes:
        pictures: files with the suffix of a picture, by name.
        skipped: other files, and folders that were not searched.
    """

    pictures: list[Path]
    skipped: list[Path]

    def skipped_note(self) -> str:
        """What was skipped, in one line; empty where nothing was."""
        folders = sum(path.is_dir() for path in self.skipped)
        files = Counter(path.suffix.lower() or "no suffix" for path in self.skipped if not path.is_dir())
        parts = []
        if files:
            listed = ", ".join(f"{suffix} ({count})" for suffix, count in files.most_common(5))
            more = ", ..." if len(files) > 5 else ""
            count = files.total()
            parts.append(
                f"{count} file{'s' * (count > 1)} that {'are' if count > 1 else 'is'} no picture: {listed}{more}"
            )
        if folders:
            parts.append(f"{folders} sub-folder{'s' * (folders > 1)} (searched with `recursive`)")
        return f"skipped {' and '.join(parts)}" if parts else ""


def find_pictures(folder: Path | str, *, recursive: bool = False) -> Found:
    """The pictures of a folder, recognised by their suffixes.

    Args:
        folder: where to look.
        recursive: look into its sub-folders, too; links to folders are not followed.

    Raises:
        PictureError: the folder cannot be read, or holds no picture.
    """
    found = search_folder(folder, recursive=recursive)
    if not found.pictures:
        note = found.skipped_note()
        raise PictureError(
            f"there is no picture in {folder} (looked for {', '.join(READABLE)})" + (f"; {note}" if note else "")
        )
    return found


def search_folder(folder: Path | str, *, recursive: bool = False) -> Found:
    """What is in a folder, which may hold no picture; see ``find_pictures``."""
    folder = expanded(folder)
    pictures: list[Path] = []
    skipped: list[Path] = []
    pending = [folder]
    while pending:
        place = pending.pop()
        try:
            entries = [path for path in place.iterdir() if path.name[0] != "."]
        except OSError as error:
            if place == folder:
                raise PictureError(f"cannot read the folder {folder}: {error.strerror}") from error
            skipped.append(place)
            continue
        for path in entries:
            if path.is_dir():
                (pending if recursive and not path.is_symlink() else skipped).append(path)
            else:
                (pictures if path.suffix.lower() in READABLE else skipped).append(path)
    return Found(sorted(pictures), sorted(skipped))
