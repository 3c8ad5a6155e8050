"""What a picture file carries beside its pixels: EXIF that is worth keeping, and the spec that made it."""

import json
from typing import Any

from PIL import ExifTags, Image

from artune.images.picture import Picture

NOTE = "artune"  # key of the embedded spec in PNG; its first word elsewhere


_USER_COMMENT = 0x9286


_LARGEST_EXIF = 50_000  # JPEG holds 64 kB, our note among it


_KEPT = (
    *("Artist", "Copyright", "DateTime", "Make", "Model", "Software", "DateTimeOriginal", "DateTimeDigitized"),
    *("OffsetTime", "OffsetTimeOriginal", "ExposureTime", "FNumber", "ExposureProgram", "ISOSpeedRatings"),
    *("ShutterSpeedValue", "ApertureValue", "BrightnessValue", "ExposureBiasValue", "MeteringMode", "LightSource"),
    *("Flash", "FocalLength", "FocalLengthIn35mmFilm", "WhiteBalance", "LensMake", "LensModel"),
)
"""EXIF that says who, when and with what; all else may say where, or is of the file that was read."""


def clean_exif(exif: Image.Exif) -> bytes:
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


def read_note(opened: Image.Image, exif: Image.Exif) -> dict[str, Any]:
    """What artune has embedded in a picture; empty where there is nothing."""
    text = opened.info.get(NOTE)
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
    """EXIF of a picture that holds its note too."""
    exif = Image.Exif()
    if picture.exif and len(picture.exif) < _LARGEST_EXIF:
        exif.load(picture.exif)
    if picture.note:
        exif.get_ifd(ExifTags.IFD.Exif)[_USER_COMMENT] = f"ASCII\0\0\0{NOTE} {json.dumps(picture.note)}".encode()
    return exif.tobytes() if picture.note or picture.exif else b""
