"""Reading pictures: upright, in sRGB, with their transparency, 16 bits where a file has them."""

import io
import re
import struct
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from PIL import ExifTags, Image, ImageOps

from artune.errors import ArtuneWarning, PictureError
from artune.files import expanded
from artune.images import tiff
from artune.images.formats import ALL, TIFF, Format, guess_format, is_installed, load_plugin
from artune.images.metadata import NOTE, clean_exif, read_note
from artune.images.picture import Floats, Picture, floats
from artune.images.png import is_deep_png, read_deep_png
from artune.images.profiles import differs_from_srgb, image_to_srgb, samples_to_srgb
from artune.images.samples import Samples, scaled
from artune.machine import memory_free

HUGE = 100_000_000
"""Number of pixels above which a picture is refused unless `allow_huge` is set."""

_BYTES_OF_READING = 32  # a pixel, at the peak: the file's samples, fp32, and one copy

_URL = re.compile(r"[a-zA-Z][a-zA-Z0-9+.-]+:/")  # a path has made one slash of two; one letter is a drive of Windows

_FRAMES = {form.name for form in ALL if form.frames}


def read_picture(path: Path | str, *, allow_huge: bool = False, role: str = "picture") -> Picture:
    """Read a picture file of any of ``artune.images.formats.FORMATS``.

    Its rotation and its colour profile are applied. 16 bits and more are kept of PNG and TIFF; other formats are read
    at 8. Of an animation or a file of several pages, the first picture is read, with a warning.

    Args:
        path: the file; ``~`` is the user's home.
        allow_huge: read more than ``HUGE`` pixels.
        role: what the picture is for, in the message that it is missing.

    Raises:
        PictureError: missing, empty, truncated, not a picture, or too large.
    """
    return decode_picture(picture_data(path, role=role), where=str(expanded(path)), allow_huge=allow_huge)


def picture_data(path: Path | str, *, role: str = "picture") -> bytes:
    """The bytes of a picture file, not yet decoded; see ``read_picture``.

    Raises:
        PictureError: the file is missing, empty, or cannot be read.
    """
    if not str(path):
        raise PictureError(f"the name of the {role} is empty")
    path = expanded(path)
    try:
        if path.is_dir():
            raise PictureError(f"{path} is a folder; give a picture")
        if path.exists() and not path.is_file():  # a pipe or a device may never end
            raise PictureError(f"{path} is no regular file; give a picture")
        with path.open("rb") as file:
            data = file.read()
    except PictureError:
        raise
    except FileNotFoundError:
        raise PictureError(f"there is no {role} {path}{nearest_name(path)}") from None
    except PermissionError as error:
        raise PictureError(f"cannot read {path}: no permission") from error
    except (OSError, ValueError) as error:  # a name with a null character is the latter
        raise PictureError(f"cannot read {path}: {getattr(error, 'strerror', None) or error}") from error
    if not data:
        raise PictureError(f"{path} is empty (0 bytes); give a picture")
    return data


def decode_picture(data: bytes, *, where: str = "the picture", allow_huge: bool = False) -> Picture:
    """A picture from the bytes of a file; see ``read_picture``."""
    with decoding(where):
        if tiff.is_tiff(data):
            tiff.check_complete(data, where)
        opened = open_picture(data)
        if tiff.is_tiff(data):
            return _decode_tiff(data, opened, where, allow_huge)
        if opened is None:
            raise PictureError(f"{where} {_advice(data)}")
        check_size(*opened.size, where, allow_huge)
        _warn_of_frames(opened, where)
        if is_deep_png(data):
            # Pillow sees what stands behind the pixels only when it has decoded them, which costs time
            behind = data[data.rfind(b"IDAT") :]
            if any(chunk in behind for chunk in (b"eXIf", b"iTXt", b"tEXt", b"zTXt")):
                opened.load()
            exif, profile = Image.Image.getexif(opened), opened.info.get("icc_profile")
            return _from_samples(read_deep_png(data, opened), exif, profile, opened.info.get(NOTE))
        return _from_pillow(opened, where)


