"""TIFF of any depth and compression, by tifffile; Pillow reads 8 bits in the common compressions."""

import io
import json
from typing import Literal

import numpy as np
from PIL import ExifTags, Image

from artune.errors import PictureError
from artune.images.metadata import NOTE
from artune.images.picture import Picture, floats
from artune.images.profiles import srgb_profile
from artune.images.samples import Samples, scaled

_MAGIC = (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")
_REDUCED, _MASK = 1, 4  # bits of a page's NewSubfileType
_PIXEL_TAGS = (273, 324)  # StripOffsets, TileOffsets
_INTEGERS = {3: 2, 4: 4, 16: 8}  # bytes of the types of an offset
_PROFILE_TAG, _KIND_TAG, _BITS_TAG = 34675, 254, 258


def is_tiff(data: bytes) -> bool:
    """Whether a file is a TIFF, or one of the raw formats that are built like it."""
    return data[:4] in _MAGIC


def puzzles_pillow(data: bytes) -> bool:
    """Whether a file is a big-endian BigTIFF, which Pillow misreads, with a warning."""
    return data[:4] == b"MM\0+"


def check_complete(data: bytes, where: str) -> None:
    """Raise unless the first page of a TIFF, and the beginning of its pixels, lie inside the file.

    Pillow and tifffile warn and log on a file that is cut short before they fail, or give no reason.

    Raises:
        PictureError: saying what is missing.
    """
    order: Literal["little", "big"] = "little" if data[:2] == b"II" else "big"
    big = b"+" in data[2:4]
    wide, counted, entry = (8, 8, 20) if big else (4, 2, 12)  # bytes of an offset, of a count of tags, of a tag

    def number(at: int, length: int, what: str) -> int:
        if at + length > len(data):
            raise PictureError(
                f"{where} is damaged or cut short: it ends at byte {len(data)}, before {what} at byte {at}; get it anew"
            )
        return int.from_bytes(data[at : at + length], order)

    page = number(8 if big else 4, wide, "the place of its first page")
    tags = number(page, counted, "its first page")
    number(page + counted + tags * entry, 0, "the end of its first page")
    for at in range(page + counted, page + counted + tags * entry, entry):
        tag, kind = number(at, 2, "a tag"), number(at + 2, 2, "a tag")
        if tag in _PIXEL_TAGS and kind in _INTEGERS:
            count, size, value = number(at + 4, wide, "a tag"), _INTEGERS[kind], at + 4 + wide
            if count * size > wide:
                value = number(value, wide, "a tag")
            number(number(value, size, "the places of its pixels"), 1, "its pixels")


def suits_pillow(opened: Image.Image) -> bool:
    """Whether Pillow can read a TIFF in full: 8 bits a channel, in a compression that it knows."""
    bits = opened.tag_v2.get(_BITS_TAG, 1)  # type: ignore[attr-defined]
    return int(np.max(bits)) <= 8 and opened.info.get("compression") != "webp"


def has_more_pages(source: bytes | Image.Image) -> bool:
    """Whether a TIFF has a second page; previews and masks of the first do not count.

    Args:
        source: the file, or the same opened by Pillow, which stands at its first page afterwards.
    """
    if isinstance(source, bytes):
        import tifffile

        with tifffile.TiffFile(io.BytesIO(source)) as file:
            further = (page for page in file.pages[1:] if isinstance(page, tifffile.TiffPage))
            return any(not (page.is_reduced or page.is_mask) for page in further)
    try:
        for page in range(1, source.n_frames):  # type: ignore[attr-defined]
            source.seek(page)
            if not source.tag_v2.get(_KIND_TAG, 0) & (_REDUCED | _MASK):  # type: ignore[attr-defined]
                return True
    except Exception:  # a damaged page is none
        return False
    finally:
        source.seek(0)
    return False


def tiff_metadata(data: bytes) -> tuple[Image.Exif, bytes | None]:
    """EXIF and the colour profile of a TIFF; both are among its tags.

    Pillow reads them even if it cannot read the pixels. It cannot read a big-endian BigTIFF, of which only rotation and
    profile are kept.
    """
    exif = Image.Exif()
    big, order = b"+" in data[2:4], "little" if data[:2] == b"II" else "big"
    if puzzles_pillow(data):
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
    return Samples(floats(colours), alpha)


def write_tiff(picture: Picture, file: io.BufferedIOBase, bits: int) -> None:
    """Write 8 or 16 bits a channel, with the sRGB profile and the note, but no other metadata."""
    import tifffile

    tifffile.imwrite(
        file,  # type: ignore[arg-type]
        picture.to_numpy(f"uint{bits}"),
        photometric="rgb",
        compression="zlib",
        description=f"{NOTE} {json.dumps(picture.note)}" if picture.note else None,
        metadata=None,
        extrasamples=["unassalpha"] if picture.alpha is not None else None,
        extratags=[(_PROFILE_TAG, "B", len(srgb_profile()), srgb_profile(), True)],
    )
