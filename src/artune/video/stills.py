"""Films that are pictures: numbered ones in a folder, a picture alone, and animations (GIF, WebP, APNG, AVIF)."""

import hashlib
import re
from collections.abc import Iterator, Sequence
from fractions import Fraction
from functools import partial
from math import lcm
from pathlib import Path

import numpy as np
from PIL import Image

from artune.errors import PictureError
from artune.files import file_digest
from artune.images.find import find_pictures
from artune.images.picture import Picture
from artune.images.read import check_size, decoding, from_pillow, open_picture, picture_data, read_picture
from artune.video.frames import Decoded, FilmInfo, Frame, chosen

ANIMATED = ("GIF", "WEBP", "PNG", "AVIF", "JXL")
"""Pillow's names of the formats that hold animations."""

_NUMBER = re.compile(r"%(0?)(\d*)d")
"""The place of a picture's number in a pattern such as ``frames/%04d.png``."""

_UNTIMED = Fraction(1, 10)
"""How long a frame of an animation is shown that does not tell, seconds; as browsers do."""

_FINEST = 90_000
"""Most parts of a second in which the times of an animation are counted."""


class NumberedPictures:
    """A film of pictures, in the order given.

    Args:
        paths: its pictures, one at least.
        rate: frames a second.

    Raises:
        PictureError: a picture cannot be read, or two are of different sizes.
    """

    def __init__(self, paths: Sequence[Path], rate: Fraction) -> None:
        if rate <= 0:
            raise PictureError(f"`rate` is {rate}; choose a number of frames a second above 0")
        self.paths = [*paths]
        first = read_picture(self.paths[0])
        self._size = first.size
        self._rate = rate
        for path in self.paths[1:]:
            self._check(path, _upright_size(path))
        self.info = FilmInfo(
            size=first.size,
            time_base=1 / rate,
            rate=rate,
            frames=len(self.paths),
            seconds=float(len(self.paths) / rate),
            bits=_bits(first),
            alpha=first.alpha is not None,
        )

    def frames(
        self,
        start: Fraction = Fraction(0),
        end: Fraction | None = None,
        after: Fraction | None = None,
        every: int = 1,
        number: int = 0,
    ) -> Iterator[Frame]:
        """See ``artune.video.frames.Film``."""
        decoded = (
            Decoded(index / self._rate, (index + 1) / self._rate, partial(self._read, path))
            for index, path in enumerate(self.paths)
        )
        return chosen(decoded, start, end, after, every, number)

    def digest(self) -> str:
        """sha256 of the files and the rate."""
        whole = hashlib.sha256(f"{self._rate}".encode())
        for path in self.paths:
            whole.update(file_digest(path).encode())
        return whole.hexdigest()

    def _read(self, path: Path) -> Picture:
        picture = read_picture(path)
        self._check(path, picture.size)
        return picture

    def _check(self, path: Path, size: tuple[int, int] | None) -> None:
        """Raise unless a picture has the size of the first; ``None``: it is seen when the picture is read."""
        if size is not None and size != self._size:
            raise PictureError(
                f"{path} has {size[0]}x{size[1]} pixels, and {self.paths[0]} {self._size[0]}x{self._size[1]}: the "
                "pictures of a film are of one size; remove or resize those that differ"
            )


