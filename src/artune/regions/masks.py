"""Masks: reading, resizing, dividing overlaps, and composing a picture by them.

A mask is an array ``[h, w]``, float32 in [0, 1]: how much each pixel belongs to a region. Soft borders of a mask make
soft transitions.
"""

import warnings
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from artune.errors import ArtuneWarning, EmptyMaskError, PictureError
from artune.images.picture import Floats, Picture
from artune.images.resize import NO_WRAPS, TRIANGLE, Wraps, resized_plane
from artune.regions.labels import (
    DIMMEST,
    MOST,
    MOST_NUMBERS,
    LabelMap,
    MaskFile,
    Numbers,
    labels_of_array,
    read_labels,
    split_label,
)

MaskSource = NDArray[np.generic] | Path | str
"""A mask as it is given: an array ``[h, w]`` in [0, 1], of booleans or of 8-bit values; or a file, also as
``map.png#label`` for a part of a label map."""

FAINTEST = 1 / 255
"""A mask whose values are all below this is empty: 8 bits cannot tell it from 0."""

_LUMA = np.array([0.299, 0.587, 0.114], np.float32)
_ROUNDING = 1e-6  # of a sum of masks
_COLOURED = 16 / 255  # difference of a pixel's channels that is no noise


# ------------------------------------------------------------------------------------- reading


def read_mask(source: MaskSource, *, where: str = "the mask", allow_huge: bool = False) -> Floats:
    """A mask from a file or an array.

    White is 1 and black is 0. The mask of a file with transparency is multiplied by it. A picture of one colour alone,
    such as a shape on a transparent layer, is a mask by its transparency. One flat colour on black is read as white.
    ``map.png#person`` is the mask of one part of a label map.

    Values of 0 and 1 of 255 are stretched, with a warning.

    Args:
        source: see ``MaskSource``.
        where: what it is, for messages.
        allow_huge: read more than 100 million pixels.

    Returns:
        ``[h, w]``, of the file's or the array's size.

    Raises:
        PictureError: it cannot be read, is nowhere above 0, is a label map of which no part is named, or has no such
            part.
    """
    if not isinstance(source, str | Path):
        return _array_mask(source, where)
    path, label = split_label(source)
    file = MaskFile.read(path, allow_huge=allow_huge)
    if label:
        return _seen(_labels(file, where).mask(label), file.picture)
    labels = _several(file)
    if labels is not None:
        raise PictureError(f"{where} {path} is a label map of several parts: {labels}. {_choose(path, labels)}")
    mask = _grey(file, where)
    if mask.max() < FAINTEST:
        raise EmptyMaskError(f"{where} {path} is empty: nothing in it is above 0; paint the region white")
    return mask


def read_label_map(source: MaskSource, *, where: str = "the mask", allow_huge: bool = False) -> LabelMap | None:
    """The label map in a file or an array, if it has several parts and none is named; ``None`` for a mask."""
    if not isinstance(source, str | Path):
        numbers = _label_numbers(source)
        return None if numbers is None else labels_of_array(numbers, where)
    path, label = split_label(source)
    return None if label else _several(MaskFile.read(path, allow_huge=allow_huge))


def read_all_labels(source: MaskSource, *, where: str = "the mask", allow_huge: bool = False) -> LabelMap:
    """The label map in a file or an array, also one of two parts.

    Raises:
        PictureError: it has neither whole numbers nor flat colours.
    """
    if not isinstance(source, str | Path):
        return labels_of_array(_whole_numbers(source, where), where)
    return _labels(MaskFile.read(source, allow_huge=allow_huge), where)


def _labels(file: MaskFile, where: str) -> LabelMap:
    labels = read_labels(file)
    if labels is None:
        raise PictureError(
            f"{where} {file.path} is no label map: it has more than a few flat colours; give a picture with one "
            "colour, or one number, for each part"
        )
    return labels


