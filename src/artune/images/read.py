"""Reading pictures: rotation and colour profiles applied, transparency and 16 bits kept."""

import io
import threading
import warnings
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import ExifTags, Image, ImageCms, ImageOps, UnidentifiedImageError

from artune.errors import PictureError
from artune.images.formats import READABLE, register_heif
from artune.images.metadata import clean_exif, read_note
from artune.images.picture import Floats, Picture
from artune.machine import memory_free

HUGE = 100_000_000
"""Pixels above which a picture is refused unless huge ones are allowed."""


_BYTES_OF_READING = 32  # a pixel, at the peak: the file's samples, fp32, and one copy


_OPENING = threading.Lock()  # Pillow's limit of size is one for all threads


def read_picture(path: Path | str, *, allow_huge: bool = False) -> Picture:
    """Read JPEG, PNG, WebP, TIFF, BMP, GIF (first frame), and HEIC where pillow-heif is installed.

    16 bits are kept for PNG and TIFF. A picture with a colour profile other than sRGB is converted at 8 bits.

    Args:
        path: the file.
        allow_huge: read more than ``HUGE`` pixels.

    Raises:
        PictureError: missing, empty, truncated, not a picture, or too large.
    """
    if not str(path):
        raise PictureError("the name of a picture is empty")
    path = Path(path)
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
        raise PictureError(f"there is no picture {path}{_nearest(path)}") from None
    except PermissionError as error:
        raise PictureError(f"cannot read {path}: no permission") from error
    except (OSError, ValueError) as error:  # a name with a null character is the latter
        raise PictureError(f"cannot read {path}: {getattr(error, 'strerror', None) or error}") from error
    if not data:
        raise PictureError(f"{path} is empty (0 bytes); give a picture")
    return decode_picture(data, where=str(path), allow_huge=allow_huge)


