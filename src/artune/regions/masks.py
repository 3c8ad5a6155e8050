"""Regions: masks from files, brought to one size, without overlaps; and the picture put together by them.

A mask is ``[h, w]``, float32 in [0, 1]: how much each pixel belongs. Soft borders make soft transitions.
"""

import os
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image

from artune.errors import ArtuneWarning, InputError, PictureError
from artune.images.picture import Floats
from artune.images.read import read_picture

FAINTEST = 1 / 255
"""A mask that is nowhere as strong is empty: no 8-bit picture can say less."""

_LUMA = np.array([0.299, 0.587, 0.114], np.float32)
_ROUNDING = 1e-6  # of a sum of masks


# ------------------------------------------------------------------------------------- what is asked for


@dataclass(frozen=True)
class RegionRequest:
    """A region as it is asked for.

    Attributes:
        mask: a mask file, or the name of a class that a network finds.
        style: a style picture.
        strength: in [0, 1], or ``None`` for that of the whole picture.
    """

    mask: str
    style: str
    strength: float | None = None


def parse_region(text: str, *, option: str = "--region", form: str = "MASK=STYLE[:STRENGTH]") -> RegionRequest:
    """A region of ``MASK=STYLE`` or ``MASK=STYLE:STRENGTH``.

    Names may hold ``=`` and ``:`` themselves: the first ``=`` that leaves an existing file to its left divides (or
    the first of all), and a number at the end is part of the name if there is a file of that name.

    Args:
        text: what was given.
        option: where, for messages.
        form: what is needed, for messages.

    Raises:
        InputError: with the form that is needed.
    """
    mask, style = _divided(text, option, form)
    head, colon, tail = style.rpartition(":")
    if not colon or os.path.exists(style):
        return RegionRequest(mask, style)
    try:
        strength = float(tail)
    except ValueError:
        if os.path.exists(head):
            raise InputError(f"{option} {text}: {tail!r} is no strength; give a number from 0 to 1") from None
        return RegionRequest(mask, style)
    if not 0 <= strength <= 1:  # nor NaN
        raise InputError(f"{option} {text}: the strength is {tail}; give a number from 0 to 1")
    if not head:
        raise InputError(f"{option} {text}: there is no style before the strength; {form} is needed")
    return RegionRequest(mask, head, strength)


def parse_style_mask(text: str, *, option: str = "--style-mask", form: str = "STYLE=MASK") -> tuple[str, str]:
    """A style picture and its mask, of ``STYLE=MASK``; divided as in :func:`parse_region`.

    Raises:
        InputError: with the form that is needed.
    """
    return _divided(text, option, form)


def _divided(text: str, option: str, form: str) -> tuple[str, str]:
    places = [i for i, letter in enumerate(text) if letter == "="]
    if not places:
        raise InputError(f"{option} {text}: there is no '='; {form} is needed")
    at = next((i for i in places if os.path.isfile(text[:i])), places[0])
    left, right = text[:at], text[at + 1 :]
    if not left or not right:
        raise InputError(f"{option} {text}: nothing stands {'after' if left else 'before'} '='; {form} is needed")
    return left, right


# ------------------------------------------------------------------------------------- masks


def read_mask(path: Path | str, *, where: str = "mask", allow_huge: bool = False) -> Floats:
    """The mask in a picture file: its grey value, white for all and black for nothing, times its transparency.

    A picture that shows one colour alone, as where a form was painted on a transparent layer, is a mask by its
    transparency.

    Args:
        path: any picture that can be read.
        where: what it is, for messages.
        allow_huge: read more than 100 million pixels.

    Raises:
        PictureError: it cannot be read, or nothing of it is above 0.
    """
    picture = read_picture(path, allow_huge=allow_huge)
    mask: Floats = np.minimum(picture.pixels @ _LUMA, 1)
    if picture.alpha is not None:
        seen = picture.pixels[picture.alpha > 0]
        mask = picture.alpha if len(seen) and np.ptp(seen, axis=0).max() < FAINTEST else mask * picture.alpha
    if mask.max() < FAINTEST:
        raise PictureError(f"{where} {path} is empty: nothing in it is above 0; paint the region white")
    return mask


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


def resized_mask(mask: Floats, width: int, height: int) -> Floats:
    """A mask at another size, antialiased.

    The filter is a triangle: Lanczos' would ring, and leave traces of the region where there is none.
    """
    if mask.shape == (height, width):
        return mask
    resized = Image.fromarray(np.ascontiguousarray(mask)).resize((width, height), Image.Resampling.BILINEAR)
    return np.clip(np.asarray(resized, np.float32), 0, 1)


def normalised(masks: Sequence[Floats], *, rest: bool) -> list[Floats]:
    """The masks with overlaps divided in proportion, so that their sum is nowhere above 1.

    Args:
        masks: of one size.
        rest: append a mask of what no other has, if there is anything.
    """
    total = _sum(masks)
    most: Floats = np.maximum(total, 1)
    shared: list[Floats] = [mask / most for mask in masks]
    left: Floats = np.maximum(1 - total, 0)
    if rest and left.max() >= FAINTEST:
        shared.append(left)
    return shared


def with_alpha(masks: Sequence[Floats], alpha: Floats | None) -> list[Floats]:
    """The masks without what is transparent: it takes part in no statistics."""
    return list(masks) if alpha is None else [mask * alpha for mask in masks]


def coverage(masks: Sequence[Floats]) -> Floats:
    """How much of each pixel the masks hold together, ``[h, w]``; exactly 0 and 1 where it is that but for rounding."""
    total = _sum(masks)
    total[total < _ROUNDING] = 0
    total[total > 1 - _ROUNDING] = 1
    return total


def _sum(masks: Sequence[Floats]) -> Floats:
    return np.asarray(np.sum(masks, axis=0), np.float32)


def composite(result: Floats, original: Floats, coverage: Floats) -> Floats:
    """The result laid over the original ``[h, w, 3]``: bit-equal to the original where the coverage is 0, to the
    result where it is 1."""
    share = coverage[..., None]
    mixed: Floats = result * share + original * (1 - share)
    return mixed
