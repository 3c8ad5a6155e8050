"""Folders of pictures by class: ``ROOT/train/CLASS/*.jpg``, with ``val`` and ``test`` beside ``train``."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Self

import numpy as np

from artune.errors import InputError, PictureError, UnknownNameError
from artune.files import expanded
from artune.images.find import find_pictures
from artune.images.read import read_picture

if TYPE_CHECKING:
    from torch import Tensor

SPLITS = ("train", "val", "test")
MOST_NAMED = 5
"""Number of unreadable pictures that a message names."""

Labelled = tuple[Path, int]
"""A picture, and the place of its class among the classes."""


@dataclass(frozen=True)
class Folder:
    """The pictures of a folder by split and class, listed but not read.

    Attributes:
        root: the folder.
        classes: names, sorted; a label is a place among them.
        splits: pictures of each split, sorted by class and name.
    """

    root: Path
    classes: tuple[str, ...]
    splits: Mapping[str, tuple[Labelled, ...]]

    @classmethod
    def read(cls, root: Path, splits: Sequence[str] = SPLITS, classes: Sequence[str] | None = None) -> Self:
        """List the pictures of some splits.

        Args:
            root: the folder.
            splits: the splits that are needed.
            classes: the classes that are allowed; default: those of the first split.

        Raises:
            InputError: a split is missing, a class is empty, or a class is not allowed.
        """
        root = expanded(root)
        if not root.is_dir():
            raise InputError(
                f"there is no folder {root}; it must hold {', '.join(splits)} with a folder for each class"
            )
        names = tuple(classes) if classes else _subfolders(root / splits[0])
        found = {}
        for split in splits:
            there = _subfolders(root / split)
            if strange := [name for name in there if name not in names]:
                owner = "the judge" if classes else f"{root / splits[0]}"
                raise InputError(
                    f"{root / split} has a class {strange[0]!r} that {owner} does not have; known: {', '.join(names)}"
                )
            found[split] = tuple(
                (path, names.index(name)) for name in there for path in find_pictures(root / split / name).pictures
            )
        return cls(root, names, found)

    def against(self, positive: str) -> Self:
        """The same pictures in two classes: ``positive``, and all others.

        Raises:
            UnknownNameError: there is no such class.
        """
        if positive not in self.classes:
            raise UnknownNameError("class", positive, self.classes, where=str(self.root))
        own = self.classes.index(positive)
        splits = {s: tuple((path, int(label != own)) for path, label in p) for s, p in self.splits.items()}
        return replace(self, classes=(positive, f"not {positive}"), splits=splits)

    def subset(self, split: str, per_class: int, seed: int) -> Self:
        """The same folder with fewer pictures in one split; a larger subset holds every smaller one.

        Args:
            split: the split that is reduced.
            per_class: largest number of pictures of each class.
            seed: of the choice.
        """
        chosen: list[Labelled] = []
        for label in range(len(self.classes)):
            own = [picture for picture in self.splits[split] if picture[1] == label]
            order = np.random.default_rng((seed, label)).permutation(len(own))
            chosen += [own[i] for i in sorted(order[:per_class])]
        return replace(self, splits={**self.splits, split: tuple(chosen)})


def class_folder(folder: Path, known: Collection[str] | None = None) -> dict[str, list[Path]]:
    """The pictures of a folder of classes, ``FOLDER/CLASS/*``, by class.

    Args:
        folder: holds a folder for each class.
        known: the classes that are allowed; default: any.

    Raises:
        InputError: there is no such folder, it holds no folders, or it holds splits.
        UnknownNameError: a class is not allowed.
        PictureError: a class is empty.
    """
    folder = expanded(folder)
    names = _subfolders(folder)
    if {"train", "test"} <= set(names):
        raise InputError(f"{folder} holds splits, not classes; give one of them, such as {folder / 'test'}")
    for name in names:
        if known is not None and name not in known:
            raise UnknownNameError("class", name, known, why=f"{folder} has a folder of that name")
    return {name: find_pictures(folder / name).pictures for name in names}


def read_squares(pictures: Sequence[Path], side: int) -> "Tensor":
    """The middle squares of pictures, uint8 ``[n, 3, side, side]``.

    Raises:
        PictureError: naming the pictures that cannot be read.
    """
    import torch

    squares = torch.empty((len(pictures), 3, side, side), dtype=torch.uint8)
    failed: list[str] = []
    for place, path in enumerate(pictures):
        try:
            squares[place] = to_bytes(square(read_picture(path).tensor(), side))[0]
        except PictureError as error:
            failed.append(str(error))
    if failed:
        more = f"\n  and {len(failed) - MOST_NAMED} more" if len(failed) > MOST_NAMED else ""
        listed = "\n  ".join(failed[:MOST_NAMED])
        raise PictureError(f"{len(failed)} of {len(pictures)} pictures cannot be used:\n  {listed}{more}")
    return squares


def square(image: "Tensor", side: int) -> "Tensor":
    """The middle square of pictures ``[b, 3, h, w]``, resized to ``[b, 3, side, side]`` with antialiasing."""
    from torch.nn import functional as F

    height, width = image.shape[-2:]
    cut = min(height, width)
    top, left = (height - cut) // 2, (width - cut) // 2
    image = image[..., top : top + cut, left : left + cut]
    if cut == side:
        return image
    return F.interpolate(image, (side, side), mode="bicubic", antialias=True).clamp(0, 1)


def to_bytes(image: "Tensor") -> "Tensor":
    """From sRGB in [0, 1] to uint8."""
    return (255 * image).round().byte()


def to_image(pixels: "Tensor") -> "Tensor":
    """From uint8 to sRGB in [0, 1]."""
    return pixels.float() / 255


def _subfolders(folder: Path) -> tuple[str, ...]:
    if not folder.is_dir():
        raise InputError(f"there is no folder {folder}; it must hold a folder of pictures for each class")
    names = tuple(sorted(path.name for path in folder.iterdir() if path.is_dir() and path.name[0] != "."))
    if not names:
        raise InputError(f"there is no class in {folder}; it must hold a folder of pictures for each")
    return names
