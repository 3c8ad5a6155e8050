"""The border of a painting: a mat, a frame, or the edge of the canvas or of the paper.

A loss network would take it for a part of the style, and the result would have a frame of a few pixels.
"""

from typing import NamedTuple

import numpy as np
from PIL import Image

from artune.images.picture import Floats, Picture

WIDEST = 0.2
"""Widest border that is looked for, as a share of the picture's height or width."""

STEP = 0.08
"""Change of colour that makes an edge: the length of the difference in RGB, for values in [0, 1]."""

STRAIGHT = 0.9
"""Share of a line along which the colour has to change in one direction, so that the line is a straight edge."""

THIN = 0.02
"""Widest border that may have several colours, as a share of the side; a wider one has to be of one colour."""

PLAIN, PLAIN_SHARE = 0.06, 0.8
"""A border is of one colour if at least this share of it is within this distance of its median in each channel."""

_BLUR = 3  # pixels within which an edge changes: it may be blurred, or slightly tilted
_THINNEST = 3  # pixels: of a small picture, ``THIN`` would be nothing
_MIDDLE = 0.6  # of a side: the ends may belong to the borders of the other sides
_SEARCHED = 512  # pixels of the shorter side: larger pictures are reduced first, which sharpens blurred edges


class Margins(NamedTuple):
    """Width of the border at each side, pixels."""

    top: int = 0
    bottom: int = 0
    left: int = 0
    right: int = 0

    def __str__(self) -> str:
        """The margins that are not 0, such as ``12 at the top, 1 at the left``."""
        return ", ".join(f"{width} at the {side}" for side, width in self._asdict().items() if width)


NO_MARGINS = Margins()
"""Those of a picture without a border."""


def border(pixels: Floats) -> Margins:
    """How wide the border of a picture is at each side.

    Each side is searched from the outside in. A band belongs to the border if it ends at a straight line along which
    the colour changes in one direction, and if it is thin (``THIN``) or of one colour. Several bands may follow each
    other, such as a mat and a drawn line.

    Args:
        pixels: ``[h, w, 3]`` in [0, 1].

    Returns:
        Zero for a side without a border. Exact for pictures of up to 512 pixels on the shorter side, for larger ones
        within the factor by which they are reduced.
    """
    height, width = pixels.shape[:2]
    scale = max(1.0, min(height, width) / _SEARCHED)
    if scale > 1:
        pixels = _reduced(pixels, round(width / scale), round(height / scale))
    turned = pixels.swapaxes(0, 1)
    found = [_margin(side) for side in (pixels, pixels[::-1], turned, turned[::-1])]
    return Margins(*(int(np.ceil(margin * scale)) for margin in found))


def border_of(painting: Picture) -> Margins:
    """The border of a painting; a painting that is transparent in parts counts as one without a border."""
    return NO_MARGINS if painting.alpha is not None else border(painting.pixels)


def without_border(painting: Picture) -> Picture:
    """A painting without its border; the painting itself if it has none, or is transparent in parts."""
    return cropped(painting, border_of(painting))


def cropped(picture: Picture, margins: Margins) -> Picture:
    """An opaque picture without margins; the picture itself if all are 0."""
    if not any(margins):
        return picture
    top, bottom, left, right = margins
    height, width = picture.pixels.shape[:2]
    inside = picture.pixels[top : height - bottom, left : width - right]
    return Picture(np.ascontiguousarray(inside), None, picture.exif, picture.note)


def _margin(rows: Floats) -> int:
    """Width of the border at the top."""
    height, width = rows.shape[:2]
    limit, beside = int(WIDEST * height), round((1 - _MIDDLE) / 2 * width)
    rows = rows[: limit + _BLUR, beside : width - beside]
    edges = _edges(rows, limit)
    margin, line = 0, 0
    while line < limit:
        if edges[line]:
            while line + 1 < limit and edges[line + 1]:  # a blurred edge: its inner end
                line += 1
            band = rows[margin : max(margin + 1, line)]  # without the last row, which may be mixed
            if line + 1 - margin > max(_THINNEST, THIN * height) and not _plain(band):
                break
            margin = line + 1
        line += 1
    return margin


def _edges(rows: Floats, limit: int) -> list[bool]:
    """Whether a straight edge follows the first, second ... row."""
    change = rows[_BLUR : limit + _BLUR] - rows[:limit]
    direction = change.mean(1, keepdims=True)
    direction /= np.linalg.norm(direction, axis=-1, keepdims=True) + 1e-9
    edges: list[bool] = (((change * direction).sum(-1) > STEP).mean(1) >= STRAIGHT).tolist()
    return edges


def _plain(band: Floats) -> bool:
    away = np.abs(band - np.median(band, axis=(0, 1))).max(-1)
    return bool((away < PLAIN).mean() >= PLAIN_SHARE)


def _reduced(pixels: Floats, width: int, height: int) -> Floats:
    """A smaller picture, each of its pixels the mean of what it stands for."""
    planes = [
        Image.fromarray(np.ascontiguousarray(pixels[..., i])).resize((width, height), Image.Resampling.BOX)
        for i in range(3)
    ]
    return np.stack([np.asarray(plane, np.float32) for plane in planes], -1)