def _several(file: MaskFile) -> LabelMap | None:
    """The label map of a picture with several parts; ``None`` if it is a mask: in greys, or one colour on black."""
    if _by_alpha(file.picture):
        return None
    if not (_is_coloured(file.picture) or _top(file.picture) < DIMMEST):
        return None
    labels = read_labels(file)
    if labels is None:
        return None
    return labels if sum(not label.is_empty for label in labels.labels) > 1 else None


def _grey(file: MaskFile, where: str) -> Floats:
    """A mask by grey value and transparency."""
    picture = file.picture
    if _by_alpha(picture):
        return np.asarray(picture.alpha, np.float32)
    mask: Floats = np.minimum(picture.pixels @ _LUMA, 1)
    if _is_coloured(picture):
        labels = read_labels(file)
        if labels is None:
            warnings.warn(
                f"{where} {file.path} is a picture in colours; its brightness is taken as the mask. Give a grey "
                "picture, or one of flat colours",
                ArtuneWarning,
                stacklevel=3,
            )
        else:  # one colour, on black
            mask = np.array([not label.is_empty for label in labels.labels], np.float32)[labels.index]
    elif 0 < _top(picture) < DIMMEST:
        mask = _stretched(mask, f"{where} {file.path}")
    return _seen(mask, picture)


def _array_mask(array: NDArray[np.generic], where: str) -> Floats:
    try:
        mask = np.asarray(array, np.float32)
    except (TypeError, ValueError) as error:
        raise PictureError(
            f"{where} is a {type(array).__name__} and no array of numbers; give a file or one"
        ) from error
    if mask.ndim != 2 or mask.size == 0:
        raise PictureError(f"{where} has shape {mask.shape}; [height, width] is needed")
    if np.asarray(array).dtype.kind in "iu" and mask.max() > 1:
        numbers = _label_numbers(array)
        if numbers is not None:
            labels = labels_of_array(numbers, where)
            raise PictureError(f"{where} is a label map of several parts: {labels}. Give one, such as labels == 1")
        mask = _stretched(mask, where) if mask.max() < DIMMEST else mask / np.float32(255)
    if not (mask.min() >= -1e-3 and mask.max() <= 1.001):  # nor NaN
        raise PictureError(f"{where} has values beyond [0, 1], or not finite; divide 8-bit values by 255")
    if mask.max() < FAINTEST:
        raise EmptyMaskError(f"{where} is empty: nothing in it is above 0")
    return mask


def _whole_numbers(array: NDArray[np.generic], where: str) -> Numbers:
    """The numbers of a label map that was given as an array ``[h, w]``.

    Raises:
        PictureError: it is a mask, whose values between 0 and 1 would be lost; or no array of numbers.
    """
    numbers = np.asarray(array)
    if numbers.dtype.kind not in "biuf" or numbers.ndim != 2 or numbers.size == 0:
        raise PictureError(
            f"{where} is an array of {numbers.dtype} of shape {numbers.shape}; a label map, [height, width] of whole "
            "numbers, is needed"
        )
    values = np.unique(numbers)
    whole = np.isfinite(values).all() and (values == np.round(values)).all()
    if not whole or len(values) > (MOST if values[-1] <= 255 else MOST_NUMBERS):
        raise PictureError(
            f"{where} is a mask with {len(values)} different values, but beside a label map another one is needed, "
            "with a whole number for each part; give one, or choose one part of the other map, such as labels == 1"
        )
    return numbers.astype(int)


def _label_numbers(array: object) -> NDArray[np.integer] | None:
    """The array if it holds numbers of labels (small or above 255, and several beside 0); ``None`` if it is a mask."""
    numbers = np.asarray(array)
    if numbers.dtype.kind not in "iu" or numbers.ndim != 2 or numbers.size == 0 or numbers.min() < 0:
        return None
    parts = len(np.unique(numbers[numbers > 0]))
    dim = numbers.max() < DIMMEST or numbers.max() > 255
    return numbers if dim and parts > 1 else None


