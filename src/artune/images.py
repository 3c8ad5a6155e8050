"""Pictures and the files they live in: the only code that reads or writes image files.

Everything inside is sRGB in [0, 1], upright. Reading applies EXIF's rotation and converts an embedded colour profile;
writing adds an sRGB profile and the spec that made the picture, and drops where the photograph was taken.
"""

import hashlib
import io
import json
import struct
import threading
import warnings
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from PIL import ExifTags, Image, ImageCms, ImageOps, UnidentifiedImageError

from artune.errors import OutputError, PictureError
from artune.files import atomic
from artune.memory import memory_free

if TYPE_CHECKING:
    from torch import Tensor

Floats = NDArray[np.float32]

HUGE = 100_000_000
"""Pixels above which a picture is refused unless huge ones are allowed."""

READABLE = (".jpg", ".jpeg", ".png", ".webp", ".tif", ".tiff", ".bmp", ".gif", ".heic", ".heif")
"""Suffixes that are looked for in a folder."""

_FORMATS = {
    ".jpg": "JPEG",
    ".jpeg": "JPEG",
    ".png": "PNG",
    ".webp": "WEBP",
    ".tif": "TIFF",
    ".tiff": "TIFF",
    ".bmp": "BMP",
    ".gif": "GIF",
    ".heic": "HEIF",
    ".heif": "HEIF",
}
_LONGEST = {"JPEG": 65_500, "WEBP": 16_383, "GIF": 65_535}
_DEEP = (".png", ".tif", ".tiff")
_NOTE = "artune"  # key of the embedded spec in PNG; its first word elsewhere
_USER_COMMENT = 0x9286
_LARGEST_EXIF = 50_000  # JPEG holds 64 kB, our note among it
_ICC_TAG = 34675
_FAINT = np.float32(1 / 255)  # of alpha: less of a colour is not known
_BYTES_OF_READING = 32  # a pixel, at the peak: the file's samples, fp32, and one copy
_OPENING = threading.Lock()  # Pillow's limit of size is one for all threads


