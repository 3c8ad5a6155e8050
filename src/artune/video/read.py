"""Opening a film: what FFmpeg reads, an animation, a picture, a folder of pictures, or a pattern of their names."""

from fractions import Fraction
from pathlib import Path

from artune.errors import PictureError, SpecError
from artune.extras import require
from artune.files import expanded
from artune.images.formats import READABLE
from artune.images.read import decoding, has_format, nearest_name, open_picture, picture_data
from artune.video.container import FilmFile
from artune.video.frames import Film
from artune.video.stills import (
    ANIMATED,
    Animation,
    NumberedPictures,
    is_pattern,
    pictures_of_folder,
    pictures_of_pattern,
)

RATE = Fraction(25)
"""Frames a second of numbered pictures, where none is given."""


RATES = Fraction(1, 100), Fraction(1000)
"""Least and largest such rate."""


def open_film(source: Path | str, rate: Fraction | None = None) -> Film:
    """A film, open for reading.

    Args:
        source: a film that FFmpeg reads; an animation (GIF, WebP, APNG, AVIF); a picture, which is a film of one frame;
            a folder of pictures, in natural order; or a pattern of the names of numbered pictures, as
            ``frames/%04d.png``. ``~`` is the user's home.
        rate: frames a second of pictures, default ``RATE``; films and animations have their own times.

    Raises:
        SpecError: the rate is out of range, or the film has times of its own.
        PictureError: there is no such film, it cannot be read, or it holds no moving pictures.
        MissingExtraError: the extra ``video`` is not installed.
    """
    require("video", "reading a film")
    if not str(source):
        raise PictureError("the name of the film is empty")
    least, largest = RATES
    if rate is not None and not least <= rate <= largest:
        raise SpecError(f"`rate` is {float(rate):g} frames a second; give one from {float(least):g} to {largest}")
    path, steady = expanded(source), RATE if rate is None else rate
    if path.is_dir():
        return NumberedPictures(pictures_of_folder(path), steady)
    if is_pattern(path) and not path.exists():
        return NumberedPictures(pictures_of_pattern(path), steady)
    head = _head(path)
    if path.suffix.lower() in READABLE or has_format(head):
        data = picture_data(path, role="film")
        with decoding(str(path)):
            opened = open_picture(data)
            moves = opened is not None and opened.format in ANIMATED and getattr(opened, "n_frames", 1) > 1
        if opened is not None and not moves:
            return NumberedPictures([path], steady)
        if opened is not None:
            return _with_own_times(Animation(path), path, rate)
    return _with_own_times(FilmFile(path), path, rate)


def _with_own_times(film: Film, path: Path, rate: Fraction | None) -> Film:
    """A film whose rate is its own."""
    if rate is not None:
        raise SpecError(f"{path} has times of its own, and `rate` is for numbered pictures; leave it out")
    return film


def _head(path: Path) -> bytes:
    """The first bytes of a file.

    Raises:
        PictureError: it is missing, empty, no regular file, or cannot be read.
    """
    try:
        if path.exists() and not path.is_file():  # a pipe or a device may never end
            raise PictureError(f"{path} is no regular file; give a film")
        with path.open("rb") as file:
            head = file.read(64)
    except FileNotFoundError:
        raise PictureError(f"there is no film {path}{nearest_name(path)}") from None
    except OSError as error:
        raise PictureError(f"cannot read {path}: {error.strerror}") from error
    if not head:
        raise PictureError(f"{path} is empty (0 bytes); give a film")
    return head
