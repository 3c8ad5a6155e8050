"""The formats of picture files: one record for each, found by suffix or by the first bytes of a file."""

from dataclasses import dataclass

from PIL import Image

QUALITY = 95
"""Quality of formats with a loss, where none is given."""


@dataclass(frozen=True)
class Format:
    """A format of picture files, and what artune can do with it.

    Attributes:
        name: Pillow's name of it.
        suffixes: of its files, the usual one first.
        writes: whether artune writes it.
        bits: numbers of bits per channel that can be written.
        alpha: whether a written file holds transparency.
        quality: whether it is compressed with a loss that ``quality`` sets.
        longest: side that a written file can have, pixels; ``None``: no limit that matters.
        frames: whether further pictures in a file are frames or pages, and not previews of the first.
        needs: what to install if it cannot be read or written.
    """

    name: str
    suffixes: tuple[str, ...]
    writes: bool = False
    bits: tuple[int, ...] = (8,)
    alpha: bool = False
    quality: bool = False
    longest: int | None = None
    frames: bool = False
    needs: str = ""


JPEG = Format("JPEG", (".jpg", ".jpeg", ".jfif", ".jpe"), writes=True, quality=True, longest=65_500)
PNG = Format("PNG", (".png", ".apng"), writes=True, bits=(8, 16), alpha=True, frames=True)
WEBP = Format("WEBP", (".webp",), writes=True, alpha=True, quality=True, longest=16_383, frames=True)
TIFF = Format("TIFF", (".tif", ".tiff"), writes=True, bits=(8, 16), alpha=True, frames=True)
BMP = Format("BMP", (".bmp",), writes=True)
GIF = Format("GIF", (".gif",), writes=True, alpha=True, longest=65_535, frames=True)
HEIF = Format(
    name="HEIF",
    suffixes=(".heic", ".heif", ".hif"),
    writes=True,
    alpha=True,
    quality=True,
    needs="pillow-heif: pip install 'artune[heif]'",
)
AVIF = Format(
    name="AVIF",
    suffixes=(".avif",),
    writes=True,
    alpha=True,
    quality=True,
    longest=65_536,
    frames=True,
    needs="Pillow 11.3 or newer, built with AVIF: pip install -U pillow",
)
JXL = Format(
    name="JXL",
    suffixes=(".jxl",),
    writes=True,
    alpha=True,
    quality=True,
    frames=True,
    needs="pillow-jxl-plugin: pip install 'artune[jxl]'",
)
JPEG2000 = Format("JPEG2000", (".jp2", ".j2k", ".jpx", ".jpf", ".j2c"))
PPM = Format("PPM", (".ppm", ".pgm", ".pbm", ".pnm"))
PSD = Format("PSD", (".psd",))
QOI = Format("QOI", (".qoi",))
TGA = Format("TGA", (".tga",))  # the last one: it has no signature, so that other files could be taken for it

ALL = (JPEG, PNG, WEBP, TIFF, BMP, GIF, HEIF, AVIF, JXL, JPEG2000, PPM, PSD, QOI, TGA)
"""All formats, in the order in which they are tried on a file."""

FORMATS = {suffix: form for form in ALL for suffix in form.suffixes}
"""The format of each suffix."""

READABLE = tuple(FORMATS)
"""Suffixes of the pictures that are found in a folder."""

WRITABLE = tuple(suffix for suffix, form in FORMATS.items() if form.writes)
"""Suffixes that a result may have."""


def load_plugins() -> None:
    """Make Pillow load the plug-ins that are installed."""
    Image.init()
    try:
        import pillow_heif

        pillow_heif.register_heif_opener()
    except ImportError:
        pass
    try:
        import pillow_jxl  # noqa: F401  (it registers itself)
    except ImportError:
        pass


def load_plugin(form: Format) -> None:
    """Make Pillow load what a format needs. It has the usual ones at once; all others take a tenth of a second."""
    Image.preinit()
    if form.name not in Image.OPEN:
        load_plugins()


def is_installed(form: Format) -> bool:
    """Whether what a format needs is installed, so that it can be read and written."""
    load_plugin(form)
    return form is TIFF or form.name in Image.SAVE


def guess_format(data: bytes) -> Format | None:
    """The format of a file by its first bytes; only for formats that may need a plug-in."""
    if data[4:8] == b"ftyp":
        brands = {data[8:12], *(data[at : at + 4] for at in range(16, min(int.from_bytes(data[:4], "big"), 64), 4))}
        return AVIF if brands & {b"avif", b"avis"} else HEIF if brands & {b"heic", b"heix", b"mif1", b"msf1"} else None
    return JXL if data.startswith((b"\xff\x0a", b"\0\0\0\x0cJXL ")) else None
