"""Writing animations frame by frame: GIF, WebP and APNG of any length, which repeat for ever.

Pillow and imagecodecs encode each frame as a picture; to write an animation, Pillow would keep all of it in memory.
"""

import io
import struct
import zlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from fractions import Fraction
from itertools import count, islice, pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from artune.images.formats import QUALITY
from artune.images.profiles import srgb_profile

Arrays = Iterable[NDArray[Any]]
"""Frames, each ``[h, w, 3 | 4]`` of ``uint8`` or, for APNG, ``uint16``."""

CLEAR = 255
"""Place in a GIF's palette of the colour that is transparent."""

FASTEST_GIF = 50
"""Frames a second that a GIF can show: browsers show a shorter frame for a tenth of a second."""

_SEEN = 24  # frames from which a palette is made
_SIDE = 160  # pixels that are looked at along their sides
_VISIBLE = 128  # least alpha of what a GIF shows
_LARGEST = 65_535  # number in an APNG
_PNG = b"\x89PNG\r\n\x1a\n"


def write_gif(
    file: io.BufferedIOBase, frames: Callable[[], Arrays], bounds: Sequence[Fraction], comment: str = ""
) -> None:
    """Write a GIF.

    All frames have one palette, without dithering: a palette for each frame, or errors that are spread to neighbours,
    would flicker where the film stands still. Frames beyond ``FASTEST_GIF`` a second are left out.

    Args:
        file: to write to.
        frames: gives the frames; it is called twice, first for the palette.
        bounds: when each frame begins, and when the last one ends, seconds.
        comment: of the file; empty for none.
    """
    palette = _palette(frames(), len(bounds) - 1)
    delays = _delays([round(100 * bound) for bound in bounds])
    for number, frame in enumerate(frames()):
        if number == 0:
            height, width = frame.shape[:2]
            # 0xF7: a palette of 256 colours for all frames
            file.write(b"GIF89a" + struct.pack("<HHBBB", width, height, 0xF7, 0, 0) + palette.ljust(768, b"\0"))
            file.write(b"\x21\xff\x0bNETSCAPE2.0\x03\x01\0\0\0")  # again and again
            if comment:
                file.write(b"\x21\xfe" + _blocks(comment.encode()))
        if number in delays:
            alpha = frame.shape[2] == 4
            # a frame with transparent parts clears the canvas when its time is over: they show nothing of it then
            flags = 2 << 2 | 1 if alpha else 1 << 2
            file.write(b"\x21\xf9\x04" + struct.pack("<BHBB", flags, min(delays[number], _LARGEST), CLEAR, 0))
            file.write(_image_block(frame, palette))
    file.write(b"\x3b")


def write_webp(file: io.BufferedIOBase, frames: Arrays, bounds: Sequence[Fraction], exif: bytes = b"") -> None:
    """Write a WebP.

    Args:
        file: to write to; it can be sought in.
        frames: the frames, of 8 bits.
        bounds: when each frame begins, and when the last one ends, seconds.
        exif: metadata; empty for none.
    """
    ticks = [round(1000 * bound) for bound in bounds]
    for number, (frame, (begins, ends)) in enumerate(zip(frames, pairwise(ticks), strict=True)):
        height, width = frame.shape[:2]
        if number == 0:
            profile, flags = srgb_profile(), 0x22 | (0x10 if frame.shape[2] == 4 else 0) | (0x08 if exif else 0)
            file.write(b"RIFF\0\0\0\0WEBP")  # the length follows at the end
            file.write(_riff(b"VP8X", struct.pack("<I", flags) + _three(width - 1) + _three(height - 1)))
            file.write(_riff(b"ICCP", profile) + _riff(b"ANIM", struct.pack("<IH", 0, 0)))  # again and again
        data = io.BytesIO()
        Image.fromarray(frame).save(data, "WEBP", quality=QUALITY)
        pixels = b"".join(_riff(name, body) for name, body in _riff_chunks(data.getvalue()) if name in _WEBP_PIXELS)
        place = _three(0) + _three(0) + _three(width - 1) + _three(height - 1)
        file.write(_riff(b"ANMF", place + _three(max(ends - begins, 1)) + b"\x02" + pixels))  # 2: in place of what was
    if exif:
        file.write(_riff(b"EXIF", exif))
    length = file.tell() - 8
    file.seek(4)
    file.write(struct.pack("<I", length))


def write_apng(file: io.BufferedIOBase, frames: Arrays, bounds: Sequence[Fraction], text: str = "") -> None:
    """Write an APNG, without loss.

    Args:
        file: to write to.
        frames: the frames, of 8 or 16 bits.
        bounds: when each frame begins, and when the last one ends, seconds.
        text: a comment; empty for none.
    """
    import imagecodecs

    order = count()
    for number, (frame, (begins, ends)) in enumerate(zip(frames, pairwise(bounds), strict=True)):
        data = imagecodecs.png_encode(frame, level=6, filter=imagecodecs.PNG.FILTER.PAETH)
        chunks = [*_png_chunks(bytes(data))]
        height, width = frame.shape[:2]
        if number == 0:
            file.write(_PNG + _png(*chunks[0]) + _png(b"acTL", struct.pack(">II", len(bounds) - 1, 0)))
            file.write(_png(b"iCCP", b"sRGB\0\0" + zlib.compress(srgb_profile())))
            if text:
                file.write(_png(b"iTXt", b"Comment\0\0\0\0\0" + text.encode()))
        delay = struct.pack(">HH", *_ratio(ends - begins))
        file.write(_png(b"fcTL", struct.pack(">IIIII", next(order), width, height, 0, 0) + delay + b"\0\0"))
        for name, body in chunks:
            if name == b"IDAT":
                named = (name, body) if number == 0 else (b"fdAT", struct.pack(">I", next(order)) + body)
                file.write(_png(*named))
    file.write(_png(b"IEND", b""))


