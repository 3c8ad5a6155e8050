"""What the values of a film stand for: matrix, range, primaries, transfer, by the numbers of ITU-T H.273."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from av.video.frame import VideoFrame

RGB = 0
"""The matrix that changes nothing: the film holds red, green and blue."""

UNKNOWN = 2
"""Matrix, primaries or transfer of a film that does not say."""

BT709, BT601_625, BT601_525, BT2020 = 1, 5, 6, 9
"""Matrices, and the primaries of the same numbers: of HD, of smaller films of 625 and of 525 lines, and of UHD."""

HDR = {16: "PQ", 18: "HLG"}
"""Transfers of films whose white is not the brightest (SMPTE ST 2084, ARIB STD-B67), and what they are called."""

MATRICES = (BT709, 4, BT601_625, BT601_525, 7, BT2020)
"""Matrices that FFmpeg converts with."""

_TRANSFERS = {BT601_625: 6, BT601_525: 6, BT2020: 14}
_LIMITED, _FULL = 1, 2  # FFmpeg's numbers of the ranges
_SWS = {1: 1, 4: 4, 5: 5, 6: 5, 7: 7, 9: 9}  # swscale's numbers of the matrices


@dataclass(frozen=True)
class Colours:
    """How the values of a film stand for colours, by the numbers of ITU-T H.273, which are FFmpeg's, too.

    Attributes:
        matrix: from red, green and blue to luma and chroma.
        full_range: whether black and white are 0 and 255, as in a JPEG, instead of 16 and 235.
        primaries: which red, green and blue are meant.
        transfer: from light to values.
    """

    matrix: int
    full_range: bool
    primaries: int
    transfer: int


HD = Colours(BT709, False, BT709, BT709)
"""Colours of a film that is made of pictures."""

LOSSLESS = Colours(RGB, True, BT709, BT709)
"""Colours of frames that are kept as red, green and blue."""


def colours_of(frame: "VideoFrame") -> Colours:
    """What a frame says of its colours, or else what its size implies: 709 from 720 lines or 1280 columns on."""
    matrix = int(frame.colorspace)
    if frame.format.is_rgb:
        matrix = RGB
    elif matrix not in MATRICES:
        small = BT601_625 if frame.height in (288, 576) else BT601_525
        matrix = small if frame.height < 720 and frame.width < 1280 else BT709
    primaries, transfer = int(frame.color_primaries), int(frame.color_trc)
    return Colours(
        matrix,
        frame.color_range == _FULL or frame.format.name.startswith("yuvj") or matrix == RGB,
        primaries if primaries != UNKNOWN else {RGB: BT709}.get(matrix, matrix),
        transfer if transfer != UNKNOWN else _TRANSFERS.get(matrix, BT709),
    )


def to_rgb(frame: "VideoFrame", name: str, colours: Colours, size: tuple[int, int]) -> NDArray[Any]:
    """The values of a frame as red, green and blue.

    Args:
        frame: in any pixel format.
        name: FFmpeg's pixel format of the result, such as ``rgb24``.
        colours: those of the frame.
        size: width and height of the result, pixels.
    """
    frame.colorspace, frame.color_range = colours.matrix, _FULL if colours.full_range else _LIMITED
    return _converted(frame, name, size, dst_color_range=_FULL).to_ndarray()


def from_rgb(values: NDArray[Any], name: str, colours: Colours) -> "VideoFrame":
    """A frame of red, green and blue.

    Args:
        values: ``[h, w, 3 | 4]`` of ``uint8`` or ``uint16``.
        name: FFmpeg's pixel format of the frame, such as ``yuv420p``.
        colours: of the frame.
    """
    from av.video.frame import VideoFrame

    given = {(3, 8): "rgb24", (4, 8): "rgba", (3, 16): "rgb48le", (4, 16): "rgba64le"}
    rgb = VideoFrame.from_ndarray(np.ascontiguousarray(values), given[values.shape[2], 8 * values.itemsize])
    rgb.color_range = _FULL
    return _converted(
        rgb,
        name,
        (rgb.width, rgb.height),
        dst_colorspace=_SWS.get(colours.matrix),
        dst_color_range=_FULL if colours.full_range else _LIMITED,
    )


def _converted(frame: "VideoFrame", name: str, size: tuple[int, int], **options: Any) -> "VideoFrame":
    from av.video.reformatter import Interpolation

    exact = Interpolation.BICUBIC | Interpolation.ACCURATE_RND | Interpolation.FULL_CHR_H_INT
    return frame.reformat(*size, format=name, interpolation=exact | Interpolation.FULL_CHR_H_INP, threads=1, **options)
