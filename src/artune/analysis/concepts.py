"""Pictures whose pixels are labelled by concepts: parts from masks, classes from folders, colours and orientations.

The concepts of the dissection of units (Bau et al. 2017, "Network Dissection"). Labels lie on a grid that is coarser
than the picture by ``CELL``.
"""

import hashlib
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import chain, zip_longest
from pathlib import Path
from typing import TYPE_CHECKING, Literal, Self

import numpy as np
from jaxtyping import Bool, Float, Int

from artune.data.folders import class_folder
from artune.errors import InputError, PictureError
from artune.files import expanded, file_digest, without_copies
from artune.images.color import to_lab
from artune.images.find import find_pictures, search_folder
from artune.images.picture import Picture
from artune.images.read import read_picture
from artune.images.resize import reduced
from artune.regions.labels import LabelMap, MaskFile, read_labels
from artune.words import counted

if TYPE_CHECKING:
    pass

Array = np.ndarray
Kind = Literal["colour", "texture", "part", "object"]
KINDS: tuple[Kind, ...] = ("colour", "texture", "part", "object")
"""Kinds of concepts, in the order of tables. The textures are orientations of edges; objects are classes of whole
pictures."""

CELL = 4
"""Picture pixels per cell of the grid of labels."""
MASKS = "masks"
"""Name of the folder that holds a map of labels for each picture of the folder beside it."""
LEAST = 3
"""Pictures of each half that a part must be in; rarer ones are left out."""
PART_LEAST = 2
"""Pictures that a class must have: one for each half."""

COLOURS = {
    "black": "000000",
    "white": "ffffff",
    "grey": "808080",
    "red": "d01c1f",
    "green": "2e8b37",
    "blue": "2050c0",
    "yellow": "f2d21b",
    "orange": "f28022",
    "brown": "70452a",
    "pink": "f29cb4",
    "purple": "7b3f96",
}
"""The eleven basic colour names of English (Berlin and Kay 1969), each with a typical sRGB colour, which we chose. A
pixel has the name of the nearest in Lab."""
ORIENTATIONS = ("horizontal edges", "rising edges", "vertical edges", "falling edges")
"""Directions of edges, 45 degrees apart."""
EDGE = 6.0
"""Change of lightness (Lab, of 100) from cell to cell above which a cell is an edge."""


@dataclass(frozen=True)
class Concept:
    """What pixels, or whole pictures, can show.

    Attributes:
        name: of the colour, the orientation, the part or the class.
        kind: which of these.
        folder: place of the folder whose labels name it; -1 for what every picture is labelled by.
    """

    name: str
    kind: Kind
    folder: int = -1


@dataclass(frozen=True)
class Sample:
    """A picture of the collection.

    Attributes:
        file: the picture.
        folder: place of the folder that it is from.
        half: 0 where thresholds and concepts are chosen, 1 where they are measured.
        label: name of its class; empty where the folder has none.
        mask: file of its map of labels.
    """

    file: Path
    folder: int
    half: int
    label: str = ""
    mask: Path | None = None


