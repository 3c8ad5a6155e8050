"""A folder of results that only ever grows: pictures, and a line of JSON for each.

    FOLDER/records.jsonl       a line for every picture, finished or failed
    FOLDER/judged.jsonl        a line for everything that a judge said of a picture
    FOLDER/pictures/KEY.png    the pictures; each also carries its line

A picture is written whole, then its line; a kill between the two is mended from what the picture carries, and a line
that was cut short is removed. One process at a time writes.
"""

import json
import os
import re
import warnings
from collections.abc import Iterable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from functools import cache
from io import FileIO
from pathlib import Path
from typing import Literal, Self, TypeVar

from pydantic import BaseModel, ConfigDict, ValidationError, model_validator

from artune.errors import ArtuneWarning, InputError, OutputError, PictureError
from artune.files import file_digest
from artune.images.picture import Picture
from artune.images.read import read_picture
from artune.images.write import write_picture
from artune.record import ALGORITHM, Record, run_key
from artune.spec.study import Example, RunSpec
from artune.spec.style import StyleSpec
from artune.studies.grid import weight_of

Side = Literal["content", "style"]
SIDES: tuple[Side, Side] = ("content", "style")
RECORDS, JUDGED, PICTURES = "records.jsonl", "judged.jsonl", "pictures"
TEMPORARY = re.compile(r"\..+\.[a-z0-9_]{8}")
"""Names of the files that `artune.files.atomic` leaves behind where it is killed."""


class Line(BaseModel):
    """A line of a file."""

    model_config = ConfigDict(frozen=True, extra="forbid")


L = TypeVar("L", bound=Line)


class Entry(Line):
    """A picture that was made, or was not.

    Attributes:
        key: of the spec as it was given, the files, the weights and the algorithm.
        run: what was asked for.
        record: what happened; of the losses the last of each.
        failed: why there is no picture.
    """

    key: str
    run: RunSpec
    record: Record | None = None
    failed: str = ""

    @property
    def manner(self) -> dict[str, str]:
        """See :func:`manner`."""
        record = self.record
        digests, versions = (record.digests, record.versions) if record else ({}, {})
        return manner(self.run.spec, digests, versions.get("algorithm", ""))


@dataclass(frozen=True)
class Failure:
    """Pictures that could not be made.

    Attributes:
        reason: why.
        runs: what was asked for; one at least.
    """

    reason: str
    runs: tuple[RunSpec, ...]

    def __str__(self) -> str:
        first, *more = self.runs
        others = f" and {len(more)} more" if more else ""
        return f"{first.content.file} in the style of {first.style.file}{others}: {self.reason}"


class Verdict(Line):
    """What a judge said of a picture.

    Attributes:
        picture: its key; of an untouched one, its file's digest and the size at which it was judged.
        side: what the judge recognises.
        judge: digest of its file.
        classes: that it knows.
        probabilities: of each.
    """

    picture: str
    side: Side
    judge: str
    classes: tuple[str, ...]
    probabilities: tuple[float, ...]

    @model_validator(mode="after")
    def _checked(self) -> Self:
        if not self.classes or len(self.classes) != len(self.probabilities):
            raise ValueError("a probability for each class is needed")
        return self

    @property
    def answer(self) -> str:
        """The class that it holds for the most probable."""
        return self.classes[self.probabilities.index(max(self.probabilities))]

    def of(self, label: str) -> float:
        """The probability of a class."""
        return self.probabilities[self.classes.index(label)]


def manner(spec: StyleSpec, digests: Mapping[str, str], algorithm: str = str(ALGORITHM)) -> dict[str, str]:
    """How a picture is made: what all of one experiment share, which differ in photograph, painting and weight alone.

    Args:
        spec: of its run.
        digests: of the network's ``weights``, and of the picture to ``start`` from, if there is one.
        algorithm: artune's number of it.
    """
    fields = {
        **spec.model_dump(mode="json", exclude={"method", "strength"}),
        **spec.method.model_dump(mode="json", exclude={"content_weight", "style_weight"}),
    }
    return {
        **{name: json.dumps(value) for name, value in fields.items()},
        "weights of the network": digests.get("weights", ""),
        "picture to start from": digests.get("start", ""),
        "strengths beside ratios": str(weight_of(spec).ratio),
        "artune's algorithm": algorithm,
    }