def from_pillow(image: Image.Image, *, where: str = "the picture", allow_huge: bool = False) -> Picture:
    """A picture from an image of Pillow, upright and in sRGB; colours have 8 bits, greys may have more.

    The frame or page at which the image stands is taken, with a warning where it is the first of several.

    Raises:
        PictureError: it cannot be decoded, or is too large.
    """
    with decoding(where):
        check_size(*image.size, where, allow_huge)
        picture = _from_pillow(image, where)
        if image.tell() == 0:  # another frame was chosen by its number
            _warn_of_frames(image, where)
        return picture


def check_size(width: int, height: int, where: str, allow_huge: bool) -> None:
    """Raise before memory is filled.

    Raises:
        PictureError: above ``HUGE`` pixels, or more than fit into the free memory.
    """
    if width * height > HUGE and not allow_huge:
        raise PictureError(
            f"{where} has {width}x{height} pixels, above the limit of {HUGE // 1_000_000} million; "
            "reduce it, or allow it with `allow_huge`"
        )
    need, free = width * height * _BYTES_OF_READING, memory_free()
    if need > free:
        raise PictureError(
            f"{where} has {width}x{height} pixels and needs {need / 2**30:.1f} GiB to be read, {free / 2**30:.1f} GiB "
            "are free; reduce it"
        )


@contextmanager
def decoding(where: str) -> Iterator[None]:
    """Turn what a decoder raises into a ``PictureError``."""
    try:
        yield
    except (PictureError, ArtuneWarning):
        raise
    except MemoryError as error:
        raise PictureError(f"{where} does not fit in memory") from error
    except Exception as error:  # decoders raise of every kind on damaged files
        said = " ".join(str(error).replace("`", "'").split())
        if isinstance(error, LookupError) or not said:  # such as a bare index
            said = f"{type(error).__name__} {said}".strip()
        raise PictureError(f"{where} is damaged or cut short: {said}") from error


def open_picture(data: bytes) -> Image.Image | None:
    """A picture file, opened by Pillow and not yet decoded; ``None`` for a file that Pillow does not read.

    Pillow's own ``open`` has a limit of size that can only be changed for the whole process.
    """
    if tiff.puzzles_pillow(data):
        return None
    for form in ALL:
        load_plugin(form)
        if _accepts(form, data) is False:
            continue
        try:
            return Image.OPEN[form.name][0](io.BytesIO(data), "")
        except (SyntaxError, IndexError, KeyError, TypeError, struct.error):  # not of this format after all
            continue
    return None


def has_format(data: bytes) -> bool:
    """Whether the first bytes of a file are those of a picture; TGA has none of its own."""
    return guess_format(data) is not None or any(_accepts(form, data) for form in ALL)


def _accepts(form: Format, data: bytes) -> bool | None:
    """Whether a file has that format by its first bytes; ``None`` if they do not tell."""
    if form.name not in Image.OPEN:
        return False
    accepts = Image.OPEN[form.name][1]
    if accepts is None:
        return None
    accepted = accepts(data[:16])
    return bool(accepted) and not isinstance(accepted, str)  # a text says what is not installed


def _advice(data: bytes) -> str:
    """Why a file is not read, and what to do."""
    form = guess_format(data)
    if form is not None and not is_installed(form):
        return f"is not a picture that can be read here: {form.name} needs {form.needs}"
    form = form or next((form for form in ALL if _accepts(form, data)), None)
    if form is not None:
        return f"is damaged or cut short: its {form.name} data cannot be read; get it anew"
    known = ", ".join(form.name for form in ALL)
    return f"is not a picture that can be read ({known}); open it in a program that can, and save it as PNG"


def _warn_of_frames(opened: Image.Image, where: str) -> None:
    """Warn of frames or pages that are not used; previews of the first do not count."""
    if opened.format == TIFF.name:
        if tiff.has_more_pages(opened):
            _warn(f"{where} has several pages: only the first is used")
    elif opened.format in _FRAMES and _is_animated(opened):
        _warn(f"{where} is animated: only its first frame is used")


def _is_animated(opened: Image.Image) -> bool:
    try:
        return bool(getattr(opened, "is_animated", False))
    except Exception:  # a damaged second frame is none
        return False