def decode_picture(data: bytes, *, where: str = "the picture", allow_huge: bool = False) -> Picture:
    """A picture from the bytes of a file; see :func:`read_picture`."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # damaged metadata and Pillow's own size warning; the size is checked here
        try:
            opened = _open(data)
            if opened is None:
                return _foreign(data, where, allow_huge)
            _check_size(*opened.size, where, allow_huge)
            return _convert(opened, data)
        except PictureError:
            raise
        except MemoryError as error:
            raise PictureError(f"{where} does not fit in memory") from error
        except Exception as error:  # decoders raise of every kind on damaged files
            raise PictureError(f"{where} is damaged or cut short: {error}") from error


def _open(data: bytes) -> Image.Image | None:
    """The file as Pillow sees it, not yet decoded; ``None`` if it is of no format of ours."""
    formats = ["JPEG", "PNG", "WEBP", "TIFF", "BMP", "GIF"] + ["HEIF"] * register_heif()
    with _OPENING:
        limit, Image.MAX_IMAGE_PIXELS = Image.MAX_IMAGE_PIXELS, None
        try:
            return Image.open(io.BytesIO(data), formats=formats)
        except UnidentifiedImageError:
            return None
        finally:
            Image.MAX_IMAGE_PIXELS = limit


def _foreign(data: bytes, where: str, allow_huge: bool) -> Picture:
    """What Pillow does not know: a TIFF of floats, or nothing for us."""
    if data[:4] in (b"II*\0", b"MM\0*"):
        import tifffile

        with tifffile.TiffFile(io.BytesIO(data)) as file:
            page = file.pages.first
            _check_size(page.imagewidth, page.imagelength, where, allow_huge)
            deep = _deep_tiff(page)
        if deep is not None:
            return Picture(*deep)
    hint = "; for HEIC: pip install 'artune[heif]'" if data[4:8] == b"ftyp" and not register_heif() else ""
    raise PictureError(f"{where} is not a picture that can be read (JPEG, PNG, WebP, TIFF, BMP, GIF, HEIC){hint}")


def _check_size(width: int, height: int, where: str, allow_huge: bool) -> None:
    """Raise before memory is filled."""
    if width * height > HUGE and not allow_huge:
        raise PictureError(
            f"{where} has {width}x{height} pixels, above the limit of {HUGE // 1_000_000} million; "
            "reduce it, or allow it with --allow-huge"
        )
    need, free = width * height * _BYTES_OF_READING, memory_free()
    if free is not None and need > free:
        raise PictureError(
            f"{where} has {width}x{height} pixels and needs {need / 2**30:.1f} GiB to be read, {free / 2**30:.1f} GiB "
            "are free; reduce it"
        )


def _convert(opened: Image.Image, data: bytes) -> Picture:
    opened.seek(0)
    exif = opened.getexif()
    note = read_note(opened, exif)
    profile = opened.info.get("icc_profile")
    deep = _read_deep(opened, data)
    turned = exif.get(ExifTags.Base.Orientation, 1)  # Pillow forgets it when it loads a TIFF
    opened.load()
    if deep is not None and not _shows_otherwise(profile):
        pixels, alpha = deep
        if turned != 1:
            pixels, alpha = _turn(pixels, turned), None if alpha is None else _turn(alpha, turned)
    else:
        upright = ImageOps.exif_transpose(opened)
        pixels, alpha = _eight_bits(upright, profile)
    if alpha is not None and alpha.min() >= 1:
        alpha = None
    return Picture(pixels, alpha, clean_exif(exif), note)


def _eight_bits(image: Image.Image, profile: bytes | None) -> tuple[Floats, Floats | None]:
    alpha = None
    if image.mode in ("LA", "La", "RGBA", "RGBa", "PA") or "transparency" in image.info:
        whole = image.convert("RGBA")
        alpha = _floats(np.asarray(whole.getchannel("A")) / np.float32(255))
        image = whole.convert("L" if image.mode in ("L", "LA", "La") else "RGB")
    elif image.mode.startswith("I;16") or image.mode in ("I", "F"):
        values = np.asarray(image).astype(np.float32)
        top = 1.0 if image.mode == "F" else 255.0 if image.mode == "I" and values.max(initial=0) <= 255 else 65535.0
        values = _clipped(values / top)
        if not _shows_otherwise(profile):
            return _floats(np.repeat(values[..., None], 3, axis=2)), None
        image = Image.fromarray((values * 255 + 0.5).astype(np.uint8))
    elif image.mode in ("P", "1", "LAB", "HSV", "YCbCr"):
        image = image.convert("RGB")
    if profile and _shows_otherwise(profile):
        image = _to_srgb(image, profile)
    return _floats(np.asarray(image.convert("RGB")) / np.float32(255)), alpha


def _clipped(values: NDArray[Any]) -> Floats:
    """In [0, 1]; a value that is not a number is 0."""
    if not np.isfinite(values).any():
        raise ValueError("none of its values is finite")
    return _floats(np.clip(np.nan_to_num(values), 0, 1))


def _floats(values: NDArray[Any]) -> Floats:
    return np.ascontiguousarray(values, np.float32)


def _shows_otherwise(profile: bytes | None) -> bool:
    """Whether a profile shows colours otherwise than sRGB does; names lie."""
    space = _space(profile)
    if profile is None or not space:
        return False
    if space == "CMYK":
        return True
    steps = np.linspace(0, 255, 6).astype(np.uint8)
    cube = np.stack(np.meshgrid(steps, steps, steps), -1).reshape(6, 36, 3)
    probe = Image.fromarray(cube if space == "RGB" else np.tile(steps, (6, 1)))
    shown = np.asarray(_to_srgb(probe, profile)).astype(int)
    return bool(np.abs(shown - np.asarray(probe.convert("RGB"))).max() > 2)


_SPACES = {"RGB": "RGB", "GRAY": "L", "CMYK": "CMYK"}
"""Colour spaces of profiles, and the mode of the pictures that they are for."""


def _space(profile: bytes | None) -> str:
    """The colour space that a profile is for; empty where it is damaged or of none of ours."""
    try:
        space = ImageCms.ImageCmsProfile(io.BytesIO(profile or b"")).profile.xcolor_space.strip()
    except (ImageCms.PyCMSError, OSError):
        return ""
    return space if space in _SPACES else ""


def _to_srgb(image: Image.Image, profile: bytes) -> Image.Image:
    if image.mode != _SPACES.get(_space(profile)):
        return image  # a profile of another colour model
    try:
        source = ImageCms.ImageCmsProfile(io.BytesIO(profile))
        converted = ImageCms.profileToProfile(image, source, ImageCms.createProfile("sRGB"), outputMode="RGB")
    except (ImageCms.PyCMSError, OSError):
        return image  # a damaged one
    return converted or image


def _read_deep(opened: Image.Image, data: bytes) -> tuple[Floats, Floats | None] | None:
    """More than 8 bits of PNG and TIFF, which Pillow would cut."""
    if opened.format == "PNG" and data[24:25] == b"\x10":
        return _deep_png(data)
    if opened.format == "TIFF" and opened.tag_v2.get(258, (8,))[0] > 8:  # type: ignore[attr-defined]
        import tifffile

        with tifffile.TiffFile(io.BytesIO(data)) as file:
            return _deep_tiff(file.pages.first)
    return None


def _deep_png(data: bytes) -> tuple[Floats, Floats | None]:
    import png

    width, height, rows, info = png.Reader(bytes=data).read()
    samples = np.vstack([np.frombuffer(row, np.uint16) for row in rows])
    samples = samples.reshape(height, width, info["planes"])
    if "transparent" in info:  # one colour that stands for nothing
        seen = (samples != np.ravel(info["transparent"])).any(-1, keepdims=True)
        samples = np.concatenate([samples, seen * np.uint16(65535)], -1)
    planes = samples.shape[2]
    array = samples.astype(np.float32) / 65535
    return _colours(array[..., : planes - 1 + planes % 2]), _floats(array[..., -1]) if planes in (2, 4) else None


def _deep_tiff(page: Any) -> tuple[Floats, Floats | None] | None:
    """Pixels of a TIFF's page, grey or RGB, of any depth; ``None`` for what it does not know."""
    inverted, grey, rgb = 0, 1, 2
    own = {inverted: 1, grey: 1, rgb: 3}.get(int(page.photometric))
    if own is None or page.axes not in ("YX", "YXS", "SYX"):
        return None
    raw = page.asarray()
    raw = raw[..., None] if page.axes == "YX" else np.moveaxis(raw, 0, -1) if page.axes == "SYX" else raw
    if raw.dtype.kind == "u":
        array = (raw / np.float64(np.iinfo(raw.dtype).max)).astype(np.float32)
    elif raw.dtype.kind == "f":
        array = _clipped(raw)
    else:
        return None
    colours, alpha = array[..., :own], None
    premultiplied, straight = 1, 2
    kind = int(page.extrasamples[0]) if page.extrasamples and array.shape[2] > own else 0
    if kind in (premultiplied, straight):
        alpha = array[..., own]
        if kind == premultiplied:
            colours = np.clip(colours / np.maximum(alpha, 1e-6)[..., None], 0, 1)
    if int(page.photometric) == inverted:
        colours = 1 - colours
    return _colours(colours), None if alpha is None else _floats(alpha)