# ---------------------------------------------------------------------------------- GIF


def _palette(frames: Arrays, total: int) -> bytes:
    """Up to 255 colours for all frames: median cut, then k-means, over some frames of the whole film."""
    seen = []
    step = max(1, -(-total // _SEEN))
    for frame in islice(frames, 0, None, step):
        small = frame[:: max(1, frame.shape[0] // _SIDE), :: max(1, frame.shape[1] // _SIDE)]
        pixels = small.reshape(-1, small.shape[2])
        seen.append(pixels[pixels[:, 3] >= _VISIBLE, :3] if pixels.shape[1] == 4 else pixels)
    strip = np.concatenate(seen)
    if not len(strip):
        return bytes(3)
    found = Image.fromarray(strip[None]).quantize(CLEAR, method=Image.Quantize.MEDIANCUT, kmeans=3)
    return bytes(found.getpalette() or bytes(3))[: 3 * CLEAR]


def _delays(ticks: list[int]) -> dict[int, int]:
    """How long frames are shown, hundredths of a second, by their numbers; those that are left out are not in it."""
    least = 100 // FASTEST_GIF
    begins = [0]
    for number in range(1, len(ticks) - 1):
        if ticks[number] - ticks[begins[-1]] >= least:
            begins.append(number)
    ends = [ticks[number] for number in begins[1:]] + [ticks[-1]]
    return {number: max(end - ticks[number], least) for number, end in zip(begins, ends, strict=True)}


def _image_block(frame: NDArray[Any], palette: bytes) -> bytes:
    """A frame as an image of a GIF, without a palette of its own."""
    holder = Image.new("P", (1, 1))
    # the places behind the palette hold its first colour, so that no other can be the nearest
    holder.putpalette(palette + palette[:3] * (256 - len(palette) // 3))
    quantized = Image.fromarray(np.ascontiguousarray(frame[..., :3])).quantize(palette=holder, dither=Image.Dither.NONE)
    places = np.array(quantized)
    places[places >= len(palette) // 3] = 0
    if frame.shape[2] == 4:
        places[frame[..., 3] < _VISIBLE] = CLEAR
    image = Image.fromarray(places, "P")
    image.putpalette(bytes(range(256)) * 3)  # of full length, so that the codes have 8 bits
    data = io.BytesIO()
    image.save(data, "GIF", optimize=False, interlace=False)
    gif = data.getvalue()
    at = 13 + 3 * 2 ** ((gif[10] & 7) + 1)  # behind the head and the palette
    while gif[at] == 0x21:  # an extension: its sub-blocks end with an empty one
        at += 2
        while gif[at]:
            at += gif[at] + 1
        at += 1
    return gif[at:-1]


def _blocks(data: bytes) -> bytes:
    """The sub-blocks of a GIF: up to 255 bytes each, behind their number; the last one is empty."""
    parts = [data[at : at + 255] for at in range(0, len(data), 255)]
    return b"".join(bytes([len(part)]) + part for part in parts) + b"\0"


# ---------------------------------------------------------------------------------- WebP

_WEBP_PIXELS = (b"ALPH", b"VP8 ", b"VP8L")


def _three(number: int) -> bytes:
    return number.to_bytes(3, "little")


def _riff(name: bytes, body: bytes) -> bytes:
    return name + struct.pack("<I", len(body)) + body + b"\0" * (len(body) % 2)


def _riff_chunks(data: bytes) -> Iterator[tuple[bytes, bytes]]:
    at = 12
    while at < len(data):
        length = int.from_bytes(data[at + 4 : at + 8], "little")
        yield data[at : at + 4], data[at + 8 : at + 8 + length]
        at += 8 + length + length % 2


# ---------------------------------------------------------------------------------- APNG


def _png(name: bytes, body: bytes) -> bytes:
    return struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body))


def _png_chunks(data: bytes) -> Iterator[tuple[bytes, bytes]]:
    at = len(_PNG)
    while at < len(data):
        length = int.from_bytes(data[at : at + 4], "big")
        yield data[at + 4 : at + 8], data[at + 8 : at + 8 + length]
        at += 12 + length


def _ratio(seconds: Fraction) -> tuple[int, int]:
    """A duration as two numbers of 16 bits."""
    for most in (_LARGEST, 1000, 100, 1):
        near = seconds.limit_denominator(most)
        if 0 < near.numerator <= _LARGEST:
            return near.numerator, near.denominator
    return (_LARGEST, 1) if seconds > 1 else (1, _LARGEST)
