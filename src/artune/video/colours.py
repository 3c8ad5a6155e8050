"""What the values of a film stand for: matrix, range, primaries, transfer, by the numbers of ITU-T H.273."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from artune.images.picture import Floats, floats

if TYPE_CHECKING:
    from av.video.format import VideoFormat
    from av.video.frame import VideoFrame

RGB = 0
"""The matrix that changes nothing: the film holds red, green and blue."""

UNKNOWN = 2
"""Matrix, primaries or transfer of a film that does not say."""

BT709, BT601_625, BT601_525, BT2020 = 1, 5, 6, 9
"""Matrices, and the primaries of the same numbers: of HD, of smaller films of 625 and of 525 lines, and of UHD."""

HDR = {16: "PQ", 18: "HLG"}
"""Transfers of films whose white is not the brightest (SMPTE ST 2084, ARIB STD-B67), and what they are called."""

MATRICES = {
    BT709: (0.2126, 0.0722),
    4: (0.30, 0.11),
    BT601_625: (0.299, 0.114),
    BT601_525: (0.299, 0.114),
    7: (0.212, 0.087),
    BT2020: (0.2627, 0.0593),
}
"""Weights of red and of blue in luma, of each matrix that is known here (ITU-T H.273, table 4)."""

_TRANSFERS = {BT601_625: 6, BT601_525: 6, BT2020: 14}
_LIMITED, _FULL = 1, 2  # FFmpeg's numbers of the ranges


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


def depth_of(frame: "VideoFrame") -> int:
    """Bits of a channel, up to 16."""
    return min(max(part.bits for part in frame.format.components if not part.is_alpha), 16)


def has_alpha(frame: "VideoFrame") -> bool:
    """Whether the format of a frame has transparency."""
    return bool(frame.format.has_palette) or any(part.is_alpha for part in frame.format.components)


def to_rgb(frame: "VideoFrame", colours: Colours, size: tuple[int, int]) -> Floats:
    """A frame as red, green, blue and, where its format has one, alpha.

    FFmpeg's scaler enlarges chroma. The matrix is applied here, in floats: the scaler rounds on the way, and of values
    that lie beyond white it makes black.

    Args:
        frame: in any pixel format.
        colours: those of the frame.
        size: width and height of the result, pixels.

    Returns:
        ``[h, w, 3 | 4]`` in [0, 1].
    """
    if (frame.width, frame.height) != size:
        frame = _converted(frame, frame.format.name, size)
    form = frame.format
    if form.is_rgb or form.has_palette or (len(form.components) < 3 and not _is_separate(form)):
        if not _is_separate(form):
            name = ("gbrap" if has_alpha(frame) else "gbrp") + ("16le" if depth_of(frame) > 8 else "")
            frame = _converted(frame, name, size, dst_color_range=_FULL)
        white = np.float32(2 ** depth_of(frame) - 1)
        return np.stack([_part(frame, index) for index in range(len(frame.format.components))], -1) / white
    return _of_luma(frame, colours)


def from_rgb(values: NDArray[Any], name: str, colours: Colours) -> "VideoFrame":
    """A frame of red, green and blue.

    Args:
        values: ``[h, w, 3 | 4]`` of ``uint8`` or ``uint16``; with even sides where chroma is halved.
        name: FFmpeg's pixel format of the frame: ``yuv420p``, ``yuv420p10le``, ``yuva420p`` or ``yuva444p10le``, of
            which those with an ``a`` need four channels; or one of red, green and blue, which keeps the values.
        colours: of the frame.
    """
    from av.video.frame import VideoFrame

    height, width, channels = values.shape
    if not name.startswith("yuv"):
        given = {(3, 1): "rgb24", (4, 1): "rgba", (3, 2): "rgb48le", (4, 2): "rgba64le"}[channels, values.itemsize]
        return _converted(VideoFrame.from_ndarray(np.ascontiguousarray(values), given), name, (width, height))
    frame = VideoFrame(width, height, name)
    bits = depth_of(frame)
    white = 2**bits - 1
    black, span, chroma_span = _levels(bits, colours.full_range)
    red, green, blue, *alpha = np.moveaxis(values / np.float32(np.iinfo(values.dtype).max), 2, 0)
    kr, kb = MATRICES[colours.matrix]
    luma = np.float32(kr) * red + np.float32(1 - kr - kb) * green + np.float32(kb) * blue
    chroma = [(blue - luma) / np.float32(2 * (1 - kb)), (red - luma) / np.float32(2 * (1 - kr))]
    if "420" in name:
        chroma = [halved(each) for each in chroma]
    parts = [
        luma * span + black,
        *(each * chroma_span + 2 ** (bits - 1) for each in chroma),
        *(white * a for a in alpha),
    ]
    for index, part in enumerate(parts):
        plane = _plane(frame, index, bits)
        plane[:] = np.clip(np.rint(part), 0, white)
    return frame


def halved(chroma: Floats) -> Floats:
    """Chroma at half of its width and height.

    Its values stand at the left one of two columns and between two rows, as players expect (ITU-T H.264, figure E-1,
    type 0). FFmpeg's scaler would put them between the columns, so that colours move.
    """
    before = np.concatenate([chroma[:, :1], chroma[:, 1:-1:2]], 1)
    rows = before + 2 * chroma[:, ::2] + chroma[:, 1::2]
    return floats((rows[::2] + rows[1::2]) / 8)


def _of_luma(frame: "VideoFrame", colours: Colours) -> Floats:
    """Red, green, blue and alpha of a frame of luma and chroma, or of grey."""
    bits = depth_of(frame)
    black, span, chroma_span = _levels(bits, colours.full_range)
    out = np.empty((frame.height, frame.width, 3 + has_alpha(frame)), np.float32)
    if len(frame.format.components) == 1:
        out[:] = ((_part(frame, 0) - black) / span)[..., None]
        return np.clip(out, 0, 1, out=out)
    steps, blue, red, *alpha = _whole_planes(frame, bits)
    luma = (steps - black) / span
    blue, red = ((each - 2 ** (bits - 1)) / chroma_span for each in (blue, red))
    kr, kb = MATRICES[colours.matrix]
    kg = 1 - kr - kb
    out[..., 0] = luma + np.float32(2 * (1 - kr)) * red
    out[..., 1] = luma - np.float32(2 * (1 - kr) * kr / kg) * red - np.float32(2 * (1 - kb) * kb / kg) * blue
    out[..., 2] = luma + np.float32(2 * (1 - kb)) * blue
    if alpha:
        out[..., 3] = alpha[0] / np.float32(2**bits - 1)
    return np.clip(out, 0, 1, out=out)


def _whole_planes(frame: "VideoFrame", bits: int) -> list[Floats]:
    """Luma, both chromas and alpha of a frame, all of its size, in its own steps."""
    form = frame.format
    if _is_separate(form) and form.name.startswith(("yuv444p", "yuvj444p", "yuva444p")):
        return [_part(frame, index) for index in range(len(form.components))]
    if _is_separate(form) and form.name.startswith(("yuv422p", "yuva422p")):  # not yuvj, which is JPEG's
        chroma = [doubled(_part(frame, index), frame.width) for index in (1, 2)]
        return [_part(frame, 0), *chroma, *([_part(frame, 3)] if len(form.components) > 3 else [])]
    # both are said to be limited, so that values are shifted alone, whatever they mean; but yuvj is known to be full
    same = _FULL if form.name.startswith("yuvj") else _LIMITED
    frame.color_range = same
    whole = _converted(frame, "yuv444p16le", (frame.width, frame.height), dst_color_range=same)
    separate = _is_separate(form)
    planes = [_part(whole, index) / np.float32(2 ** (16 - bits)) for index in range(3)]
    if separate:
        planes[0] = _part(frame, 0)
    if has_alpha(frame):
        planes.append(_part(frame, 3) if separate else np.full_like(planes[0], 2**bits - 1))
    return planes


def doubled(chroma: Floats, width: int) -> Floats:
    """Chroma of a film of 4:2:2 at the film's width: its values stand at the left one of two columns.

    Between them, the cubic of Catmull and Rom is taken. FFmpeg's scaler would be told by few decoders where they stand.
    """
    before, after = chroma[:, [0, *range(chroma.shape[1] - 1)]], chroma[:, [*range(1, chroma.shape[1]), -1]]
    further = after[:, [*range(1, chroma.shape[1]), -1]]
    out = np.repeat(chroma, 2, 1)
    out[:, 1::2] = (9 * (chroma + after) - before - further) / 16
    return out[:, :width]


def _levels(bits: int, full_range: bool) -> tuple[int, int, int]:
    """Black, and how many steps there are from there to white, and from the least chroma to the greatest."""
    step = 2 ** (bits - 8)
    return (0, 2**bits - 1, 2**bits - 1) if full_range else (16 * step, 219 * step, 224 * step)


def _is_separate(form: "VideoFormat") -> bool:
    """Whether each part has a plane of its own, in numbers that NumPy reads."""
    planes = {part.plane for part in form.components}
    readable = all(8 <= part.bits <= 16 for part in form.components) and not form.name.endswith("be")
    return len(planes) == len(form.components) and readable and not form.has_palette


def _part(frame: "VideoFrame", index: int) -> Floats:
    """A part of a frame in its own steps."""
    part = frame.format.components[index]
    return _plane(frame, part.plane, part.bits).astype(np.float32)


def _plane(frame: "VideoFrame", index: int, bits: int) -> NDArray[Any]:
    """A plane of a frame, ``[h, w]``, to read and write."""
    plane: Any = frame.planes[index]
    rows: NDArray[Any] = np.frombuffer(plane, np.uint16 if bits > 8 else np.uint8)
    return rows.reshape(plane.height, -1)[:, : plane.width]


def _converted(frame: "VideoFrame", name: str, size: tuple[int, int], **options: Any) -> "VideoFrame":
    """A frame in another pixel format, or at another size, by FFmpeg's scaler."""
    from av.video.reformatter import Interpolation

    exact = Interpolation.BICUBIC | Interpolation.ACCURATE_RND | Interpolation.FULL_CHR_H_INT
    return frame.reformat(*size, format=name, interpolation=exact | Interpolation.FULL_CHR_H_INP, threads=1, **options)