@dataclass(frozen=True, eq=False)
class Picture:
    """Pixels, transparency and what else a file carries.

    Attributes:
        pixels: ``[h, w, 3]``, float32, sRGB in [0, 1].
        alpha: ``[h, w]``, float32 in [0, 1], or ``None`` where all is opaque.
        exif: EXIF data worth keeping, without rotation, place and preview.
        note: plain data embedded by artune.
    """

    pixels: Floats
    alpha: Floats | None = None
    exif: bytes = b""
    note: dict[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if self.pixels.ndim != 3 or self.pixels.shape[2] != 3 or 0 in self.pixels.shape:
            raise PictureError(f"pixels of shape {self.pixels.shape} are no picture; [height, width, 3] is needed")
        if self.alpha is not None and self.alpha.shape != self.pixels.shape[:2]:
            raise PictureError(f"alpha of shape {self.alpha.shape} does not fit pixels of {self.pixels.shape[:2]}")
        for array in (self.pixels, self.alpha):
            if array is not None and array.dtype != np.float32:
                raise PictureError(f"a picture of {array.dtype} values; float32 in [0, 1] is needed (divide by 255)")

    @property
    def size(self) -> tuple[int, int]:
        """Width and height, pixels."""
        return self.pixels.shape[1], self.pixels.shape[0]

    def digest(self) -> str:
        """sha256 of the pixels and the transparency."""
        seen = hashlib.sha256(f"{self.pixels.shape}".encode())
        for array in (self.pixels, self.alpha):
            if array is not None:
                seen.update(np.ascontiguousarray(array).data)
        return seen.hexdigest()

    def filled(self) -> Floats:
        """Pixels with transparent areas filled by the mean of what can be seen (grey where nothing can)."""
        if self.alpha is None:
            return self.pixels
        weight = self.alpha[..., None]
        mass = float(weight.sum())
        colour = (self.pixels * weight).sum((0, 1)) / mass if mass > 0 else np.full(3, 0.5, np.float32)
        return np.where(weight > 0, self.pixels, colour.astype(np.float32))

    def tensor(self) -> "Tensor":
        """``[1, 3, h, w]``, transparent areas filled."""
        import torch

        return torch.from_numpy(np.ascontiguousarray(self.filled().transpose(2, 0, 1)))[None]

    def resized(self, width: int, height: int) -> "Picture":
        """The picture at another size, antialiased (Lanczos)."""
        if (width, height) == self.size:
            return self
        if self.alpha is None:
            return Picture(_resize(self.pixels, width, height), None, self.exif, self.note)
        # colours of what cannot be seen must not bleed in: they are weighted by alpha
        filled, weight = self.filled(), self.alpha[..., None]
        alpha = _resize(weight, width, height)
        shown = _resize(filled * weight, width, height) / np.maximum(alpha, _FAINT)
        pixels = np.where(alpha > _FAINT, np.minimum(shown, 1), _resize(filled, width, height))
        return Picture(pixels, alpha[..., 0], self.exif, self.note)


def from_tensor(image: "Tensor", like: Picture | None = None) -> Picture:
    """A picture of ``[1, 3, h, w]``, clamped to [0, 1], with another's transparency and metadata."""
    planes = image.detach()[0].float().cpu().numpy()
    pixels = np.empty((*planes.shape[1:], len(planes)), np.float32)
    for index, plane in enumerate(planes):
        np.clip(plane, 0, 1, out=pixels[..., index])
    return Picture(pixels) if like is None else Picture(pixels, like.alpha, like.exif)


def _resize(array: Floats, width: int, height: int) -> Floats:
    """By planes, each clamped into its place: of a large picture there is room for one."""
    out = np.empty((height, width, array.shape[2]), np.float32)
    for index in range(array.shape[2]):
        plane = Image.fromarray(np.ascontiguousarray(array[..., index]))
        resized = np.asarray(plane.resize((width, height), Image.Resampling.LANCZOS))
        np.clip(resized, 0, 1, out=out[..., index])
    return out


# -------------------------------------------------------------------------------------------- reading


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
    formats = ["JPEG", "PNG", "WEBP", "TIFF", "BMP", "GIF"] + ["HEIF"] * _register_heif()
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
    hint = "; for HEIC: pip install 'artune[heif]'" if data[4:8] == b"ftyp" and not _register_heif() else ""
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
    note = _read_note(opened, exif)
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
    return Picture(pixels, alpha, _clean_exif(exif), note)


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


_KEPT = (
    *("Artist", "Copyright", "DateTime", "Make", "Model", "Software", "DateTimeOriginal", "DateTimeDigitized"),
    *("OffsetTime", "OffsetTimeOriginal", "ExposureTime", "FNumber", "ExposureProgram", "ISOSpeedRatings"),
    *("ShutterSpeedValue", "ApertureValue", "BrightnessValue", "ExposureBiasValue", "MeteringMode", "LightSource"),
    *("Flash", "FocalLength", "FocalLengthIn35mmFilm", "WhiteBalance", "LensMake", "LensModel"),
)
"""EXIF that says who, when and with what; all else may say where, or is of the file that was read."""


def _clean_exif(exif: Image.Exif) -> bytes:
    """What is worth keeping of EXIF: ``_KEPT``."""
    tags = {ExifTags.Base[name].value for name in _KEPT}
    kept = Image.Exif()
    camera = kept.get_ifd(ExifTags.IFD.Exif)
    for target, source in ((kept, exif), (camera, exif.get_ifd(ExifTags.IFD.Exif))):
        for tag, value in source.items():
            if tag in tags:
                target[tag] = value
    try:
        return kept.tobytes() if len(kept) or camera else b""
    except Exception:  # values that no writer accepts are not worth a picture
        return b""


def _read_note(opened: Image.Image, exif: Image.Exif) -> dict[str, Any]:
    text = opened.info.get(_NOTE)
    if text is None:
        comment = exif.get_ifd(ExifTags.IFD.Exif).get(_USER_COMMENT) or exif.get(ExifTags.Base.ImageDescription, b"")
        raw = comment.encode("latin-1", "replace") if isinstance(comment, str) else bytes(comment)
        start = raw.find(_NOTE.encode() + b" ")
        text = raw[start + len(_NOTE) + 1 :].decode("utf-8", "replace") if start >= 0 else None
    try:
        note = json.loads(text) if text else {}
    except ValueError:
        return {}
    return note if isinstance(note, dict) else {}


def _register_heif() -> bool:
    try:
        import pillow_heif
    except ImportError:
        return False
    pillow_heif.register_heif_opener()
    return True


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


# -------------------------------------------------------------------------------------------- writing


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
    if suffix not in _FORMATS:
        raise OutputError(f"cannot write {path}: unknown format {suffix or '(no suffix)'!r}; use {', '.join(_FORMATS)}")
    if bits == 16 and suffix not in _DEEP:
        raise OutputError(f"cannot write 16 bits to {path}: only {', '.join(_DEEP)} hold them")
    if longer > (most := _LONGEST.get(_FORMATS[suffix], longer)):
        raise OutputError(f"cannot write {longer} pixels a side to {path}: the format ends at {most}; use .png or .tif")
    if _FORMATS[suffix] == "HEIF" and not _register_heif():
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
    form = _FORMATS[path.suffix.lower()]
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
        _write_eight(picture, file, _FORMATS[suffix], quality)
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
            text.add_itxt(_NOTE, json.dumps(picture.note))
        options["pnginfo"] = text
        if picture.exif:
            options["exif"] = picture.exif
    elif form not in ("BMP", "GIF"):
        exif = _exif_with_note(picture)
        if exif:
            options["exif"] = exif
    if form in ("JPEG", "WEBP", "HEIF"):
        options["quality"] = quality
    if form == "JPEG":
        options["subsampling"] = 0
    image.save(path, format=form, **options)


def _exif_with_note(picture: Picture) -> bytes:
    exif = Image.Exif()
    if picture.exif and len(picture.exif) < _LARGEST_EXIF:
        exif.load(picture.exif)
    if picture.note:
        exif.get_ifd(ExifTags.IFD.Exif)[_USER_COMMENT] = f"ASCII\0\0\0{_NOTE} {json.dumps(picture.note)}".encode()
    return exif.tobytes() if picture.note or picture.exif else b""


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
        description=f"{_NOTE} {json.dumps(picture.note)}" if picture.note else None,
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
        chunks.append((b"iTXt", _NOTE.encode() + b"\0\0\0\0\0" + json.dumps(picture.note).encode()))
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
