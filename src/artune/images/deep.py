"""Pictures of more than 8 bits a channel: PNG of 16, TIFF of any depth. Pillow would cut them to 8."""

import io
import warnings
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from PIL import ExifTags, Image

from artune.errors import ArtuneWarning, PictureError
from artune.images.picture import Floats

OVERSHOOT = 1.1
"""Largest value of a float picture that is still clipped to white: resampling overshoots by that much. Above it the
whole picture is scaled."""

_TIFF_MAGIC = (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")
_REDUCED, _MASK = 1, 4  # bits of a page's NewSubfileType
_PROFILE_TAG, _KIND_TAG, _BITS_TAG = 34675, 254, 258


class Samples(NamedTuple):
    """What a file holds, not yet turned upright and not yet in sRGB.

    Attributes:
        colours: ``[h, w, 1 | 3 | 4]``, float32 in [0, 1]: grey, RGB or CMYK (1 is all ink).
        alpha: ``[h, w]`` in [0, 1], or ``None``.
    """

    colours: Floats
    alpha: Floats | None = None


# ---------------------------------------------------------------------------------- levels of white


def scaled(values: NDArray[Any], where: str, bits: int | None = None) -> Floats:
    """Samples of any type, as float32 in [0, 1].

    - Unsigned integers of up to 16 bits: all bits set is white.
    - Other integers: white is the smallest of 8, 16 and all bits that holds the largest value, for programs store
      pictures of 8 bits in 32.
    - Floats: 1 is white. Where the largest value is above ``OVERSHOOT``, it becomes white, with a warning.

    Args:
        values: of any shape.
        where: the picture's name, for messages.
        bits: that a sample has; default: those of its type.

    Raises:
        PictureError: no value is a number, or the type has no white.
    """
    kind = values.dtype.kind
    if kind == "f":
        return _scaled_floats(values, where)
    if kind not in "iu":
        raise PictureError(f"{where} holds {values.dtype} values; give a picture of integers or floats")
    most = (2**bits - 1) if bits and kind == "u" else int(np.iinfo(values.dtype).max)
    if kind == "i" or most > 65535:
        whites = [white for white in (255, 65535) if white < most]
        white = next((white for white in whites if white >= values.max(initial=0)), most)
        return _floats(np.clip(values, 0, white) / np.float64(white))
    return _floats(values / np.float32(most))


def _scaled_floats(values: NDArray[Any], where: str) -> Floats:
    finite = np.isfinite(values)
    if not finite.any():
        raise PictureError(f"{where} is damaged: none of its values is finite")
    largest = float(values.max(where=finite, initial=0))
    if largest > OVERSHOOT:
        warnings.warn(
            f"{where} has float values up to {largest:.6g}, where 1 is white: all are divided by the largest. Save it "
            "with values from 0 to 1 to choose its white yourself",
            ArtuneWarning,
            stacklevel=2,
        )
        values = values / largest
    return _floats(np.clip(np.nan_to_num(values), 0, 1))


# ---------------------------------------------------------------------------------- PNG


def is_deep_png(data: bytes) -> bool:
    """Whether a file is a PNG of 16 bits."""
    return data.startswith(b"\x89PNG\r\n\x1a\n") and data[24:25] == b"\x10"


def read_deep_png(data: bytes, opened: Image.Image) -> Samples:
    """Samples of a PNG of 16 bits.

    Args:
        data: the file.
        opened: the same, opened by Pillow, which knows the one colour that stands for nothing.
    """
    import imagecodecs

    values = imagecodecs.png_decode(_pixels_alone(data))
    values = values[..., None] if values.ndim == 2 else values
    own = values.shape[2] - (1 - values.shape[2] % 2)
    colours = values[..., :own]
    alpha = None
    if values.shape[2] > own:
        alpha = _floats(values[..., own] / np.float32(65535))
    elif (clear := opened.info.get("transparency")) is not None:
        alpha = _floats((colours != np.ravel(clear)).any(-1))
    return Samples(_floats(colours / np.float32(65535)), alpha)


def _pixels_alone(data: bytes) -> bytes:
    """A PNG without its metadata, about which the decoder would log warnings."""
    kept, at = [data[:8]], 8
    while at < len(data):
        end = at + 12 + int.from_bytes(data[at : at + 4], "big")  # length, name and checksum take 4 bytes each
        if data[at + 4 : at + 8] in (b"IHDR", b"IDAT", b"IEND"):
            kept.append(data[at:end])
        at = end
    return b"".join(kept)


# ---------------------------------------------------------------------------------- TIFF


def is_tiff(data: bytes) -> bool:
    """Whether a file is a TIFF, or one of the raw formats that are built like it."""
    return data[:4] in _TIFF_MAGIC


def suits_pillow(opened: Image.Image) -> bool:
    """Whether Pillow reads all of a TIFF that it has opened: 8 bits a channel, in a compression that it knows."""
    bits = opened.tag_v2.get(_BITS_TAG, 1)  # type: ignore[attr-defined]
    return int(np.max(bits)) <= 8 and opened.info.get("compression") != "webp"


def has_more_pages(data: bytes, opened: Image.Image | None) -> bool:
    """Whether a TIFF has a second page; previews and masks of the first do not count."""
    if opened is None:
        import tifffile

        with tifffile.TiffFile(io.BytesIO(data)) as file:
            further = (page for page in file.pages[1:] if isinstance(page, tifffile.TiffPage))
            return any(not (page.is_reduced or page.is_mask) for page in further)
    try:
        for page in range(1, opened.n_frames):  # type: ignore[attr-defined]
            opened.seek(page)
            if not opened.tag_v2.get(_KIND_TAG, 0) & (_REDUCED | _MASK):  # type: ignore[attr-defined]
                return True
    except Exception:  # a damaged page is none
        return False
    finally:
        opened.seek(0)
    return False


def tiff_metadata(data: bytes) -> tuple[Image.Exif, bytes | None]:
    """EXIF and the colour profile of a TIFF, among whose tags both are.

    Pillow reads them even where it cannot read the pixels; but of a big-endian BigTIFF it reads nothing, and no more
    than rotation and profile are kept.
    """
    exif = Image.Exif()
    big, order = b"+" in data[2:4], "little" if data[:2] == b"II" else "big"
    if big and order == "big":
        import tifffile

        with tifffile.TiffFile(io.BytesIO(data)) as file:
            tags = file.pages.first.tags
            for tag in (ExifTags.Base.Orientation, _KIND_TAG, _PROFILE_TAG):
                if tag in tags:
                    exif[tag] = tags[tag].value
    else:
        exif.endian, exif.bigtiff = "<" if order == "little" else ">", big
        start = data[8:16] if big else data[4:8]
        exif.load_from_fp(io.BytesIO(data), int.from_bytes(start, order))  # type: ignore[arg-type]
    profile = exif.get(_PROFILE_TAG)
    return exif, profile if isinstance(profile, bytes) else None


def is_preview(exif: Image.Exif) -> bool:
    """Whether the first page of a TIFF is a small version of another, as in a camera's raw files."""
    kind = exif.get(_KIND_TAG, 0)
    return isinstance(kind, int) and bool(kind & _REDUCED)


def tiff_size(data: bytes) -> tuple[int, int]:
    """Width and height of a TIFF's first page, pixels."""
    import tifffile

    with tifffile.TiffFile(io.BytesIO(data)) as file:
        page = file.pages.first
        return page.imagewidth, page.imagelength


def read_tiff(data: bytes, where: str) -> Samples:
    """Samples of a TIFF's first page: grey, RGB or CMYK, of any depth and compression.

    Raises:
        PictureError: it is of another kind.
    """
    import tifffile

    with tifffile.TiffFile(io.BytesIO(data)) as file:
        page = file.pages.first
        inverted, grey, rgb, inks = 0, 1, 2, 5
        own = {inverted: 1, grey: 1, rgb: 3, inks: 4}.get(int(page.photometric))
        if own is None or page.axes not in ("YX", "YXS", "SYX"):
            raise PictureError(
                f"{where} is a TIFF of a kind that artune does not read (photometric {int(page.photometric)}, "
                f"axes {page.axes}, {page.dtype}); save it as RGB"
            )
        raw = page.asarray()
        bits, photometric, extra = page.bitspersample, int(page.photometric), page.extrasamples
        planar = page.axes == "SYX"
    values = raw[..., None] if raw.ndim == 2 else np.moveaxis(raw, 0, -1) if planar else raw
    if values.shape[2] < own:
        raise PictureError(f"{where} is damaged: {values.shape[2]} channels where {own} are needed")
    premultiplied, straight = 1, 2
    kind = int(extra[0]) if extra and values.shape[2] > own else 0
    depth = int(np.max(bits))
    colours, alpha = scaled(values[..., :own], where, depth), None
    if kind in (premultiplied, straight):
        alpha = scaled(values[..., own], f"the transparency of {where}", depth)
        if kind == premultiplied:
            colours = np.clip(colours / np.maximum(alpha, 1e-6)[..., None], 0, 1)
    if photometric == inverted:
        colours = 1 - colours
    return Samples(_floats(colours), alpha)


def _floats(values: NDArray[Any]) -> Floats:
    return np.ascontiguousarray(values, np.float32)