def _decode_tiff(data: bytes, opened: Image.Image | None, where: str, allow_huge: bool) -> Picture:
    check_size(*(opened.size if opened else tiff.tiff_size(data)), where, allow_huge)
    exif, profile = tiff.tiff_metadata(data)
    if tiff.is_preview(exif):
        raise PictureError(f"{where} is a camera's raw file, or holds its preview first; save it as TIFF, PNG or JPEG")
    if tiff.has_more_pages(data if opened is None else opened):
        _warn(f"{where} has several pages: only the first is used")
    if opened is not None and tiff.suits_pillow(opened):
        return _from_pillow(opened, where)
    return _from_samples(tiff.read_tiff(data, where), exif, profile, None)


def _warn(message: str) -> None:
    warnings.warn(message, ArtuneWarning, stacklevel=2)


# ---------------------------------------------------------------------------------- to sRGB, upright


def _from_samples(samples: Samples, exif: Image.Exif, profile: bytes | None, note: Any) -> Picture:
    pixels, alpha = samples_to_srgb(samples.colours, profile), samples.alpha
    orientation = exif.get(ExifTags.Base.Orientation, 1)
    if orientation != 1:
        pixels, alpha = _turned(pixels, orientation), None if alpha is None else _turned(alpha, orientation)
    return Picture(pixels, _unless_opaque(alpha), clean_exif(exif), read_note(note, exif))


def _from_pillow(image: Image.Image, where: str) -> Picture:
    exif = image.getexif()
    note = read_note(image.info.get(NOTE), exif)
    profile = image.info.get("icc_profile")
    image.load()
    upright = ImageOps.exif_transpose(image)
    if upright.mode in ("I", "F") or upright.mode.startswith("I;16"):
        values = np.asarray(upright)
        clear = image.info.get("transparency")
        alpha = floats(values != clear) if isinstance(clear, int) else None
        if image.format not in (None, "TIFF") and upright.mode == "I":  # a format of 16 bits at most
            values = values.astype(np.uint16)
        pixels = samples_to_srgb(scaled(values, where)[..., None], profile)
    else:
        pixels, alpha = _eight_bits(upright, profile)
    return Picture(pixels, _unless_opaque(alpha), clean_exif(exif), note)


def _eight_bits(image: Image.Image, profile: bytes | None) -> tuple[Floats, Floats | None]:
    alpha = None
    if image.mode in ("LA", "La", "RGBA", "RGBa", "PA") or "transparency" in image.info:
        whole = (image.convert("LA") if image.mode == "La" else image).convert("RGBA")
        alpha = floats(np.asarray(whole.getchannel("A")) / np.float32(255))
        image = whole.convert("L" if image.mode in ("L", "LA", "La") else "RGB")
    elif image.mode in ("P", "1", "LAB", "HSV", "YCbCr"):
        image = image.convert("RGB")
    if profile and differs_from_srgb(profile):
        image = image_to_srgb(image, profile)
    return floats(np.asarray(image.convert("RGB")) / np.float32(255)), alpha


def _unless_opaque(alpha: Floats | None) -> Floats | None:
    return None if alpha is None or alpha.min() >= 1 else alpha


def _turned(array: Floats, orientation: int) -> Floats:
    """An array turned or mirrored as EXIF's orientation says."""
    if orientation in (5, 6, 7, 8):
        array = array.swapaxes(0, 1)
    if orientation in (2, 3, 6, 7):
        array = array[:, ::-1]
    if orientation in (3, 4, 7, 8):
        array = array[::-1]
    return np.ascontiguousarray(array)


# ---------------------------------------------------------------------------------- names


def nearest_name(path: Path) -> str:
    """A hint for the name of a missing file: the most similar name in its folder."""
    from difflib import get_close_matches

    if _URL.match(str(path)):
        return ": artune downloads nothing; save it to a file and give that"
    try:
        if not path.parent.is_dir():
            return f"; there is no folder {path.parent} either"
        names = [p.name for p in path.parent.iterdir() if p.exists()]
    except OSError:  # a folder that may not be listed
        return ""
    close = get_close_matches(path.name, names, n=1)
    return f"; did you mean {path.with_name(close[0])}?" if close else ""