class Animation:
    """A picture file of several frames, each with a duration of its own.

    Raises:
        PictureError: it cannot be read, or is damaged or cut short.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        image = self._opened()
        check_size(*image.size, str(path), allow_huge=False)
        durations, alpha, first = [], False, None
        for frame in self._images():
            durations.append(_duration(frame))
            first = first or from_pillow(frame, where=str(path))
            alpha = alpha or frame.mode in ("RGBA", "LA", "PA") or "transparency" in frame.info
        assert first is not None
        self._durations = durations
        unit = min(lcm(*(each.denominator for each in durations)), _FINEST)
        self.info = FilmInfo(
            size=first.size,
            time_base=Fraction(1, unit),
            rate=(len(durations) / sum(durations, Fraction(0))).limit_denominator(1001),
            frames=len(durations),
            seconds=float(sum(durations)),
            alpha=alpha,
        )

    def frames(
        self,
        start: Fraction = Fraction(0),
        end: Fraction | None = None,
        after: Fraction | None = None,
        every: int = 1,
        number: int = 0,
    ) -> Iterator[Frame]:
        """See ``artune.video.frames.Film``."""
        return chosen(self._decoded(), start, end, after, every, number)

    def digest(self) -> str:
        """sha256 of the file."""
        return file_digest(self.path)

    def _decoded(self) -> Iterator[Decoded]:
        time = Fraction(0)
        for duration, image in zip(self._durations, self._images(), strict=True):
            yield Decoded(time, time + duration, partial(from_pillow, image, where=str(self.path)))
            time += duration

    def _images(self) -> Iterator[Image.Image]:
        """Each frame as it is shown: what earlier ones have left is in it."""
        image = self._opened()
        for index in range(getattr(image, "n_frames", 1)):
            with decoding(str(self.path)):
                image.seek(index)
                image.load()
                yield image.copy()

    def _opened(self) -> Image.Image:
        data = picture_data(self.path, role="film")
        with decoding(str(self.path)):
            image = open_picture(data)
        if image is None:
            raise PictureError(f"{self.path} is damaged or cut short; get it anew")
        return image


def pictures_of_folder(folder: Path) -> list[Path]:
    """The pictures of a folder in natural order: ``2.png`` comes before ``10.png``.

    Raises:
        PictureError: the folder cannot be read, or holds no picture.
    """
    return sorted(find_pictures(folder).pictures, key=lambda path: _natural(path.name))


def is_pattern(path: Path) -> bool:
    """Whether a name stands for numbered pictures, as ``frames/%04d.png``."""
    return len(_NUMBER.findall(path.name)) == 1


def numbered_name(pattern: Path, number: int) -> Path:
    """The file of a pattern that has a number."""
    return pattern.with_name(_NUMBER.sub(lambda found: f"{number:{found[1]}{found[2]}d}", pattern.name))


def pictures_of_pattern(pattern: Path) -> list[Path]:
    """The pictures of a pattern that there are, by their numbers.

    Raises:
        PictureError: the folder cannot be read, or there is none.
    """
    zero, width = next(iter(_NUMBER.findall(pattern.name)))
    before, after = (re.escape(part) for part in re.split(_NUMBER, pattern.name)[::3])
    digits = rf"\d{{{width or 1},}}" if zero else r"\d+"
    found = {}
    try:
        for path in pattern.parent.iterdir():
            if match := re.fullmatch(rf"{before}({digits}){after}", path.name):
                found[int(match[1])] = path
    except OSError as error:
        raise PictureError(f"cannot read the folder {pattern.parent}: {error.strerror}") from error
    if not found:
        raise PictureError(f"there is no picture {numbered_name(pattern, 1)}, nor one of another number")
    return [found[number] for number in sorted(found)]


def _natural(name: str) -> list[tuple[int, str]]:
    """A key that sorts the numbers in names by their values."""
    return [(int(part), "") if part.isdecimal() else (-1, part) for part in re.split(r"(\d+)", name)]


def _upright_size(path: Path) -> tuple[int, int] | None:
    """The size of a picture by its head alone; ``None`` where that does not tell."""
    try:
        with Image.open(path) as image:
            width, height = image.size
            return (height, width) if image.getexif().get(0x0112, 1) in (5, 6, 7, 8) else (width, height)
    except Exception:  # what is wrong with it is said when it is read
        return None


def _bits(picture: Picture) -> int:
    """8 where every value is one of 8 bits, else 16."""
    steps = picture.pixels * np.float32(255)
    return 8 if np.abs(steps - np.rint(steps)).max() < 1e-3 else 16


def _duration(image: Image.Image) -> Fraction:
    """How long a frame is shown, seconds."""
    told = image.info.get("duration") or 0  # milliseconds, which in APNG may be a part of one
    return Fraction(told / 1000).limit_denominator(65_535) if told > 0 else _UNTIMED
