"""Writing pictures: whole or not at all, with an sRGB profile and the spec that made them."""

import io
import json
import os
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from artune.errors import ArtuneWarning, OutputError
from artune.files import atomic, expanded
from artune.images.formats import (
    ALL,
    AVIF,
    BMP,
    FORMATS,
    GIF,
    JPEG,
    JXL,
    PNG,
    QUALITY,
    TIFF,
    WRITABLE,
    Format,
    is_installed,
)
from artune.images.metadata import NOTE, exif_with_note
from artune.images.picture import Floats, Picture, Writable
from artune.images.png import write_deep_png
from artune.images.profiles import srgb_profile
from artune.images.tiff import write_tiff


def check_suffix(path: Path | str, bits: int = 8, longer: int = 1, quality: int | None = None) -> None:
    """Raise unless the format of a result can be told by its suffix, and can hold it.

    Args:
        path: where the result will be written.
        bits: per channel.
        longer: longer side, pixels.
        quality: from 1 to 100, for formats with a loss.

    Raises:
        OutputError: saying what can be written instead.
    """
    path = Path(path)
    _check(_format(path.suffix, f"cannot write {path}"), f"cannot write {path}", bits, longer, quality)


def write_picture(
    picture: Picture,
    target: Path | str | Writable,
    *,
    format: str | None = None,  # noqa: A002  (Pillow's name for it)
    bits: int = 8,
    quality: int | None = None,
    replace: bool = True,
) -> None:
    """Write a picture with an sRGB profile and its note; a file is written whole or not at all.

    A format without transparency shows it on white, with a warning. BMP and GIF hold no note; TIFF keeps no other
    metadata.

    Args:
        picture: what to write.
        target: a path, where ``~`` is the user's home, or a binary file object.
        format: a suffix such as ``png``; default: that of the path. A file object needs it.
        bits: 8, or 16 for PNG and TIFF.
        quality: 1 (small) to 100 (good), for JPEG, WebP, AVIF, HEIC and JPEG XL; default: ``QUALITY``.
        replace: whether an existing file may be replaced.

    Raises:
        OutputError: unknown suffix, a format that cannot hold the picture, no permission, no space.

    Warns:
        ArtuneWarning: the picture is transparent in parts, and the format holds no transparency.
    """
    if isinstance(target, str | os.PathLike):
        path = expanded(target)
        what = f"cannot write {path}"
        form = _format(path.suffix if format is None else format, what)
        _check(form, what, bits, max(picture.size), quality)
        _warn_of_alpha(picture, form)
        with atomic(path, replace=replace) as temporary, temporary.open("wb") as file, _encoding(what):
            _encode(picture, file, form, bits, quality)
        return
    if not hasattr(target, "write"):
        raise OutputError(f"cannot write to a {type(target).__name__}; give a path or a binary file object")
    if format is None:
        raise OutputError("a file object has no suffix; give `format`, such as format='png'")
    what = "cannot write the picture"
    form = _format(format, what)
    _check(form, what, bits, max(picture.size), quality)
    _warn_of_alpha(picture, form)
    data = _encoded(picture, form, bits, quality, what)
    try:
        target.write(data)
    except TypeError as error:
        raise OutputError(f"{what}: the file object is open as text; open it with mode 'wb'") from error
    except (OSError, ValueError) as error:  # the latter from a closed file
        if getattr(error, "strerror", None):  # what the system says, such as a full disk
            raise OutputError(f"{what} to the file object: {error.strerror}") from error  # type: ignore[union-attr]
        raise OutputError(
            f"{what} to the file object: {str(error).rstrip('.')}; give a path, or a file that is open for writing: "
            "open(path, 'wb')"
        ) from error


def encoded(picture: Picture, suffix: str = ".jpg", quality: int = 90) -> bytes:
    """A picture as the bytes of an 8-bit file of that kind, with its note and metadata where the kind can hold them.

    A format without transparency shows it on white, without a warning.

    Args:
        picture: what to write.
        suffix: of the format.
        quality: for formats with a loss.

    Raises:
        OutputError: the format cannot hold so large a picture.
    """
    what, form = "cannot write the picture", FORMATS[suffix]
    lossy = quality if form.quality else None
    _check(form, what, 8, max(picture.size), lossy)
    return _encoded(picture, form, 8, lossy, what)