@dataclass(frozen=True, eq=False)
class Collection:
    """Labelled pictures, in two halves.

    Attributes:
        samples: the pictures.
        size: their longer side, pixels; larger ones are reduced.
    """

    samples: tuple[Sample, ...]
    size: int

    @classmethod
    def read(cls, folders: Sequence[Path], size: int, limit: int | None = None, seed: int = 0) -> Self:
        """List the pictures of some folders, and check their masks.

        A folder with ``masks`` beside another folder holds labelled parts; one that holds folders of pictures holds
        classes; one that holds pictures has no labels.

        Args:
            folders: the folders.
            size: longer side of the pictures, pixels.
            limit: largest number of pictures, drawn evenly from folders and classes; a larger draw holds every
                smaller one.
            seed: of the order in which they are drawn, and so of the halves.

        Raises:
            InputError: a folder holds no pictures, a class has a single one, or a picture has no mask.
            PictureError: a picture or a mask cannot be read, or a mask does not fit its picture.
        """
        groups = [_shuffled(place, _listed(expanded(folder), place), seed) for place, folder in enumerate(folders)]
        drawn = [*_in_turn([[*_in_turn(classes)] for classes in groups])][:limit]
        if {sample.half for sample in drawn} != {0, 1}:
            raise InputError(
                f"{counted(len(drawn), 'picture')} cannot be divided into two halves, one to choose "
                "thresholds and concepts and one to measure; give at least 2, or a larger `limit`"
            )
        collection = cls(tuple(drawn), size)
        _ = collection.concepts  # reads all masks
        return collection

    @cached_property
    def _maps(self) -> dict[Path, tuple[tuple[str, ...], Int[Array, "h w"]]]:
        """Names of labels, and the label of each cell, by file of the mask; the empty name is no part."""
        found = {}
        for sample in self.samples:
            if sample.mask is not None:
                labels, (width, height) = _label_map(sample.mask), read_picture(sample.file).size
                if not _same_shape(labels.index.shape, (height, width)):
                    raise PictureError(
                        f"the mask {sample.mask} has {labels.index.shape[1]}x{labels.index.shape[0]} pixels, its "
                        f"picture {width}x{height}; give a mask of the same shape"
                    )
                rows, columns = grid_of(*reduced(width, height, self.size))
                names = tuple("" if label.is_empty or str(label) == "null" else str(label) for label in labels.labels)
                found[sample.mask] = names, _nearest(labels.index, rows, columns)
        return found

    @cached_property
    def concepts(self) -> tuple[Concept, ...]:
        """What cells are labelled by: colours, orientations, and the parts that are in enough pictures."""
        counts: Counter[tuple[str, int, int]] = Counter()
        for sample in self.samples:
            if sample.mask is not None:
                names, cells = self._maps[sample.mask]
                counts.update((name, sample.folder, sample.half) for name in {names[i] for i in np.unique(cells)})
        parts = sorted({(folder, name) for name, folder, _ in counts if name})
        return (
            *(Concept(name, "colour") for name in COLOURS),
            *(Concept(name, "texture") for name in ORIENTATIONS),
            *(
                Concept(name, "part", folder)
                for folder, name in parts
                if min(counts[name, folder, half] for half in (0, 1)) >= LEAST
            ),
        )

    @cached_property
    def classes(self) -> tuple[Concept, ...]:
        """Classes of whole pictures."""
        named = sorted({(sample.folder, sample.label) for sample in self.samples if sample.label})
        return tuple(Concept(label, "object", folder) for folder, label in named)

    @cached_property
    def digest(self) -> str:
        """sha256 of all pictures, masks and names."""
        seen = hashlib.sha256(f"{self.size}".encode())
        for sample in self.samples:
            files = [sample.file] if sample.mask is None else [sample.file, sample.mask]
            seen.update(f"{sample.folder} {sample.half} {sample.label} {[*map(file_digest, files)]}".encode())
        seen.update(repr([(each.name, each.kind, each.folder) for each in self.concepts]).encode())
        return seen.hexdigest()

    def picture(self, sample: Sample) -> Picture:
        """A picture at the size of the collection."""
        return read_picture(sample.file).reduced(self.size)

    def cells(self, sample: Sample, picture: Picture) -> Bool[Array, "cells concepts"]:
        """Which concepts each cell of a picture shows, row by row.

        Args:
            sample: the picture.
            picture: the same, as ``picture`` returns it.
        """
        rows, columns = grid_of(*picture.size)
        lab = to_lab(picture.resized(columns, rows).pixels)
        shown = np.zeros((rows * columns, len(self.concepts)), bool)
        shown[np.arange(rows * columns), colour_names(lab).ravel()] = True
        directions = orientations(lab[..., 0]).ravel()
        edges = np.flatnonzero(directions >= 0)
        shown[edges, len(COLOURS) + directions[edges]] = True
        if sample.mask is not None:
            names, cells = self._maps[sample.mask]
            for place, concept in enumerate(self.concepts):
                if concept.kind == "part" and concept.folder == sample.folder and concept.name in names:
                    shown[:, place] = (cells == names.index(concept.name)).ravel()
        return shown


# ------------------------------------------------------------------------------------- concepts that are computed


def colour_names(lab: Float[Array, "h w 3"]) -> Int[Array, "h w"]:
    """The place of the nearest of ``COLOURS`` for each pixel in Lab."""
    typical = np.array([[[int(code[i : i + 2], 16) / 255 for i in (0, 2, 4)] for code in COLOURS.values()]], np.float32)
    away = np.square(lab[:, :, None] - to_lab(typical)).sum(-1)
    return np.asarray(away.argmin(-1))


