"""PNG of 16 bits, by imagecodecs, because Pillow would cut it to 8 bits. Pillow reads and writes PNG of 8 bits."""

import io
import json
import struct
import zlib

import numpy as np
from PIL import Image

from artune.images.metadata import NOTE
from artune.images.picture import Picture, floats
from artune.images.profiles import srgb_profile
from artune.images.samples import Samples


def is_deep_png(data: bytes) -> bool:
    """Whether a file is a PNG of 16 bits."""
    return data.startswith(b"\x89PNG\r\n\x1a\n") and data[24:25] == b"\x10"


def read_deep_png(data: bytes, opened: Image.Image) -> Samples:
    """Samples of a PNG of 16 bits.

    Args:
        data: the file.
        opened: the same, opened by Pillow, which knows which colour stands for transparency.
    """
    import imagecodecs

    values = imagecodecs.png_decode(_pixels_alone(data))
    values = values[..., None] if values.ndim == 2 else values
    own = values.shape[2] - (1 - values.shape[2] % 2)
    colours = values[..., :own]
    alpha = None
    if values.shape[2] > own:
        alpha = floats(values[..., own] / np.float32(65535))
    elif (clear := opened.info.get("transparency")) is not None:
        alpha = floats((colours != np.ravel(clear)).any(-1))
    return Samples(floats(colours / np.float32(65535)), alpha)


def _pixels_alone(data: bytes) -> bytes:
    """A PNG without its metadata, about which the decoder would log warnings."""
    kept, at = [data[:8]], 8
    while at < len(data):
        end = at + 12 + int.from_bytes(data[at : at + 4], "big")  # length, name and checksum take 4 bytes each
        if data[at + 4 : at + 8] in (b"IHDR", b"IDAT", b"IEND"):
            kept.append(data[at:end])
        at = end
    return b"".join(kept)


def write_deep_png(picture: Picture, file: io.BufferedIOBase) -> None:
    """Write 16 bits a channel, with the sRGB profile and all metadata.

    imagecodecs writes pixels alone: the metadata goes between its first chunk and its second.
    """
    import imagecodecs

    # Paeth's filter at a low level: as small as all filters at the highest, in half of the time
    data = imagecodecs.png_encode(picture.to_numpy(np.uint16), level=3, filter=imagecodecs.PNG.FILTER.PAETH)
    chunks = [(b"iCCP", b"sRGB\0\0" + zlib.compress(srgb_profile()))]
    if picture.note:
        chunks.append((b"iTXt", NOTE.encode() + b"\0\0\0\0\0" + json.dumps(picture.note).encode()))
    if picture.exif:
        chunks.append((b"eXIf", picture.exif.removeprefix(b"Exif\0\0")))
    head = 8 + 25  # the signature and IHDR
    file.write(data[:head])
    for kind, body in chunks:
        file.write(struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body)))
    file.write(memoryview(data)[head:])
