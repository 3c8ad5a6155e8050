"""What networks that know the classes say of the pictures; every picture is shown to a judge once."""

from collections.abc import Callable, Container, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import groupby
from pathlib import Path
from typing import Protocol

import torch
from jaxtyping import Float
from torch import Tensor

from artune.backbones.base import Image
from artune.errors import PictureError, UnknownNameError
from artune.files import file_digest
from artune.images.picture import Picture
from artune.images.read import read_picture
from artune.spec.study import Example
from artune.studies.store import Side, Store, Verdict, read_result
from artune.transfer.sizes import fitted

BATCH = 32
"""Pictures that a judge sees at once."""


class Classifier(Protocol):
    """A network that tells classes apart."""

    @property
    def classes(self) -> tuple[str, ...]:
        """Their names."""

    def probabilities(self, images: Image, /) -> Float[Tensor, "b classes"]:
        """Of each class, for every picture; any size, sRGB in [0, 1]."""


@dataclass(frozen=True)
class Witness:
    """A judge of one side of an experiment.

    Attributes:
        side: what it recognises.
        judge: the network.
        digest: of its file: what it said is found again by it.
        name: of the file.
    """

    side: Side
    judge: Classifier
    digest: str
    name: str = ""

    def check(self, labels: Iterable[str]) -> None:
        """Raise unless it knows some classes.

        Raises:
            UnknownNameError: naming the first that it does not know.
        """
        for label in labels:
            if label not in self.judge.classes:
                raise UnknownNameError("class", label, self.judge.classes, where=f"the {self.side} judge")


@dataclass(frozen=True)
class Untouched:
    """Pictures as they are, before their judge: what the accuracies are to be held against.

    Attributes:
        accuracy: share that was recognised.
        count: pictures.
        known: classes that the judge tells apart: one of them by chance.
        judge: name of its file.
        digest: of its file.
    """

    accuracy: float
    count: int
    known: int
    judge: str = ""
    digest: str = ""


OnJudged = Callable[[int, int], None]
"""Told the pictures that were judged, and those that there are to judge."""


def hear(
    witness: Witness,
    keys: Iterable[str],
    examples: Iterable[Example],
    size: int,
    store: Store,
    on_judged: OnJudged | None = None,
) -> Untouched:
    """What a judge says of results, kept in their store, and of the pictures of its side as they are.

    Args:
        witness: the judge.
        keys: of the results.
        examples: the pictures that went in; those that cannot be read are left out, one at least can.
        size: longer side at which the latter are judged, pixels.
        store: of the former.
        on_judged: told of the progress.

    Raises:
        OutputError: the store cannot be written.
        PictureError: a result cannot be read.
    """
    plain = {f"{file_digest(example.file)}@{size}": example for example in examples}
    shown: dict[str, Callable[[], Picture]] = {
        **{key: partial(read_result, store.picture(key)) for key in keys},
        **{key: partial(_read_at, example.file, size) for key, example in plain.items()},
    }
    known = {key: store.verdicts.get((key, witness.side, witness.digest)) for key in shown}
    new = {
        key: shown[key] for key, said in known.items() if said is None or said.classes != tuple(witness.judge.classes)
    }
    done = 0
    for batch in _batches(_read(new, plain)):
        _ask(witness, batch, store)
        done += len(batch)
        if on_judged:
            on_judged(done, len(new))
    said_of = {key: store.verdicts.get((key, witness.side, witness.digest)) for key in plain}
    hits = [said.answer == plain[key].label for key, said in said_of.items() if said is not None]
    return Untouched(sum(hits) / len(hits), len(hits), len(witness.judge.classes), witness.name, witness.digest)


def _read(shown: Mapping[str, Callable[[], Picture]], optional: Container[str]) -> Iterator[tuple[str, Picture]]:
    """Pictures by key; of the optional ones, those that can be read."""
    for key, read in shown.items():
        try:
            yield key, read()
        except PictureError:
            if key not in optional:
                raise


def _ask(witness: Witness, batch: Sequence[tuple[str, Picture]], store: Store) -> None:
    """Let a judge see pictures of one size, and keep what it says."""
    with torch.inference_mode():
        found = witness.judge.probabilities(torch.cat([picture.tensor() for _, picture in batch]))
    store.add_verdicts(
        Verdict(
            picture=key,
            side=witness.side,
            judge=witness.digest,
            classes=tuple(witness.judge.classes),
            probabilities=tuple(probabilities),
        )
        for (key, _), probabilities in zip(batch, found.float().cpu().tolist(), strict=True)
    )


def _batches(pictures: Iterable[tuple[str, Picture]]) -> Iterator[list[tuple[str, Picture]]]:
    """Neighbours of one size, ``BATCH`` at most."""
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
    """A picture at a longer side, pixels."""
    picture = read_picture(path)
    return picture.resized(*fitted(*picture.size, size))