def orientations(lightness: Float[Array, "h w"]) -> Int[Array, "h w"]:
    """The place of the orientation of each edge among ``ORIENTATIONS``; -1 where there is none.

    Args:
        lightness: in [0, 100], row 0 at the top.
    """
    if min(lightness.shape) < 2:
        return np.full(lightness.shape, -1)
    down, right = np.gradient(lightness.astype(np.float64))
    along = np.arctan2(right, down) % np.pi  # of the edge, across the gradient: 0 is horizontal, rising from there
    place = np.round(along / (np.pi / 4)).astype(int) % len(ORIENTATIONS)
    return np.where(np.hypot(down, right) >= EDGE, place, -1)


# ------------------------------------------------------------------------------------- sizes


def grid_of(width: int, height: int) -> tuple[int, int]:
    """Rows and columns of the grid of a picture."""
    return -(-height // CELL), -(-width // CELL)


def _listed(folder: Path, place: int) -> list[list[Sample]]:
    """The pictures of a folder by class, without copies, all of half 0."""
    if not folder.is_dir():
        raise InputError(f"there is no folder {folder}; give a folder of pictures, of classes, or with {MASKS}/")
    beside = sorted(path for path in folder.iterdir() if path.is_dir() and path.name[0] != ".")
    if folder / MASKS in beside:
        return [_masked(folder, [path for path in beside if path.name != MASKS], place)]
    if not beside or search_folder(folder).pictures:
        return [[Sample(path, place, 0) for path in without_copies(find_pictures(folder).pictures)]]
    classes = {name: without_copies(pictures) for name, pictures in class_folder(folder).items()}
    for name, pictures in classes.items():
        if len(pictures) < PART_LEAST:
            raise InputError(
                f"the class {name} in {folder} has a single picture; two halves need at least {PART_LEAST}, "
                "add some or take the class away"
            )
    return [[Sample(path, place, 0, name) for path in pictures] for name, pictures in classes.items()]


def _masked(folder: Path, beside: Sequence[Path], place: int) -> list[Sample]:
    if len(beside) != 1:
        raise InputError(f"{folder} must hold {MASKS} and one folder of pictures beside it, not {len(beside)}")
    maps = {path.stem: path for path in find_pictures(folder / MASKS).pictures}
    pictures = without_copies(find_pictures(beside[0]).pictures)
    if lacking := [path.name for path in pictures if path.stem not in maps]:
        raise InputError(f"{folder / MASKS} has no mask of {lacking[0]}; give one of the same name, or take it away")
    return [Sample(path, place, 0, mask=maps[path.stem]) for path in pictures]


def _shuffled(place: int, classes: Sequence[Sequence[Sample]], seed: int) -> list[list[Sample]]:
    """Each class in random order, in both halves by turns."""
    out = []
    for number, samples in enumerate(classes):
        order = np.random.default_rng((seed, place, number)).permutation(len(samples))
        chosen = [samples[i] for i in order]
        out.append([Sample(s.file, s.folder, turn % 2, s.label, s.mask) for turn, s in enumerate(chosen)])
    return out


def _in_turn(groups: Sequence[Sequence[Sample]]) -> Iterator[Sample]:
    """The first of each, then the second of each."""
    return (each for each in chain.from_iterable(zip_longest(*groups)) if each is not None)


def _label_map(path: Path) -> LabelMap:
    labels = read_labels(MaskFile.read(path))
    if labels is None:
        raise PictureError(f"{path} is no map of labels: it has neither whole numbers nor flat colours")
    return labels


def _same_shape(one: tuple[int, ...], other: tuple[int, ...]) -> bool:
    """Whether two sizes differ by rounding alone."""
    return abs(one[0] * other[1] - one[1] * other[0]) <= max(*one, *other)


def _nearest(index: Int[Array, "h w"], rows: int, columns: int) -> Int[Array, "rows columns"]:
    """A map of labels at another size."""
    down = ((np.arange(rows) + 0.5) * index.shape[0] / rows).astype(int)
    right = ((np.arange(columns) + 0.5) * index.shape[1] / columns).astype(int)
    return index[np.ix_(down, right)]
