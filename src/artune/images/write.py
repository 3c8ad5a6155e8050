"""Writing pictures: by suffix, whole or not at all, with an sRGB profile and the spec that made them."""

import io
import json
import struct
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageCms

from artune.errors import OutputError
from artune.files import atomic
from artune.images.formats import FORMATS, register_heif
from artune.images.metadata import NOTE, exif_with_note
from artune.images.picture import Floats, Picture

_LONGEST = {"JPEG": 65_500, "WEBP": 16_383, "GIF": 65_535}


_DEEP = (".png", ".tif", ".tiff")


_ICC_TAG = 34675


def check_suffix(path: Path, bits: int = 8, longer: int = 1) -> None:
    """Raise unless the format of a result can be told by its suffix and holds it.

    Args:
        path: where the result will be written.
        bits: per channel.
        longer: longer side, pixels.

    Raises:
        OutputError: naming the suffixes there are.
    """
    suffix = path.suffix.lower()
    if suffix not in FORMATS:
        raise OutputError(f"cannot write {path}: unknown format {suffix or '(no suffix)'!r}; use {', '.join(FORMATS)}")
    if bits == 16 and suffix not in _DEEP:
        raise OutputError(f"cannot write 16 bits to {path}: only {', '.join(_DEEP)} hold them")
    if longer > (most := _LONGEST.get(FORMATS[suffix], longer)):
        raise OutputError(f"cannot write {longer} pixels a side to {path}: the format ends at {most}; use .png or .tif")
    if FORMATS[suffix] == "HEIF" and not register_heif():
        raise OutputError(f"cannot write {path}: HEIC needs pillow-heif; pip install 'artune[heif]'")


def write_picture(
    picture: Picture, path: Path | str, *, bits: int = 8, quality: int = 95, replace: bool = True
) -> None:
    """Write by suffix, atomically, with an sRGB profile and the picture's note.

    A format without transparency shows it on white. BMP and GIF hold no note; TIFF keeps no other metadata.

    Args:
        picture: what to write.
        path: where.
        bits: 8, or 16 for PNG and TIFF.
        quality: of JPEG, WebP and HEIC.
        replace: whether an existing file may be replaced.

    Raises:
        OutputError: unknown suffix, no permission, no space.
    """
    path = Path(path)
    if bits not in (8, 16):
        raise OutputError(f"{bits} bits per channel cannot be written; choose 8, or 16 for {', '.join(_DEEP)}")
    check_suffix(path, bits, max(picture.size))
    form = FORMATS[path.suffix.lower()]
    with atomic(path, replace=replace) as temporary, _encoding(path):
        if form == "TIFF":
            _write_tiff(picture, temporary, bits)
        elif bits == 16:
            _write_deep_png(picture, temporary)
        else:
            _write_eight(picture, temporary, form, quality)


def encoded(picture: Picture, suffix: str = ".jpg", quality: int = 90) -> bytes:
    """A picture as the bytes of an 8-bit file of that kind, with its note and metadata where the kind can hold them.

    Raises:
        OutputError: the kind cannot hold so large a picture.
    """
    name = Path(f"picture{suffix}")
    check_suffix(name, 8, max(picture.size))
    file = io.BytesIO()
    with _encoding(name):
        _write_eight(picture, file, FORMATS[suffix], quality)
    return file.getvalue()


@contextmanager
def _encoding(path: Path) -> Iterator[None]:
    """What an encoder says against a picture, in words."""
    try:
        yield
    except (ValueError, RuntimeError) as error:
        raise OutputError(f"cannot write {path}: {error}; try .png") from error


def write_grey(values: Floats, path: Path, *, replace: bool = True) -> None:
    """Write ``[h, w]`` in [0, 1] as an 8-bit grey PNG, atomically.

    Raises:
        OutputError: no permission, no space; or, without ``replace``, there is a file.
    """
    with atomic(path, replace=replace) as temporary:
        Image.fromarray((np.clip(values, 0, 1) * 255 + 0.5).astype(np.uint8)).save(temporary, format="PNG")


def _write_eight(picture: Picture, path: Path | io.BytesIO, form: str, quality: int) -> None:
    if picture.alpha is not None and form not in ("PNG", "WEBP", "HEIF", "GIF"):
        shown = picture.pixels * picture.alpha[..., None] + (1 - picture.alpha[..., None])
        picture = Picture(shown, None, picture.exif, picture.note)
    image = Image.fromarray(_samples(picture, 8))
    options: dict[str, Any] = {}
    if form not in ("BMP", "GIF"):
        options["icc_profile"] = srgb_profile()
    if form == "PNG":
        from PIL.PngImagePlugin import PngInfo

        text = PngInfo()
        if picture.note:
            text.add_itxt(NOTE, json.dumps(picture.note))
        options["pnginfo"] = text
        if picture.exif:
            options["exif"] = picture.exif
    elif form not in ("BMP", "GIF"):
        exif = exif_with_note(picture)
        if exif:
            options["exif"] = exif
    if form in ("JPEG", "WEBP", "HEIF"):
        options["quality"] = quality
    if form == "JPEG":
        options["subsampling"] = 0
    image.save(path, format=form, **options)


def _samples(picture: Picture, bits: int) -> NDArray[Any]:
    """``[h, w, 3 or 4]`` of 8 or 16 bits, made row by row: between, a large picture would be there several times."""
    top, kind = (255, np.uint8) if bits == 8 else (65535, np.uint16)
    planes = [picture.pixels] if picture.alpha is None else [picture.pixels, picture.alpha[..., None]]
    samples = np.empty((*picture.pixels.shape[:2], sum(plane.shape[2] for plane in planes)), kind)
    for row, *parts in zip(samples, *planes, strict=True):
        row[:] = np.clip(np.concatenate(parts, 1), 0, 1) * top + 0.5
    return samples


def _write_tiff(picture: Picture, path: Path, bits: int) -> None:
    import tifffile

    tifffile.imwrite(
        path,
        _samples(picture, bits),
        photometric="rgb",
        compression="zlib",
        description=f"{NOTE} {json.dumps(picture.note)}" if picture.note else None,
        metadata=None,
        extrasamples=["unassalpha"] if picture.alpha is not None else None,
        extratags=[(_ICC_TAG, "B", len(srgb_profile()), srgb_profile(), True)],
    )


def _write_deep_png(picture: Picture, path: Path) -> None:
    samples = _samples(picture, 16)
    height, width, planes = samples.shape
    rows = samples.astype(">u2").reshape(height, -1).view(np.uint8)
    raw = np.concatenate([np.zeros((height, 1), np.uint8), rows], 1)
    chunks = [(b"IHDR", struct.pack(">IIBBBBB", width, height, 16, 6 if planes == 4 else 2, 0, 0, 0))]
    chunks.append((b"iCCP", b"sRGB\0\0" + zlib.compress(srgb_profile())))
    if picture.note:
        chunks.append((b"iTXt", NOTE.encode() + b"\0\0\0\0\0" + json.dumps(picture.note).encode()))
    if picture.exif:
        chunks.append((b"eXIf", picture.exif.removeprefix(b"Exif\0\0")))
    chunks += [(b"IDAT", zlib.compress(raw.tobytes(), 6)), (b"IEND", b"")]
    with path.open("wb") as file:
        file.write(b"\x89PNG\r\n\x1a\n")
        for kind, body in chunks:
            file.write(struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body)))


def srgb_profile() -> bytes:
    """The sRGB colour profile that every result carries, without the time at which it was made."""
    profile: bytes = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    made = struct.pack(">6H", 2026, 1, 1, 0, 0, 0)
    return profile[:24] + made + profile[36:]