def _colours(array: NDArray[Any]) -> Floats:
    """Three channels, of one or three."""
    return _floats(array if array.shape[2] == 3 else np.repeat(array[..., :1], 3, axis=2))


def _turn(array: Floats, orientation: int) -> Floats:
    """What EXIF's orientation asks for."""
    if orientation in (5, 6, 7, 8):
        array = array.swapaxes(0, 1)
    if orientation in (2, 3, 6, 7):
        array = array[:, ::-1]
    if orientation in (3, 4, 7, 8):
        array = array[::-1]
    return np.ascontiguousarray(array)


def _nearest(path: Path) -> str:
    from difflib import get_close_matches

    try:
        if not path.parent.is_dir():
            return f"; there is no folder {path.parent} either"
        names = [p.name for p in path.parent.iterdir() if p.exists()]
    except OSError:  # a folder that may not be listed
        return ""
    close = get_close_matches(path.name, names, n=1)
    return f"; did you mean {path.with_name(close[0])}?" if close else ""


def find_pictures(folder: Path) -> list[Path]:
    """The pictures directly in a folder, by name.

    Raises:
        PictureError: when the folder cannot be read or holds none.
    """
    try:
        found = sorted(
            p for p in folder.iterdir() if p.suffix.lower() in READABLE and p.name[0] != "." and not p.is_dir()
        )
    except OSError as error:
        raise PictureError(f"cannot read the folder {folder}: {error.strerror}") from error
    if not found:
        raise PictureError(f"there is no picture in {folder} (looked for {', '.join(READABLE)})")
    return found
