"""What a picture file holds beside its pixels: EXIF data, and the spec that made it."""

import json
from typing import Any

from PIL import ExifTags, Image

from artune.images.picture import Picture

NOTE = "artune"
"""Key of the embedded spec in PNG; the first word of the text that holds it elsewhere."""

_USER_COMMENT = 0x9286
_LARGEST_EXIF = 50_000  # JPEG holds 64 kB of EXIF, the note included

_KEPT = (
    *("Artist", "Copyright", "DateTime", "Make", "Model", "Software", "DateTimeOriginal", "DateTimeDigitized"),
    *("OffsetTime", "OffsetTimeOriginal", "ExposureTime", "FNumber", "ExposureProgram", "ISOSpeedRatings"),
    *("ShutterSpeedValue", "ApertureValue", "BrightnessValue", "ExposureBiasValue", "MeteringMode", "LightSource"),
    *("Flash", "FocalLength", "FocalLengthIn35mmFilm", "WhiteBalance", "LensMake", "LensModel"),
)
"""EXIF tags that are kept: who, when and with what. Others may tell the place, or describe the file that was read."""


def clean_exif(exif: Image.Exif) -> bytes:
    """EXIF data with the tags of ``_KEPT`` alone; empty if there are none, or if they cannot be written."""
    tags = {ExifTags.Base[name].value for name in _KEPT}
    kept = Image.Exif()
    camera = kept.get_ifd(ExifTags.IFD.Exif)
    for target, source in ((kept, exif), (camera, exif.get_ifd(ExifTags.IFD.Exif))):
        for tag, value in source.items():
            if tag in tags:
                target[tag] = value
    try:
        return kept.tobytes() if len(kept) or camera else b""
    except Exception:  # a picture is not refused for metadata that no writer accepts
        return b""


def read_note(text: Any, exif: Image.Exif) -> dict[str, Any]:
    """What artune has embedded in a picture; empty where there is nothing.

    Args:
        text: of the file, under the key ``NOTE``; ``None`` where there is none.
        exif: where the note is looked for otherwise.
    """
    if text is None:
        comment = exif.get_ifd(ExifTags.IFD.Exif).get(_USER_COMMENT) or exif.get(ExifTags.Base.ImageDescription, b"")
        raw = comment.encode("latin-1", "replace") if isinstance(comment, str) else bytes(comment)
        start = raw.find(NOTE.encode() + b" ")
        text = raw[start + len(NOTE) + 1 :].decode("utf-8", "replace") if start >= 0 else None
    try:
        note = json.loads(text) if text else {}
    except ValueError:
        return {}
    return note if isinstance(note, dict) else {}


def exif_with_note(picture: Picture) -> bytes:
    """EXIF of a picture, with its note as the user comment."""
    exif = Image.Exif()
    if picture.exif and len(picture.exif) < _LARGEST_EXIF:
        exif.load(picture.exif)
    if picture.note:
        exif.get_ifd(ExifTags.IFD.Exif)[_USER_COMMENT] = f"ASCII\0\0\0{NOTE} {json.dumps(picture.note)}".encode()
    return exif.tobytes() if picture.note or picture.exif else b""
