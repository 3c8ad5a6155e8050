"""What a folder of results holds.

FOLDER/study.sqlite            the database: what was asked for, what happened, what was measured
FOLDER/study.lock              locked while a process writes
FOLDER/pictures/AB/KEY.png     the pictures, by the first two characters of their keys
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, Self

from pydantic import BaseModel, ConfigDict, model_validator

from artune.errors import PictureError
from artune.files import expanded
from artune.images.picture import Picture
from artune.images.read import read_picture
from artune.record import Record
from artune.spec.study import RunSpec
from artune.studies.keys import settings

Side = Literal["content", "style"]
SIDES: tuple[Side, Side] = ("content", "style")
DATABASE, LOCK, PICTURES = "study.sqlite", "study.lock", "pictures"


class Entry(BaseModel):
    """A picture that was made, or the reason why it was not.

    Attributes:
        key: see ``artune.studies.keys.keyed``.
        run: what was asked for.
        record: what happened, with the last value of each loss, or with all; ``None`` for a picture that failed.
        failed: why there is no picture; empty where there is one.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

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


@dataclass(frozen=True, slots=True)
class Measured:
    """A value of a measure of a picture.

    Attributes:
        value: the value; NaN where it is not defined.
        by: what measured it: the digest of weights, or a setting. A value by another is another value.
        detail: more about it that JSON can hold, such as the classes and probabilities of a judge.
    """

    value: float
    by: str = ""
    detail: Mapping[str, Any] = field(default_factory=dict)


Values = Mapping[str, Measured]
"""Values of a picture, by the name of the measure."""


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


class Verdict(BaseModel):
    """A judge's answer to a picture.

    Attributes:
        picture: key of the picture; for an unchanged one the digest of its file and the size at which it was judged.
        side: what the judge recognises.
        judge: sha256 of the judge's file.
        classes: the classes that the judge knows.
        probabilities: of these classes, in the same order.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

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
    return folder / PICTURES / key[:2] / f"{key}.png"


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