def differing(manners: Iterable[Mapping[str, str]]) -> list[str]:
    """Names of what is not the same in all of them."""
    seen = list(manners)
    return [name for name in seen[0] if len({each[name] for each in seen}) > 1]


def keyed(runs: Iterable[RunSpec], weights: Path | None = None) -> dict[str, RunSpec]:
    """Runs by what decides on their pictures; no network is loaded, and every file is read once.

    Args:
        runs: what is asked for.
        weights: file of the network's weights; the published ones go by the network's name.

    Raises:
        PictureError: a file cannot be read.
        InputError: a picture is in two classes.
    """

    @cache
    def digest(path: Path) -> str:
        try:
            return file_digest(path)
        except OSError as error:
            raise PictureError(f"cannot read {path}: {error.strerror}") from error

    found: dict[str, RunSpec] = {}
    owners: dict[tuple[str, str], Example] = {}
    for run in runs:
        digests = {side: digest(example.file) for side, example in (("content", run.content), ("style", run.style))}
        for side, example in (("content", run.content), ("style", run.style)):
            other = owners.setdefault((side, digests[side]), example)
            if other.label != example.label:
                raise InputError(
                    f"{other.file} and {example.file} are the same picture in two classes; take it out of either"
                )
        if weights is not None:
            digests["weights"] = digest(weights)
        if os.path.isfile(run.spec.method.start):
            digests["start"] = digest(Path(run.spec.method.start))
        found.setdefault(run_key(run.spec, digests), run)
    return found


