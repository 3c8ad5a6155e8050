"""A film, what is known of it, and its frames."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from fractions import Fraction
from typing import NamedTuple, Protocol, runtime_checkable

from artune.errors import InputError
from artune.images.picture import Picture
from artune.video.colours import Colours

UNKNOWN_CODEC = "unknown"
"""Name of the codec of a sound that this FFmpeg does not know."""


@dataclass(frozen=True, eq=False)
class Frame:
    """A frame that was read.

    Attributes:
        number: among those that are read, from 0.
        time: when it begins, seconds from the beginning of the film.
        duration: until the next frame that is read, or the end of what is read, seconds.
        picture: upright.
    """

    number: int
    time: Fraction
    duration: Fraction
    picture: Picture


@dataclass(frozen=True)
class FilmInfo:
    """What is known of a film before its frames are read.

    Attributes:
        size: width and height, upright, pixels.
        time_base: unit of its times, seconds; every time is a whole number of it.
        rate: frames a second, on average.
        frames: how many there are, as far as its header or its length tell; ``None`` where nothing tells.
        seconds: how long it is; ``None`` where nothing tells.
        bits: of a channel; above 8, frames are read with 16.
        alpha: whether it holds transparency.
        colours: what it says of its colours, or else what its size implies; ``None`` for pictures and animations, which
            are sRGB.
        pixel_aspect: width over height of a pixel, upright.
        sounds: FFmpeg's names of the codecs of its sounds, in their order.
        metadata: its title and the like, by FFmpeg's names.
        notes: what of it is not kept, or is otherwise than one may think.
    """

    size: tuple[int, int]
    time_base: Fraction
    rate: Fraction
    frames: int | None = None
    seconds: float | None = None
    bits: int = 8
    alpha: bool = False
    colours: Colours | None = None
    pixel_aspect: Fraction = Fraction(1)
    sounds: tuple[str, ...] = ()
    metadata: Mapping[str, str] = field(default_factory=dict)
    notes: tuple[str, ...] = ()


@runtime_checkable
class Film(Protocol):
    """A film that can be read, any number of times."""

    info: FilmInfo

    def frames(
        self,
        start: Fraction = Fraction(0),
        end: Fraction | None = None,
        after: Fraction | None = None,
        every: int = 1,
        number: int = 0,
    ) -> Iterator[Frame]:
        """The frames with ``start <= time < end``, in their order; the memory that it takes has a bound.

        Args:
            start: seconds from the beginning of the film.
            end: seconds from the beginning of the film; default: to its end.
            after: the time of a frame that was read before with the same ``start`` and ``every``: reading goes on with
                the next one, and gives the same frames, to the bit, as without a break.
            every: read each so many-th frame, counted from ``start``.
            number: of the first frame that is read; with ``after``, how many were read before.

        Raises:
            PictureError: the film cannot be read any more, or a picture has another size.

        Warns:
            ArtuneWarning: a part of the film is damaged, or its end is missing; the frames that there are were read.
        """
        ...

    def digest(self) -> str:
        """sha256 of the film's file or files, and of what its times depend on."""
        ...


class Decoded(NamedTuple):
    """A frame of a film, not yet made a picture.

    Attributes:
        time: when it begins, seconds.
        until: when it ends if nothing comes after it, seconds.
        picture: makes its picture.
    """

    time: Fraction
    until: Fraction
    picture: Callable[[], Picture]


def chosen(
    decoded: Iterable[Decoded], start: Fraction, end: Fraction | None, after: Fraction | None, every: int, number: int
) -> Iterator[Frame]:
    """The frames that are asked for, of those that a film has; see ``Film.frames``.

    A frame is given when the next one has come, because only then its duration is known.

    Args:
        decoded: frames in the order of their times, which may begin with any before the first that is asked for.
    """
    if every < 1:
        raise InputError(f"`every` is {every}; choose a whole number from 1")
    waiting: Decoded | None = None
    until = start
    index = -1 if after is None else 0  # `after` was a frame that was read: the one with index 0
    for each in decoded:
        if end is not None and each.time >= end:
            until = end
            break
        if (each.time < start) if after is None else (each.time <= after):
            continue
        index += 1
        until = each.until if end is None else min(each.until, end)
        if index % every:
            continue
        if waiting is not None:
            yield Frame(number, waiting.time, each.time - waiting.time, waiting.picture())
            number += 1
        waiting = each
    if waiting is not None:
        yield Frame(number, waiting.time, until - waiting.time, waiting.picture())
