"""The store: a folder of results (``artune.studies.entries``), open for more.

A folder of results only ever grows. A picture is written whole, then its line; if the process is killed between the
two, the line is restored from the copy that the picture carries, and a line that was cut short is removed. One process
at a time writes.
"""

import os
from collections.abc import Iterable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from io import FileIO
from pathlib import Path
from typing import Self

from pydantic import ValidationError

from artune.errors import InputError, OutputError, PictureError
from artune.files import expanded, temporary_files
from artune.images.picture import Picture
from artune.images.read import read_picture
from artune.images.write import write_picture
from artune.spec.study import RunSpec
from artune.studies.entries import (
    JUDGED,
    PICTURES,
    RECORDS,
    Entry,
    Failure,
    JsonLine,
    Verdict,
    Verdicts,
    picture_file,
    read_entries,
    read_verdicts,
)
from artune.studies.keys import differences

PNG_END = b"IEND\xaeB`\x82"
"""The last bytes of a PNG file."""


@dataclass
class Store:
    """A folder of results, open for more.

    Attributes:
        folder: the folder.
        entries: the last line of each picture, by key.
        verdicts: the last verdict of each judge on each picture.
        records: the open file of the entries.
        judged: the open file of the verdicts.
    """

    folder: Path
    entries: dict[str, Entry]
    verdicts: Verdicts
    records: FileIO
    judged: FileIO

    @classmethod
    @contextmanager
    def open(cls, folder: Path) -> Iterator[Self]:
        """Open a folder; make it if it is missing, and repair what a killed process left in it.

        Raises:
            OutputError: it cannot be written, holds something else, or another process is writing to it.
        """
        folder = expanded(folder)
        check_folder(folder)
        with ExitStack() as stack:
            try:
                (folder / PICTURES).mkdir(parents=True, exist_ok=True)
                records, judged = (stack.enter_context(FileIO(folder / name, "a")) for name in (RECORDS, JUDGED))
                _lock(records, folder)
                _repair(folder)
            except OSError as error:
                raise _refused(folder, error) from error
            store = cls(folder, read_entries(folder), read_verdicts(folder), records, judged)
            store._adopt()
            yield store

    def finished(self, key: str) -> bool:
        """Whether a picture is there as a whole; one that failed, is gone or was cut short is made again."""
        entry = self.entries.get(key)
        return entry is not None and entry.record is not None and _is_whole(self.picture(key))

    def check_settings(self, asked: Mapping[str, str]) -> None:
        """Raise unless the finished pictures were made with the settings that are asked for.

        Args:
            asked: what ``artune.studies.keys.settings`` returns.

        Raises:
            InputError: naming what differs.
        """
        there = [entry.settings for key, entry in self.entries.items() if self.finished(key)]
        if names := differences([*there, asked]):
            old = any("auto" in (each["device"], each["precision"]) for each in there)
            why = ". Its device and precision were left to `auto` by an earlier version of artune" if old else ""
            raise InputError(
                f"{self.folder} holds pictures of another study, which differ in {', '.join(names)}{why}; choose a new "
                "folder"
            )

    def missing(self, runs: Mapping[str, RunSpec]) -> dict[str, RunSpec]:
        """The runs whose pictures are not finished."""
        return {key: run for key, run in runs.items() if not self.finished(key)}

    def failures(self, keys: Iterable[str]) -> list[Failure]:
        """Why pictures failed, by reason."""
        runs: dict[str, list[RunSpec]] = {}
        for entry in (self.entries[key] for key in keys):
            runs.setdefault(entry.failed, []).append(entry.run)
        return [Failure(reason, tuple(those)) for reason, those in runs.items()]

    def picture(self, key: str) -> Path:
        """The file of a picture."""
        return picture_file(self.folder, key)

    def add(self, entry: Entry, picture: Picture | None) -> None:
        """Write a finished picture and its line, or the line of a failed one.

        Raises:
            OutputError: no permission, no space.
        """
        if picture is not None and entry.record is not None:
            note = {
                "artune": entry.record.versions.get("artune", ""),
                "spec": entry.record.spec.model_dump(mode="json"),
                "entry": entry.model_dump(mode="json"),
            }
            write_picture(replace(picture, note=note), self.picture(entry.key))
        self._append(self.records, [entry])
        self.entries[entry.key] = entry

    def add_verdicts(self, verdicts: Iterable[Verdict]) -> None:
        """Write the answers of a judge.

        Raises:
            OutputError: no space.
        """
        found = list(verdicts)
        self._append(self.judged, found)
        self.verdicts |= {(each.picture, each.side, each.judge): each for each in found}

    def _append(self, file: FileIO, lines: Iterable[JsonLine]) -> None:
        data = b"".join(line.model_dump_json().encode() + b"\n" for line in lines)
        try:
            while data:
                data = data[file.write(data) :]
            os.fsync(file.fileno())
        except OSError as error:
            raise _refused(self.folder, error) from error

    def _adopt(self) -> None:
        """Restore the lines of pictures that were written just before the process was killed."""
        for path in sorted((self.folder / PICTURES).glob("*.png")):
            if self.finished(path.stem):
                continue
            try:
                entry = Entry.model_validate(read_picture(path).note["entry"])
            except (PictureError, ValidationError, KeyError):
                continue  # not a picture of ours: made anew if it is asked for
            if entry.key == path.stem:
                self.add(entry, None)


def _is_whole(path: Path) -> bool:
    try:
        with path.open("rb") as file:
            file.seek(-len(PNG_END), os.SEEK_END)
            return file.read() == PNG_END
    except OSError:
        return False


def check_folder(folder: Path) -> None:
    """Raise unless a folder is new, is empty, or holds results.

    Raises:
        OutputError: naming what is there instead.
    """
    folder = expanded(folder)
    if folder.exists() and not folder.is_dir():
        raise OutputError(f"{folder} is not a folder; choose another place")
    there = sorted(path.name for path in folder.iterdir()) if folder.is_dir() else []
    if there and RECORDS not in there and set(there) != {PICTURES}:
        raise OutputError(f"{folder} holds other files ({there[0]}) and no results of a study; choose a new folder")


def _repair(folder: Path) -> None:
    """Remove what a killed process left unfinished: the last line of a file, and temporary files."""
    for name in (RECORDS, JUDGED):
        with (folder / name).open("rb+") as file:
            file.truncate(file.read().rfind(b"\n") + 1)
    for place in (folder, folder / PICTURES):
        for path in temporary_files(place):
            path.unlink()


def _lock(file: FileIO, folder: Path) -> None:
    """Lock a file for this process until it is closed, where the system can."""
    try:
        import fcntl
    except ImportError:
        return
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        raise OutputError(f"another process is writing to {folder}; wait for its end, or choose another one") from error


def _refused(folder: Path, error: OSError) -> OutputError:
    if isinstance(error, OutputError):
        return error
    return OutputError(f"cannot write {folder}: {error.strerror or error}; free some space or choose another place")
