"""Label maps: pictures in which the value or the colour of a pixel says to which part it belongs.

They come from segmentation networks (a number per pixel, often with a palette) and from painting programs (a few flat
colours). Labels are called by a name, a number or a colour, as in ``map.png#person``, ``map.png#15``,
``map.png#c08080``.
"""

import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from PIL import ImageOps

from artune.errors import EmptyMaskError, InputError
from artune.images.picture import Floats, Picture
from artune.images.read import decode_picture, open_picture, picture_data
from artune.regions.label_names import HEX, VOC, label_names, voc_names

MOST = 64
"""Largest number of labels of a map in flat colours; a picture with more colours is not a map."""

MOST_NUMBERS = 16 * MOST
"""Largest number of labels of a map whose largest number is above 255, such as one of every single thing."""

SAME = 6
"""Largest difference of two colours of one label, of 255, in the channel that differs most."""

NOISE, NOISE_SHARE = 32, 0.02
"""Noise of compression: a colour within this distance of a label's, and with at most this share of its pixels, belongs
to the label."""

FLAT_SHARE, LABEL_SHARE = 0.5, 0.9
"""Least share of a map's pixels that have a label's colour exactly, and least share that have it within ``NOISE``."""

SMALLEST = 0.001
"""Share of a map below which a label is left out when two maps are paired."""

DIMMEST = 64
"""A picture whose grey values are all below this, of 255, holds numbers of labels or a mask of 0 and 1."""

COLOURS = {
    "blue": "0000ff",
    "green": "00ff00",
    "black": "000000",
    "white": "ffffff",
    "red": "ff0000",
    "yellow": "ffff00",
    "grey": "808080",
    "lightblue": "00ffff",
    "purple": "ff00ff",
}
"""Names of colours: the nine of the label maps of deep photo style transfer (Luan et al. 2017)."""

_WHOLE = ("P", "L", "1", "I", "I;16", "I;16B", "I;16L")  # Pillow's modes of pictures of one whole number per pixel
_FLAT = 3  # largest difference of neighbours, of 255, in a flat area

Numbers = NDArray[np.integer[Any]]


@dataclass(frozen=True)
class Label:
    """A part of a label map.

    Attributes:
        colour: ``rrggbb``; empty for an array of numbers.
        number: its value in a grey picture or an array, its place in a palette; ``None`` in a picture of colours.
        name: what it stands for, or empty.
    """

    colour: str = ""
    number: int | None = None
    name: str = ""

    @property
    def is_empty(self) -> bool:
        """Whether it stands for pixels of no part: it is black or, without colours, 0."""
        if not self.colour:
            return self.number == 0
        return _distance(self.colour, "000000") <= (SAME if self.number is None else 0)

    def __str__(self) -> str:
        return self.name or (self.colour if self.number is None else str(self.number))


@dataclass(frozen=True, eq=False)
class LabelMap:
    """A label for every pixel.

    Attributes:
        index: ``[h, w]``: the place of each pixel's label among ``labels``.
        labels: all labels of the map.
        where: the file, or a name, for messages.
    """

    index: NDArray[np.intp]
    labels: tuple[Label, ...]
    where: str = "the label map"

    def shares(self) -> list[float]:
        """The share of the picture that each label has."""
        counts = np.bincount(self.index.ravel(), minlength=len(self.labels))
        return [float(count) / self.index.size for count in counts]

    def __str__(self) -> str:
        """All labels, the largest first, each with its share of the picture."""
        ranked = sorted(zip(self.shares(), map(str, self.labels), strict=True), reverse=True)
        return ", ".join(f"{label} ({share:.1%})" for share, label in ranked[:MOST])

    def mask(self, asked: str) -> Floats:
        """The mask ``[h, w]`` of a label, 1 where it is and 0 elsewhere.

        Args:
            asked: its name in any case, its number, its colour as ``rrggbb`` or one of ``COLOURS``; ``a+b`` is the
                mask of both.

        Raises:
            PictureError: there is no such label; the message lists all labels.
        """
        whole = self.find(asked)
        parts = [asked] if whole is not None else asked.split("+")
        mask = np.zeros(self.index.shape, np.float32)
        for part in parts:
            found = self.find(part)
            if found is None:
                raise EmptyMaskError(
                    f"{self.where} has no label {part.strip()!r}; it has {self}. Name one of these"
                    + self._about_names(part.strip())
                )
            mask[self.index == found] = 1
        return mask

    def _about_names(self, asked: str) -> str:
        """Why a map has no names, where one was asked for: how to give them."""
        if any(label.name for label in self.labels) or asked.isdecimal() or HEX.fullmatch(COLOURS.get(asked, asked)):
            return ""
        file = Path(self.where)
        why = ""
        if file.suffix:  # no array
            why = f", or name them in a file beside the map, such as {file.with_suffix('.json').name}"
        if asked.lower() in VOC and not all(_is_grey(label.colour) for label in self.labels if label.colour):
            why += ". The names of Pascal VOC are known only where all colours are of its palette; here some are not"
        return why

    def find(self, asked: str) -> int | None:
        """Place of a label among ``labels``; ``None`` if there is none such. See ``mask``."""
        asked = asked.strip().lower()
        named = self._named(asked)
        if named is not None:
            return named
        colour = HEX.fullmatch(COLOURS.get(asked, asked))
        near = self._nearest(colour[1]) if colour else None
        return self._numbered(asked) if near is None else near

    def _named(self, name: str) -> int | None:
        """Place of the label of a name, in any case."""
        return next((i for i, label in enumerate(self.labels) if name.lower() == label.name.lower() != ""), None)

    def _numbered(self, number: str) -> int | None:
        """Place of the label of a number."""
        return next((i for i, label in enumerate(self.labels) if number == str(label.number)), None)

    def _nearest(self, colour: str) -> int | None:
        """Place of the label whose colour is nearest, within ``NOISE``."""
        away = [_distance(colour, label.colour) if label.colour else 256 for label in self.labels]
        place = int(np.argmin(away))
        return place if away[place] <= NOISE else None

    def pairs(self, other: "LabelMap") -> Iterator[tuple[Label, Floats, Floats]]:
        """Each label that both maps have, with its mask in this one and in the other.

        Labels are matched by name if both maps have names, otherwise by number if both have numbers, otherwise by
        colour. Those below ``SMALLEST`` of either map are left out.
        """
        maps = (self.labels, other.labels)
        if all(any(label.name for label in labels) for labels in maps):
            matches = [other._named(label.name) for label in self.labels]
        elif all(label.number is not None for labels in maps for label in labels):
            matches = [other._numbered(str(label.number)) for label in self.labels]
        else:
            matches = [other._nearest(label.colour) if label.colour else None for label in self.labels]
        here, there = self.shares(), other.shares()
        for place, (label, match) in enumerate(zip(self.labels, matches, strict=True)):
            if match is not None and min(here[place], there[match]) >= SMALLEST:
                yield label, (self.index == place).astype(np.float32), (other.index == match).astype(np.float32)