def _stretched(mask: Floats, where: str) -> Floats:
    top = float(mask.max())
    shown = top if top >= 1 else round(255 * top, 2)
    warnings.warn(
        f"{where} has no value above {shown:g} of 255: its values are stretched, so that {shown:g} is white",
        ArtuneWarning,
        stacklevel=4,
    )
    return mask / np.float32(top)


def _by_alpha(picture: Picture) -> bool:
    """Whether a picture is one colour on a transparent layer."""
    if picture.alpha is None:
        return False
    seen = picture.pixels[picture.alpha > 0]
    return len(seen) > 0 and bool(np.ptp(seen, axis=0).max() < FAINTEST)


def _seen(mask: Floats, picture: Picture) -> Floats:
    return mask if picture.alpha is None else mask * picture.alpha


def _is_coloured(picture: Picture) -> bool:
    return bool(np.ptp(picture.pixels, axis=2).max() > _COLOURED)


def _top(picture: Picture) -> float:
    """The largest grey value, of 255."""
    return 255 * float(picture.pixels.max())


def _choose(path: str, labels: LabelMap) -> str:
    shares = zip(labels.shares(), labels.labels, strict=True)
    largest = max((share, str(label)) for share, label in shares if not label.is_empty)[1]
    return f"Name one, such as {path}#{largest}, or give a mask in black and white"


# ------------------------------------------------------------------------------------- sizes


def fitted_mask(mask: Floats, size: tuple[int, int], *, where: str = "the mask") -> Floats:
    """A mask brought to the size of its picture, with a warning where it has another.

    Args:
        mask: of any size.
        size: width and height of the picture, pixels.
        where: what it is, for the warning.
    """
    width, height = size
    own_height, own_width = mask.shape
    if (own_width, own_height) == (width, height):
        return mask
    same_form = abs(own_width * height - own_height * width) <= max(width, height, own_width, own_height)
    warnings.warn(
        f"{where} has {own_width}x{own_height} pixels and its picture {width}x{height}: it is "
        + ("resized" if same_form else "stretched, which moves its borders; make it as large as the picture"),
        ArtuneWarning,
        stacklevel=2,
    )
    return resized_mask(mask, width, height)


def resized_mask(mask: Floats, width: int, height: int, wraps: Wraps = NO_WRAPS) -> Floats:
    """A mask at another size, antialiased; ``wraps`` are the axes along which it repeats.

    The filter is a triangle. Lanczos' would ring, and leave traces outside of the region.
    """
    if mask.shape == (height, width):
        return mask
    return np.clip(resized_plane(mask, width, height, TRIANGLE, wraps), 0, 1)


def normalised(masks: Sequence[Floats], *, rest: bool) -> list[Floats]:
    """The masks with overlaps divided in proportion, so that their sum is nowhere above 1.

    Args:
        masks: of one size.
        rest: append the mask of the remaining part, if there is any.
    """
    total = _sum(masks)
    most: Floats = np.maximum(total, 1)
    shared: list[Floats] = [mask / most for mask in masks]
    left: Floats = np.maximum(1 - total, 0)
    if rest and left.max() >= FAINTEST:
        shared.append(left)
    return shared


def with_alpha(masks: Sequence[Floats], alpha: Floats | None) -> list[Floats]:
    """The masks multiplied by the transparency, so that transparent pixels do not count."""
    return list(masks) if alpha is None else [mask * alpha for mask in masks]


def coverage(masks: Sequence[Floats]) -> Floats:
    """Sum of the masks, ``[h, w]``; values within rounding of 0 and 1 are exactly 0 and 1."""
    total = _sum(masks)
    total[total < _ROUNDING] = 0
    total[total > 1 - _ROUNDING] = 1
    return total


def _sum(masks: Sequence[Floats]) -> Floats:
    return np.asarray(np.sum(masks, axis=0), np.float32)


def composite(result: Floats, original: Floats, coverage: Floats) -> Floats:
    """The result over the original, ``[h, w, 3]``: equal to the bit to the original where the coverage is 0, and to the
    result where it is 1."""
    share = coverage[..., None]
    mixed: Floats = result * share + original * (1 - share)
    return mixed