def write_grey(values: Floats, path: Path, *, replace: bool = True) -> None:
    """Write ``[h, w]`` in [0, 1] as an 8-bit grey PNG, atomically.

    Raises:
        OutputError: no permission, no space; or, without ``replace``, there is a file.
    """
    with atomic(path, replace=replace) as temporary:
        Image.fromarray((np.clip(values, 0, 1) * 255 + 0.5).astype(np.uint8)).save(temporary, format="PNG")


# ---------------------------------------------------------------------------------- checks


def _format(name: str, what: str) -> Format:
    """The format of a suffix, with or without its dot."""
    form = FORMATS.get("." + name.lower().removeprefix("."))
    if form is None:
        raise OutputError(f"{what}: unknown format {name or '(no suffix)'!r}; use {', '.join(WRITABLE)}")
    if not form.writes:
        raise OutputError(f"{what}: artune reads {form.name} and does not write it; use {', '.join(WRITABLE)}")
    return form


def _check(form: Format, what: str, bits: int, longer: int, quality: int | None) -> None:
    """Raise unless a format can hold a picture, and is installed."""
    if bits not in (8, 16):
        raise OutputError(f"{what}: {bits} bits per channel cannot be written; choose 8, or 16 for PNG and TIFF")
    if bits not in form.bits:
        raise OutputError(f"{what}: {form.name} does not hold 16 bits; use .png or .tif")
    if longer > (form.longest or longer):
        raise OutputError(f"{what}: {longer} pixels a side, where {form.name} ends at {form.longest}; use .png or .tif")
    if quality is not None:
        if not form.quality:
            raise OutputError(f"{what}: {form.name} has no `quality`, for it is written without loss; leave it out")
        if not (isinstance(quality, int) and 1 <= quality <= 100):
            raise OutputError(f"{what}: `quality` is {quality!r}; choose a whole number from 1 (small) to 100 (best)")
    if not is_installed(form):
        raise OutputError(f"{what}: {form.name} needs {form.needs}")


def _warn_of_alpha(picture: Picture, form: Format) -> None:
    """Warn if a format loses the transparency of a picture; the same words for all files, so that they come once."""
    if picture.alpha is not None and not form.alpha:
        keeping = ", ".join(each.suffixes[0] for each in ALL if each.writes and each.alpha)
        warnings.warn(
            f"{form.name} holds no transparency: transparent parts become white. Formats that keep it: {keeping}",
            ArtuneWarning,
            stacklevel=3,
        )


@contextmanager
def _encoding(what: str) -> Iterator[None]:
    """Turn what an encoder raises into an ``OutputError``."""
    try:
        yield
    except (ValueError, RuntimeError) as error:
        raise OutputError(f"{what}: {error}; try .png") from error


# ---------------------------------------------------------------------------------- formats


def _encoded(picture: Picture, form: Format, bits: int, quality: int | None, what: str) -> bytes:
    file = io.BytesIO()
    with _encoding(what):
        _encode(picture, file, form, bits, quality)
    return file.getvalue()


def _encode(picture: Picture, file: io.BufferedIOBase, form: Format, bits: int, quality: int | None) -> None:
    if form is TIFF:
        write_tiff(picture, file, bits)
    elif bits == 16:
        write_deep_png(picture, file)
    else:
        _encode_with_pillow(picture, file, form, QUALITY if quality is None else quality)


def _encode_with_pillow(picture: Picture, file: io.BufferedIOBase, form: Format, quality: int) -> None:
    if picture.alpha is not None and not form.alpha:
        shown = picture.pixels * picture.alpha[..., None] + (1 - picture.alpha[..., None])
        picture = Picture(shown, None, picture.exif, picture.note)
    options: dict[str, Any] = {}
    if form not in (BMP, GIF):
        options["icc_profile"] = srgb_profile()
    if form is PNG:
        from PIL.PngImagePlugin import PngInfo

        text = PngInfo()
        if picture.note:
            text.add_itxt(NOTE, json.dumps(picture.note))
        options["pnginfo"] = text
        if picture.exif:
            options["exif"] = picture.exif
    elif form not in (BMP, GIF) and (exif := exif_with_note(picture)):
        options["exif"] = exif
    if form.quality:
        options["quality"] = quality
    if form is JXL and quality == 100:
        options["lossless"] = True  # it must be said
    if form in (JPEG, AVIF):
        options["subsampling"] = "4:4:4"  # colours in full resolution
    Image.fromarray(picture.to_numpy()).save(file, format=form.name, **options)  # type: ignore[arg-type]
