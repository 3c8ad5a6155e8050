"""The photographs of a training: squares of them by step, the broken ones left out."""

import hashlib
import os
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from jaxtyping import Float, UInt8
from torch import Tensor
from torch.nn import functional as F

from artune.data.folders import square, to_bytes, to_image
from artune.errors import InputError, PictureError
from artune.images.find import find_pictures
from artune.images.read import read_picture

MARGIN = 1.25
"""Side of the squares of which parts are taken, over the side of the parts."""
KEPT_BYTES = 2**30
"""Bytes of squares that are kept in memory; others are read again in every pass."""
HELD_OUT = 8
"""Largest number of photographs that are kept for the validation."""
LEAST_SHARE = 10
"""Photographs for each one that is held out."""

Squares = Float[Tensor, "b 3 s s"]


class PhotographBatch(NamedTuple):
    """Squares of photographs, and the step that they are for.

    Attributes:
        images: ``[b, 3, s, s]`` in [0, 1].
        step: from 0.
        places: of each among those of the step, which several processes may share.
    """

    images: Squares
    step: int
    places: range


class TrainingPhotographs:
    """The photographs of a folder and its sub-folders, read when they are needed.

    A photograph that cannot be read is left out, and the next one takes its place, so that a batch depends on the
    files, the seed and the step alone.

    Args:
        root: the folder.
        side: of the squares, pixels.
        augment: take a random part of each photograph, and mirror half of them; else the middle square.
        seed: of all draws.

    Raises:
        PictureError: the folder cannot be read, or holds no picture.
    """

    def __init__(self, root: Path, side: int, *, augment: bool, seed: int) -> None:
        files = find_pictures(root, recursive=True).pictures
        order = np.random.default_rng((seed, 0)).permutation(len(files))
        held = min(HELD_OUT, len(files) // LEAST_SHARE)
        self.root, self.side, self.augment, self.seed = root, side, augment, seed
        self.held = [files[place] for place in order[:held]]
        self.files = [files[place] for place in sorted(order[held:])]
        self.skipped: dict[Path, str] = {}
        self._kept: dict[Path, UInt8[Tensor, "3 k k"]] = {}
        self._room = KEPT_BYTES
        seen = hashlib.sha256()
        for path in files:
            size = path.stat().st_size if path.is_file() else 0  # a link may lead nowhere
            seen.update(f"{os.path.relpath(path, root)} {size}\n".encode())
        self.digest = seen.hexdigest()
        """Of the files' names and sizes."""

    @property
    def count(self) -> int:
        """Number of photographs that are trained on, the broken ones included."""
        return len(self.files)

    @property
    def readable(self) -> int:
        """Number of them without those that were found broken."""
        return len(set(self.files) - self.skipped.keys())

    def batch(self, step: int, size: int, rank: int = 0, processes: int = 1) -> PhotographBatch:
        """Squares of a step, or those of one of several processes. A pass takes all photographs once, in an order drawn
        anew.

        Args:
            step: from 0.
            size: number of squares of all processes together.
            rank: number of the process, from 0.
            processes: their number, which divides ``size``.

        Raises:
            InputError: no photograph can be read.
        """
        places = range(rank, size, processes)
        images = [self._drawn(step * size + place) for place in places]
        return PhotographBatch(torch.cat(images), step, places)

    def validation(self) -> Squares:
        """Middle squares of the photographs that are held out; of the first few, if there are too few to hold out any.

        Raises:
            InputError: no photograph can be read.
        """
        found = [self._read(path) for path in self.held or self.files[:HELD_OUT]]
        whole = [to_image(each[None]) for each in found if each is not None] or [self._next(0)]
        return torch.cat([square(each, self.side) for each in whole])

    def _drawn(self, place: int) -> Float[Tensor, "1 3 s s"]:
        """The square at a place in the endless row of passes."""
        lap, at = divmod(place, self.count)
        order = np.random.default_rng((self.seed, 1, lap)).permutation(self.count)
        image = self._next(int(order[at]))
        if not self.augment:
            return square(image, self.side)
        rng, whole = np.random.default_rng((self.seed, 2, place)), image.shape[-1]
        cut = int(rng.integers(min(self.side, whole), whole + 1))
        top, left = rng.integers(whole - cut + 1, size=2)
        part = image[..., top : top + cut, left : left + cut]
        if cut != self.side:
            part = F.interpolate(part, (self.side, self.side), mode="bilinear", antialias=True)
        return part.flip(3) if rng.random() < 0.5 else part

    def _next(self, at: int) -> Float[Tensor, "1 3 k k"]:
        """The photograph at a place, or the next one that can be read."""
        for place in range(at, at + self.count):
            found = self._read(self.files[place % self.count])
            if found is not None:
                return to_image(found[None])
        why = "; ".join(list(self.skipped.values())[:1])
        raise InputError(f"no picture in {self.root} can be read: {why}; give photographs")

    def _read(self, path: Path) -> UInt8[Tensor, "3 k k"] | None:
        """The middle square of a photograph; ``None`` if it cannot be read."""
        if path in self._kept or path in self.skipped:
            return self._kept.get(path)
        try:
            image = read_picture(path).tensor()
        except PictureError as error:
            self.skipped[path] = str(error)
            return None
        found = to_bytes(square(image, round(MARGIN * self.side) if self.augment else self.side))[0]
        if found.nbytes <= self._room:
            self._kept[path] = found
            self._room -= found.nbytes
        return found