# ------------------------------------------------------------------------------------- reading


def split_label(source: Path | str) -> tuple[str, str]:
    """File and label of ``map.png#label``; the label is empty if there is none, or if a file has the whole name.

    ``~`` is the user's home.

    Raises:
        InputError: nothing follows the ``#``.
    """
    text = os.path.expanduser(source)
    places = [] if os.path.exists(text) else [i for i, letter in enumerate(text) if letter == "#"]
    if not places:
        return text, ""
    at = next((i for i in places if os.path.isfile(text[:i])), places[0])
    if not text[at + 1 :].strip():
        raise InputError(f"{text}: no label follows the '#'; give its name, number or colour, or leave out the '#'")
    return text[:at], text[at + 1 :]


class MaskFile(NamedTuple):
    """A file that was read once, to be a mask or a label map.

    Attributes:
        path: where it is.
        data: its bytes; a label map may need the numbers in them, which a picture no longer has.
        picture: the picture in it.
    """

    path: str
    data: bytes
    picture: Picture

    @classmethod
    def read(cls, path: Path | str, *, allow_huge: bool = False) -> "MaskFile":
        """Read a file.

        Args:
            path: the file, without a label; ``~`` is the user's home.
            allow_huge: read more than 100 million pixels.

        Raises:
            PictureError: it cannot be read.
        """
        data, path = picture_data(path), os.path.expanduser(path)
        return cls(path, data, decode_picture(data, where=path, allow_huge=allow_huge))


def read_labels(file: MaskFile) -> LabelMap | None:
    """The label map in a file; ``None`` where it has neither whole numbers nor flat colours.

    Raises:
        InputError: a file beside it, which should name the labels, does not.
    """
    names = label_names(Path(file.path))
    stored = _stored(file.data)
    if stored is not None and (found := _by_number(*stored, names, file.path)) is not None:
        return found
    eight = np.round(file.picture.pixels * 255).astype(np.uint8)
    flat = flat_colours(eight)
    if flat is None:
        return None
    index, colours = flat
    if names is None:
        names = voc_names(colours)
    grey = all(_is_grey(colour) for colour in colours)
    labels = [_named(Label(colour, int(colour[:2], 16) if grey else None), names) for colour in colours]
    return LabelMap(index, tuple(labels), file.path)


def labels_of_array(numbers: Numbers, where: str) -> LabelMap:
    """The label map in an array ``[h, w]`` of whole numbers."""
    values, index = np.unique(numbers, return_inverse=True)
    return LabelMap(index.reshape(numbers.shape), tuple(Label(number=int(value)) for value in values), where)


def _stored(data: bytes) -> tuple[Numbers, list[int] | None] | None:
    """Whole numbers of a picture that has one for each pixel, and its palette; ``None`` for other pictures."""
    opened = open_picture(data)
    if opened is None or opened.mode not in _WHOLE or opened.format in ("JPEG", "WEBP", "HEIF"):
        return None
    try:
        upright = ImageOps.exif_transpose(opened)
    except Exception:  # of every kind, on a file that artune reads and Pillow does not, such as some TIFF
        return None
    palette = upright.getpalette() if upright.mode == "P" else None
    return np.asarray(upright.convert("L") if upright.mode == "1" else upright), palette


