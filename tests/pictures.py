"""Files and colour profiles that the tests of pictures share."""

import io
import struct
from typing import Any

import numpy as np
import tifffile
from PIL import Image

from artune.images.profiles import srgb_profile


def file_of(image: Image.Image, form: str, **options: Any) -> bytes:
    """The bytes of a file, written by Pillow."""
    buffer = io.BytesIO()
    image.save(buffer, form, **options)
    return buffer.getvalue()


def tiff_of(samples: np.ndarray, *, profile: bytes = b"", orientation: int = 1, **options: Any) -> bytes:
    """The bytes of a TIFF, written by tifffile."""
    tags = [(274, "H", 1, orientation, True)]
    if profile:
        tags.append((34675, "B", len(profile), profile, True))
    buffer = io.BytesIO()
    tifffile.imwrite(buffer, samples, **{"metadata": None, "photometric": "rgb", "extratags": tags, **options})
    return buffer.getvalue()


def profile_of(space: bytes, connection: bytes, *tags: tuple[bytes, bytes]) -> bytes:
    """A profile of a colour space, with the tags that it needs."""
    white = struct.pack(">3i", 0xF6D6, 0x10000, 0xD32D)
    wanted = [(b"wtpt", b"XYZ \0\0\0\0" + white), (b"cprt", b"text\0\0\0\0x\0"), *tags]
    table, body = b"", b""
    for name, data in wanted:
        table += struct.pack(">4sII", name, 132 + 12 * len(wanted) + len(body), len(data))
        body += data + bytes(-len(data) % 4)
    head = struct.pack(">I4sI4s4s4s", 132 + len(table + body), b"lcms", 0x02100000, b"mntr", space, connection)
    head += struct.pack(">6H", 2020, 1, 1, 0, 0, 0) + b"acsp" + bytes(28) + white
    return head.ljust(128, b"\0") + struct.pack(">I", len(wanted)) + table + body


LINEAR_GREY = profile_of(b"GRAY", b"XYZ ", (b"kTRC", b"curv\0\0\0\0" + struct.pack(">IH", 1, 0x0100)))
"""Grey in proportion to light."""


def linear_rgb() -> bytes:
    """sRGB's primaries, in proportion to light; by its name it is sRGB."""
    linear = bytearray(srgb_profile())
    curve = linear.find(b"para")
    linear[curve : curve + 16] = b"para" + bytes(4) + bytes(4) + (1 << 16).to_bytes(4, "big")  # gamma 1
    return bytes(linear)


def swapped_rgb() -> bytes:
    """sRGB with the primaries of red and green exchanged."""
    data = bytearray(srgb_profile())
    count = int.from_bytes(data[128:132], "big")
    entries = {bytes(data[132 + 12 * i : 136 + 12 * i]): 132 + 12 * i for i in range(count)}
    red, green = entries[b"rXYZ"], entries[b"gXYZ"]
    data[red : red + 4], data[green : green + 4] = data[green : green + 4], data[red : red + 4]
    return bytes(data)


def single_ink() -> bytes:
    """CMYK where the first ink alone darkens, and the others are invisible."""
    lattice = bytes(v for corner in range(16) for v in ((255, 128, 128) if corner < 8 else (0, 128, 128)))
    ident = bytes(range(256))
    unit = struct.pack(">9i", *(0x10000 * (i % 4 == 0) for i in range(9)))
    lut = b"mft1\0\0\0\0" + bytes([4, 3, 2, 0]) + unit + 4 * ident + lattice + 3 * ident
    return profile_of(b"CMYK", b"Lab ", (b"A2B0", lut))


def srgb_of_linear(light: np.ndarray | float) -> np.ndarray:
    """sRGB's curve (IEC 61966-2-1)."""
    light = np.asarray(light, np.float64)
    return np.where(light <= 0.0031308, 12.92 * light, 1.055 * light ** (1 / 2.4) - 0.055)
