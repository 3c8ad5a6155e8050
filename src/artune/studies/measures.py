"""Judges' answers to the pictures of a study; a judge sees every picture once."""

from collections.abc import Callable, Container, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import groupby
from pathlib import Path
from typing import Protocol, Self, runtime_checkable

import torch
from jaxtyping import Float
from torch import Tensor

from artune.backbones.base import Image
from artune.errors import PictureError, UnknownNameError
from artune.files import file_digest
from artune.images.picture import Picture
from artune.images.read import read_picture
from artune.judges.classes import ClassJudge
from artune.spec.study import Example
from artune.studies.entries import Side, Verdict, read_result
from artune.studies.store import Store
from artune.transfer.sizes import fitted

BATCH = 32
"""Number of pictures that a judge sees at once."""


@runtime_checkable
class Classifier(Protocol):
    """A network that tells classes apart, such as ``artune.judges.classes.ClassJudge``."""

    @property
    def classes(self) -> tuple[str, ...]:
        """Names of the classes."""

    def probabilities(self, images: Image, /) -> Float[Tensor, "b classes"]:
        """The probability of each class for pictures ``[b, 3, h, w]`` of any size, sRGB in [0, 1]."""


@dataclass(frozen=True)
class StudyJudge:
    """The judge of one side of a study.

    Attributes:
        side: what it recognises.
        classifier: the network.
        digest: sha256 of its file, by which its answers are found again.
        name: name of its file.
    """

    side: Side
    classifier: Classifier
    digest: str
    name: str = ""

    @classmethod
    def load(cls, side: Side, file: Path) -> Self:
        """A class judge from its file.

        Raises:
            WeightsError: the file is missing, damaged, or holds something else.
        """
        judge = ClassJudge.load(file)
        return cls(side, judge, judge.digest, file.name)

    def check_classes(self, labels: Iterable[str]) -> None:
        """Raise unless the judge knows all of some classes.

        Raises:
            UnknownNameError: naming the first that it does not know.
        """
        for label in labels:
            if label not in self.classifier.classes:
                raise UnknownNameError("class", label, self.classifier.classes, where=f"the {self.side} judge")


@dataclass(frozen=True)
class Untouched:
    """How well a judge recognises unchanged photographs or paintings, to compare the results' accuracies with.

    Attributes:
        accuracy: share of the pictures that is recognised.
        count: number of pictures.
        known: number of classes that the judge tells apart; it is right by chance in 1 of them.
        judge: name of the judge's file.
        digest: sha256 of the judge's file.
    """

    accuracy: float
    count: int
    known: int
    judge: str = ""
    digest: str = ""


OnJudged = Callable[[int, int], None]
"""Called with the number of pictures that are judged, and the number of all that are to be judged."""


def judge_pictures(
    judge: StudyJudge,
    keys: Iterable[str],
    examples: Iterable[Example],
    size: int,
    store: Store,
    on_judged: OnJudged | None = None,
) -> Untouched:
    """Let a judge see results, and unchanged pictures of its side, unless it has seen them; keep its answers.

    Args:
        judge: the judge.
        keys: of the results.
        examples: the photographs or paintings that the results were made of; at least one can be read, and the others
            are left out.
        size: longer side at which these are judged, pixels: that of the results.
        store: holds the results; takes the answers.
        on_judged: called as the work goes on.

    Returns:
        How well the judge recognises the unchanged pictures.

    Raises:
        OutputError: the store cannot be written.
        PictureError: a result cannot be read.
    """
    unchanged = {f"{file_digest(example.file)}@{size}": example for example in examples}
    readers: dict[str, Callable[[], Picture]] = {
        **{key: partial(read_result, store.picture(key)) for key in keys},
        **{key: partial(_read_at, example.file, size) for key, example in unchanged.items()},
    }

    def verdict(key: str) -> Verdict | None:
        found = store.verdicts.get((key, judge.side, judge.digest))
        return found if found and found.classes == tuple(judge.classifier.classes) else None

    new = {key: read for key, read in readers.items() if verdict(key) is None}
    done = 0
    for batch in _batches(_read(new, unchanged)):
        store.add_verdicts(_verdicts(judge, batch))
        done += len(batch)
        if on_judged:
            on_judged(done, len(new))
    answers = {key: found.answer for key in unchanged if (found := verdict(key))}
    hits = [answer == unchanged[key].label for key, answer in answers.items()]
    return Untouched(sum(hits) / len(hits), len(hits), len(judge.classifier.classes), judge.name, judge.digest)


def _read(readers: Mapping[str, Callable[[], Picture]], optional: Container[str]) -> Iterator[tuple[str, Picture]]:
    """Pictures by key; optional ones that cannot be read are left out."""
    for key, read in readers.items():
        try:
            yield key, read()
        except PictureError:
            if key not in optional:
                raise


def _verdicts(judge: StudyJudge, batch: Sequence[tuple[str, Picture]]) -> list[Verdict]:
    """The answers of a judge to pictures of one size."""
    with torch.inference_mode():
        found = judge.classifier.probabilities(torch.cat([picture.tensor() for _, picture in batch]))
    return [
        Verdict(
            picture=key,
            side=judge.side,
            judge=judge.digest,
            classes=tuple(judge.classifier.classes),
            probabilities=tuple(probabilities),
        )
        for (key, _), probabilities in zip(batch, found.float().cpu().tolist(), strict=True)
    ]


def _batches(pictures: Iterable[tuple[str, Picture]]) -> Iterator[list[tuple[str, Picture]]]:
    """Pictures of one size that follow each other, at most ``BATCH``."""
    for _, alike in groupby(pictures, key=lambda item: item[1].size):
        batch: list[tuple[str, Picture]] = []
        for item in alike:
            batch.append(item)
            if len(batch) == BATCH:
                yield batch
                batch = []
        if batch:
            yield batch


def _read_at(path: Path, size: int) -> Picture:
    """A picture, resized to a longer side in pixels."""
    picture = read_picture(path)
    return picture.resized(*fitted(*picture.size, size))