def _by_number(
    values: Numbers, palette: list[int] | None, names: Mapping[int | str, str] | None, where: str
) -> LabelMap | None:
    """A label for each number; ``None`` where there are too many, or they are shades of grey."""
    found, index = np.unique(values, return_inverse=True)
    if len(found) > MOST and not (palette is None and found[-1] > 255 and len(found) <= MOST_NUMBERS):
        return None
    if palette is None and DIMMEST <= found[-1] <= 255:  # shades of grey
        return None
    colours = [""] * len(found)
    if palette is not None:
        padded = [*palette, *(0 for _ in range(768 - len(palette)))]
        colours = ["{:02x}{:02x}{:02x}".format(*padded[3 * int(i) : 3 * int(i) + 3]) for i in found]
        if names is None:
            names = voc_names(colours)
    labels = [_named(Label(c, int(v)), names) for v, c in zip(found, colours, strict=True)]
    return LabelMap(index.reshape(values.shape), tuple(labels), where)


def flat_colours(pixels: NDArray[np.uint8]) -> tuple[NDArray[np.intp], list[str]] | None:
    """The few colours of a picture that is flat but for noise, and the one nearest to each pixel.

    Colours count where a pixel equals its neighbours, so that soft edges between two areas make no label.

    Args:
        pixels: ``[h, w, 3]``.

    Returns:
        The place of each pixel's colour ``[h, w]``, and the colours as ``rrggbb``, the most frequent first; ``None``
        for a picture that is not flat.
    """
    wide = pixels.astype(np.int16)
    still = np.ones(wide.shape[:2], bool)
    for down, right in ((0, 1), (1, 0), (1, 1)):
        moved = wide[down:, right:]
        still[: moved.shape[0], : moved.shape[1]] &= _near(wide[: moved.shape[0], : moved.shape[1]], moved, _FLAT)
    if still.mean() < FLAT_SHARE:
        return None
    packed = (wide[..., 0].astype(np.int32) << 16) | (wide[..., 1].astype(np.int32) << 8) | wide[..., 2]
    values, counts = np.unique(packed[still], return_counts=True)
    colours = _labels_among(values, counts, least=max(1, still.size // 100_000))
    if colours is None:
        return None
    seen, inverse = np.unique(packed, return_inverse=True)
    if len(seen) > 2**20 // len(colours):
        return None
    away = np.abs(_unpacked(seen)[:, None] - _unpacked(colours)[None]).max(-1)
    nearest = away.argmin(1)
    counts = np.bincount(inverse.ravel())
    if counts[away.min(1) <= NOISE].sum() < LABEL_SHARE * packed.size:
        return None
    if counts[away.min(1) == 0].sum() < FLAT_SHARE * packed.size:  # a gradient
        return None
    return nearest[inverse].reshape(packed.shape), [f"{int(colour):06x}" for colour in colours]


def _labels_among(values: Numbers, counts: Numbers, least: int) -> Numbers | None:
    """The colours that are labels, the most frequent first, without the noise around them; ``None`` for too many."""
    order = np.argsort(-counts, kind="stable")
    values, counts = values[order], counts[order]
    found: list[int] = []
    while len(values) and counts[0] >= least:
        if len(found) == MOST:
            return None
        found.append(int(values[0]))
        away = np.abs(_unpacked(values) - _unpacked(values[:1])).max(-1)
        noise = (away <= SAME) | ((away <= NOISE) & (counts <= NOISE_SHARE * counts[0]))
        values, counts = values[~noise], counts[~noise]
    return np.array(found) if found else None


def _near(a: NDArray[np.int16], b: NDArray[np.int16], most: int) -> NDArray[np.bool_]:
    near: NDArray[np.bool_] = np.abs(a - b).max(-1) <= most
    return near


def _unpacked(colours: Numbers) -> NDArray[np.int16]:
    return np.stack([colours >> 16 & 255, colours >> 8 & 255, colours & 255], -1).astype(np.int16)


def _distance(a: str, b: str) -> int:
    return max(abs(int(a[i : i + 2], 16) - int(b[i : i + 2], 16)) for i in (0, 2, 4))


def _is_grey(colour: str) -> bool:
    return colour[:2] == colour[2:4] == colour[4:]


def _named(label: Label, names: Mapping[int | str, str] | None) -> Label:
    if names is None:
        return label
    by_number = None if label.number is None else names.get(label.number)
    name = by_number if by_number is not None else names.get(label.colour, "")
    if not name and label.number is None:  # a colour that compression has changed
        near = [(_distance(c, label.colour), n) for c, n in names.items() if isinstance(c, str)]
        name = min(near)[1] if near and min(near)[0] <= NOISE else ""
    return Label(label.colour, label.number, name)
