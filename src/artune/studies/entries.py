"""What a folder of results holds: its files, and what a line of each says.

FOLDER/records.jsonl       a line for every picture, finished or failed
FOLDER/judged.jsonl        a line for every answer of a judge to a picture
FOLDER/pictures/KEY.png    the pictures; each also carries its line
"""

import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, Self, TypeVar

from pydantic import BaseModel, ConfigDict, ValidationError, model_validator

from artune.errors import ArtuneWarning, InputError, PictureError
from artune.files import expanded
from artune.images.picture import Picture
from artune.images.read import read_picture
from artune.record import Record
from artune.spec.study import RunSpec
from artune.studies.keys import settings

Side = Literal["content", "style"]
SIDES: tuple[Side, Side] = ("content", "style")
RECORDS, JUDGED, PICTURES = "records.jsonl", "judged.jsonl", "pictures"


class JsonLine(BaseModel):
    """A line of a file."""

    model_config = ConfigDict(frozen=True, extra="forbid")


L = TypeVar("L", bound=JsonLine)


class Entry(JsonLine):
    """A picture that was made, or the reason why it was not.

    Attributes:
        key: see ``artune.studies.keys.keyed``.
        run: what was asked for.
        record: what happened, with the last value of each loss; ``None`` for a picture that failed.
        failed: why there is no picture; empty where there is one.
    """

    key: str
    run: RunSpec
    record: Record | None = None
    failed: str = ""

    @property
    def settings(self) -> dict[str, str]:
        """See ``artune.studies.keys.settings``."""
        if self.record is None:
            return settings(self.run.spec, {}, "")
        return settings(self.run.spec, self.record.digests, self.record.versions.get("algorithm", ""))


@dataclass(frozen=True)
class Failure:
    """Pictures that failed for the same reason.

    Attributes:
        reason: why they failed.
        runs: what was asked for; at least one.
    """

    reason: str
    runs: tuple[RunSpec, ...]

    def __str__(self) -> str:
        first, *more = self.runs
        others = f" and {len(more)} more" if more else ""
        return f"{first.content.file} in the style of {first.style.file}{others}: {self.reason}"


class Verdict(JsonLine):
    """A judge's answer to a picture.

    Attributes:
        picture: key of the picture; for an unchanged one the digest of its file and the size at which it was judged.
        side: what the judge recognises.
        judge: sha256 of the judge's file.
        classes: the classes that the judge knows.
        probabilities: of these classes, in the same order.
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
        """The most probable class."""
        return self.classes[self.probabilities.index(max(self.probabilities))]

    def probability(self, label: str) -> float:
        """The probability of a class."""
        return self.probabilities[self.classes.index(label)]


Verdicts = dict[tuple[str, str, str], Verdict]
"""Verdicts by picture, side and judge."""


def picture_file(folder: Path, key: str) -> Path:
    """The file of a picture in a folder of results."""
    return folder / PICTURES / f"{key}.png"


def read_result(path: Path) -> Picture:
    """A picture of a folder of results.

    Raises:
        PictureError: it is damaged or gone; the message says what to do.
    """
    try:
        return read_picture(path)
    except PictureError as error:
        advice = "remove the file and run" if expanded(path).exists() else "run"
        raise PictureError(f"{error}; {advice} the study again, which makes it anew") from error


def read_entries(folder: Path) -> dict[str, Entry]:
    """The last line of each picture, by key.

    Raises:
        InputError: there are no results in the folder.
    """
    return {entry.key: entry for entry in _lines(folder / RECORDS, Entry)}


def read_verdicts(folder: Path) -> Verdicts:
    """The last verdict of each judge on each picture.

    Raises:
        InputError: there are no results in the folder.
    """
    return {(each.picture, each.side, each.judge): each for each in _lines(folder / JUDGED, Verdict)}


def _lines(path: Path, kind: type[L]) -> Iterator[L]:
    """The lines of a file, without damaged ones and without an unfinished last one, which may be being written."""
    path = expanded(path)
    try:
        data = path.read_bytes()
    except OSError as error:
        raise InputError(f"there are no results in {path.parent}: cannot read {path.name}: {error.strerror}") from error
    for number, line in enumerate(data.split(b"\n")[:-1], 1):
        try:
            yield kind.model_validate_json(line)
        except ValidationError:
            warnings.warn(f"line {number} of {path} is damaged, and left out", ArtuneWarning, stacklevel=2)