@dataclass
class Store:
    """The results of a folder, open for more.

    Attributes:
        folder: where.
        entries: the last line of each picture, by key.
        verdicts: by picture, side and judge.
        records: the file of the former.
        judged: the file of the latter.
    """

    folder: Path
    entries: dict[str, Entry]
    verdicts: dict[tuple[str, str, str], Verdict]
    records: FileIO
    judged: FileIO

    @classmethod
    @contextmanager
    def open(cls, folder: Path) -> Iterator[Self]:
        """Make the folder, or mend what a killed process left in it.

        Raises:
            OutputError: when it cannot be written, holds something else, or another process is at work in it.
        """
        check_folder(folder)
        with ExitStack() as stack:
            try:
                (folder / PICTURES).mkdir(parents=True, exist_ok=True)
                records, judged = (stack.enter_context(FileIO(folder / name, "a")) for name in (RECORDS, JUDGED))
                _alone(records, folder)
                _mended(folder)
            except OSError as error:
                raise _refused(folder, error) from error
            store = cls(folder, read_entries(folder), read_verdicts(folder), records, judged)
            store._adopt()
            yield store

    def finished(self, key: str) -> bool:
        """Whether a picture is there; one that failed, was taken away or cut short is not, and is made again."""
        entry = self.entries.get(key)
        return entry is not None and entry.record is not None and _is_whole(self.picture(key))

    def check_alike(self, asked: Mapping[str, str]) -> None:
        """Raise unless the pictures that are there were made in the manner that is asked for.

        Raises:
            InputError: naming what differs.
        """
        there = [each.manner for key, each in self.entries.items() if self.finished(key)]
        if names := differing([asked, *there]):
            raise InputError(
                f"{self.folder} holds pictures of another experiment, which differ in {', '.join(names)}; choose a new "
                "folder"
            )

    def missing(self, runs: Mapping[str, RunSpec]) -> dict[str, RunSpec]:
        """Those of some runs whose pictures are still to be made."""
        return {key: run for key, run in runs.items() if not self.finished(key)}

    def failures(self, keys: Iterable[str]) -> list[Failure]:
        """Why pictures are missing, each reason once."""
        runs: dict[str, list[RunSpec]] = {}
        for entry in (self.entries[key] for key in keys):
            runs.setdefault(entry.failed, []).append(entry.run)
        return [Failure(reason, tuple(those)) for reason, those in runs.items()]

    def picture(self, key: str) -> Path:
        """Where a picture is."""
        return picture_file(self.folder, key)

    def add(self, entry: Entry, picture: Picture | None) -> None:
        """Keep a finished picture, or why there is none.

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
        """Keep what a judge said.

        Raises:
            OutputError: no space.
        """
        found = list(verdicts)
        self._append(self.judged, found)
        self.verdicts |= {(each.picture, each.side, each.judge): each for each in found}

    def _append(self, file: FileIO, lines: Iterable[Line]) -> None:
        data = b"".join(line.model_dump_json().encode() + b"\n" for line in lines)
        try:
            while data:
                data = data[file.write(data) :]
            os.fsync(file.fileno())
        except OSError as error:
            raise _refused(self.folder, error) from error

    def _adopt(self) -> None:
        """The lines of pictures that were written just before a kill."""
        for path in sorted((self.folder / PICTURES).glob("*.png")):
            if self.finished(path.stem):
                continue
            try:
                entry = Entry.model_validate(read_picture(path).note["entry"])
            except (PictureError, ValidationError, KeyError):
                continue  # not ours; if it is asked for, it is made anew
            if entry.key == path.stem:
                self.add(entry, None)


PNG_END = b"IEND\xaeB`\x82"
"""The last bytes of a PNG file."""


def _is_whole(path: Path) -> bool:
    try:
        with path.open("rb") as file:
            file.seek(-len(PNG_END), os.SEEK_END)
            return file.read() == PNG_END
    except OSError:
        return False


def check_folder(folder: Path) -> None:
    """Raise unless a folder is new, empty, or one of results.

    Raises:
        OutputError: naming what is there.
    """
    if folder.exists() and not folder.is_dir():
        raise OutputError(f"{folder} is no folder; choose another place")
    there = sorted(path.name for path in folder.iterdir()) if folder.is_dir() else []
    if there and RECORDS not in there and set(there) != {PICTURES}:
        raise OutputError(f"{folder} holds other files ({there[0]}) and no results to go on from; choose a new folder")


def picture_file(folder: Path, key: str) -> Path:
    """Where the picture of a key is in a folder of results."""
    return folder / PICTURES / f"{key}.png"


def read_result(path: Path) -> Picture:
    """A picture of a store.

    Raises:
        PictureError: it is damaged or gone; with what to do.
    """
    try:
        return read_picture(path)
    except PictureError as error:
        advice = "remove the file, and artune classes" if path.exists() else "artune classes"
        raise PictureError(f"{error}; {advice} makes it again") from error


def read_entries(folder: Path) -> dict[str, Entry]:
    """The last line of each picture, by key.

    Raises:
        InputError: when there are no results in the folder.
    """
    return {entry.key: entry for entry in _lines(folder / RECORDS, Entry)}


def read_verdicts(folder: Path) -> dict[tuple[str, str, str], Verdict]:
    """What judges said, by picture, side and judge, the latest last.

    Raises:
        InputError: when there are no results in the folder.
    """
    return {(each.picture, each.side, each.judge): each for each in _lines(folder / JUDGED, Verdict)}


def _lines(path: Path, kind: type[L]) -> Iterator[L]:
    """The whole lines of a file; the last may be at work, and a damaged one is as if it were not there."""
    try:
        data = path.read_bytes()
    except OSError as error:
        raise InputError(f"there are no results in {path.parent}: cannot read {path.name}: {error.strerror}") from error
    for number, line in enumerate(data.split(b"\n")[:-1], 1):
        try:
            yield kind.model_validate_json(line)
        except ValidationError:
            warnings.warn(f"line {number} of {path} is damaged, and left out", ArtuneWarning, stacklevel=2)


def _mended(folder: Path) -> None:
    """Remove what a kill cuts short: the last line of a file, and files that were not finished."""
    for name in (RECORDS, JUDGED):
        with (folder / name).open("rb+") as file:
            file.truncate(file.read().rfind(b"\n") + 1)
    for place in (folder, folder / PICTURES):
        for path in place.iterdir():
            if TEMPORARY.fullmatch(path.name):
                path.unlink()


def _alone(file: FileIO, folder: Path) -> None:
    """Hold a file for this process alone, until it ends, where the system can."""
    try:
        import fcntl
    except ImportError:
        return
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        raise OutputError(f"another run is at work in {folder}; wait for its end, or choose another folder") from error


def _refused(folder: Path, error: OSError) -> OutputError:
    if isinstance(error, OutputError):
        return error
    return OutputError(f"cannot write {folder}: {error.strerror or error}; free some space or choose another place")
