"""Films that FFmpeg reads: upright, in RGB, by their own times."""

import re
import warnings
from collections.abc import Generator, Iterator
from contextlib import closing
from errno import ENOENT
from fractions import Fraction
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, cast

import numpy as np
from numpy.typing import NDArray

from artune.errors import ArtuneWarning, PictureError
from artune.files import file_digest
from artune.images.picture import Picture, floats
from artune.video.colours import HDR, RGB, colours_of, depth_of, has_alpha, to_rgb
from artune.video.frames import UNKNOWN_CODEC, Decoded, FilmInfo, Frame, chosen

if TYPE_CHECKING:
    from av.container import InputContainer
    from av.video.codeccontext import VideoCodecContext
    from av.video.frame import VideoFrame
    from av.video.stream import VideoStream

_MARGINS = (Fraction(2), Fraction(15))
"""How far before what is wanted a key frame is looked for, seconds; then the film is read from its beginning."""

_JUMP = 1
"""Step back of the times, seconds, from which on they count as begun anew, as where recordings were put together."""

_MISSING = 1
"""Seconds that may be missing of a film before it counts as cut short."""

_RATE = Fraction(25)
"""Frames a second where a film does not tell."""

_ALPHA_DECODERS = {"vp8": "libvpx", "vp9": "libvpx-vp9"}
"""Decoders that read transparency, where FFmpeg's own do not."""

_CLOCK = re.compile(r"(\d+):(\d+):(\d+\.?\d*)")
"""How Matroska tells the length of a stream: hours, minutes, seconds."""

_NO_FILMS = {"tty", "concat", "hls", "dash", "image2", "lavfi", "sdp", "rtsp", "ffmetadata"}
"""FFmpeg's formats that are text, or lead to other files."""

_METADATA = (
    *("title", "artist", "album", "album_artist", "author", "composer", "copyright", "date", "creation_time"),
    *("description", "synopsis", "comment", "genre", "show", "episode_id", "season_number", "network"),
)
"""Metadata that is kept; other entries may tell the place, or describe the file that was read."""


class Turn(NamedTuple):
    """How a film's frames are turned to be upright.

    Attributes:
        transposed: rows become columns, before the others.
        mirrored: left and right are exchanged.
        flipped: top and bottom are exchanged.
    """

    transposed: bool = False
    mirrored: bool = False
    flipped: bool = False

    def apply(self, array: NDArray[Any]) -> NDArray[Any]:
        """``[h, w, c]``, upright."""
        array = array.swapaxes(0, 1) if self.transposed else array
        return array[:: -1 if self.flipped else 1, :: -1 if self.mirrored else 1]


def turn_of(matrix: bytes) -> Turn:
    """The turn of a display matrix, to the nearest quarter.

    Args:
        matrix: nine numbers of 32 bits, ``a b u c d v x y w``: the place ``(p, q)`` of a frame is shown at
            ``(a p + c q + x, b p + d q + y)``, ``q`` downwards (FFmpeg's ``libavutil/display.h``).
    """
    a, b, _, c, d, *_ = (int(each) for each in np.frombuffer(matrix, np.int32))
    if abs(a) + abs(d) >= abs(b) + abs(c):
        return Turn(False, a < 0, d < 0)
    return Turn(True, c < 0, b < 0)


class FilmFile:
    """A film that FFmpeg reads.

    Raises:
        PictureError: it is no film, has no frames, or cannot be read.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        with opened(self.path) as container:
            stream = _stream(container, self.path)
            first = next(self._frames(container, stream), None)
            if first is None:
                raise PictureError(f"{path} holds no frame that can be decoded: it is damaged or cut short")
            self._zero = zero_of(container)
            self._seekable = first.pts is not None and not _may_jump(container)
            self._size = first.width, first.height
            self._turn = turn_of(matrix) if (matrix := _display_matrix(first)) else Turn()
            self._rate = _rate(stream)
            ends = _end(container, stream)
            self._ends = None if ends is None else ends - self._zero
            self._colours = colours_of(first)
            self.info = self._described(container, stream, first)

    def frames(
        self,
        start: Fraction = Fraction(0),
        end: Fraction | None = None,
        after: Fraction | None = None,
        every: int = 1,
        number: int = 0,
    ) -> Iterator[Frame]:
        """See ``artune.video.frames.Film``."""
        whole = end is None or (self._ends is not None and end >= self._ends)
        decoded = self._from(start if after is None else after, whole)
        with closing(decoded):
            yield from chosen(decoded, start, end, after, every, number)

    def digest(self) -> str:
        """sha256 of the file."""
        return file_digest(self.path)

    def _from(self, wanted: Fraction, whole: bool) -> Generator[Decoded, None, None]:
        """All frames from a time on, and some before it.

        Reading begins at a key frame, and the first one that is decoded tells whether it was early enough.
        """
        for margin in _MARGINS if self._seekable else ():
            if wanted <= margin:
                break
            with closing(self._decoded(wanted - margin, whole)) as decoded:
                first = next(decoded, None)
                if first is not None and first.time <= wanted:
                    yield first
                    yield from decoded
                    return
        yield from self._decoded(None, whole)

    def _decoded(self, seek: Fraction | None, whole: bool) -> Generator[Decoded, None, None]:
        """Frames in their order, with times that grow.

        Args:
            seek: begin at the last key frame up to this time; ``None``: begin at the first frame.
            whole: whether the film is read to its end, so that its length can be compared with what it should be.
        """
        step = 1 / self._rate
        missing = longest = Fraction(0)
        waiting: Decoded | None = None
        for each in self._timed(seek, step):
            if waiting is not None:
                longest = max(longest, each.time - waiting.time)
                yield waiting
            waiting = each
        if waiting is None:
            return
        if whole and self._ends is not None:
            missing = self._ends - waiting.until
            if longest > 0 and missing > _MISSING and missing > 3 * longest:
                _warn(
                    f"{self.path} ends at {float(waiting.until):.1f} s, though its header tells of "
                    f"{float(self._ends):.1f} s: it is damaged or cut short; the frames that there are were read"
                )
            elif missing > 0:  # some containers do not tell how long the last frame is
                waiting = waiting._replace(until=self._ends)
        yield waiting

    def _timed(self, seek: Fraction | None, step: Fraction) -> Generator[Decoded, None, None]:
        """Frames with times that grow.

        Args:
            seek: as in ``_decoded``.
            step: seconds from a frame to the next where nothing tells.
        """
        time = until = -step
        jumped = Fraction(0)
        with opened(self.path) as container:
            stream = _stream(container, self.path)
            unit = fraction(stream.time_base)
            if seek is not None:
                import av

                try:
                    container.seek(int((seek + self._zero) // unit), stream=stream)
                except av.FFmpegError:  # a file whose index is missing
                    return
            begun = seek is None
            for frame in self._frames(container, stream):
                begun = begun or frame.key_frame
                if not begun:  # what it is predicted from was not read
                    continue
                stamp = frame.pts if frame.pts is not None else frame.dts
                told = until if stamp is None else stamp * unit - self._zero + jumped
                if time < 0:  # the first
                    told = max(told, Fraction(0))
                elif told <= time - _JUMP:
                    jumped += until - told
                    told = until
                elif told <= time:
                    told = time + step / 2  # the next one still comes later
                time = told
                until = time + (frame.duration * unit if frame.duration else step)
                yield Decoded(time, until, partial(self._picture, frame))

    def _frames(self, container: "InputContainer", stream: "VideoStream") -> "Iterator[VideoFrame]":
        """Frames as they are decoded; what is damaged is left out, with a warning."""
        import av

        decoder = _decoder(stream)
        packets = container.demux(stream)
        damaged = False
        while True:
            packet = None
            try:
                packet = next(packets, None)
                if packet is None:
                    return
                frames = [] if packet.is_corrupt else decoder.decode(packet if packet.size else None)
                broken = packet.is_corrupt
            except av.EOFError:
                return
            except av.FFmpegError:
                frames, broken = [], True
            if broken and not damaged:
                damaged = True
                _warn(f"a part of {self.path} is damaged; the frames that cannot be read are left out")
            yield from frames
            if packet is None:  # the file itself cannot be read on
                return

    def _picture(self, frame: "VideoFrame") -> Picture:
        """A frame as a picture."""
        values = self._turn.apply(to_rgb(frame, self._colours, self._size))
        alpha = floats(values[..., 3]) if values.shape[2] == 4 else None
        return Picture(floats(values[..., :3]), None if alpha is None or alpha.min() >= 1 else alpha)

    def _described(self, container: "InputContainer", stream: "VideoStream", first: "VideoFrame") -> FilmInfo:
        width, height = self._size
        aspect = fraction(stream.sample_aspect_ratio) or Fraction(1)
        notes = []
        if self._colours.transfer in HDR:
            notes.append(
                f"the film is HDR ({HDR[self._colours.transfer]}): its values are styled as they are, and the result "
                "says so, too"
            )
        if first.interlaced_frame:
            notes.append("the film is interlaced: its frames are styled as they are, with both fields in one")
        if container.streams.subtitles:
            notes.append("its subtitles are left out")
        length = self._ends
        counted = stream.frames or (round(length * self._rate) if length else None)
        return FilmInfo(
            size=(height, width) if self._turn.transposed else (width, height),
            time_base=fraction(stream.time_base),
            rate=self._rate,
            frames=counted,
            seconds=None if length is None else float(length),
            bits=depth_of(first),
            alpha=has_alpha(first),
            colours=None if self._colours.matrix == RGB else self._colours,
            pixel_aspect=1 / aspect if self._turn.transposed else aspect,
            sounds=tuple(_codec(sound) for sound in container.streams.audio),
            metadata={key.lower(): value for key, value in container.metadata.items() if key.lower() in _METADATA},
            notes=tuple(notes),
        )


def opened(path: Path) -> "InputContainer":
    """A film, open for reading.

    Raises:
        PictureError: it is no film, or cannot be read.
    """
    import av

    try:
        container = av.open(path, metadata_errors="replace", options={"protocol_whitelist": "file"})
    except av.FFmpegError as error:
        if isinstance(error, OSError) and (error.errno != ENOENT or not path.exists()):  # it may name another file
            raise PictureError(f"cannot read {path}: {error.strerror}") from error
        raise PictureError(
            f"{path} is no film that FFmpeg reads, or is damaged or cut short: give a film, an animation, a picture, "
            "or a folder of pictures"
        ) from error
    if {*container.format.name.split(",")} & _NO_FILMS:
        container.close()
        raise PictureError(f"{path} is no film: it is text, or a list of other files; give the film itself")
    return container


def zero_of(container: "InputContainer") -> Fraction:
    """The time stamp at which a film begins, seconds: that of its first frame or sound."""
    starts = [
        each.start_time * fraction(each.time_base)
        for each in (*filter(_moves, container.streams.video), *container.streams.audio)
        if each.start_time is not None
    ]
    return max(min(starts, default=Fraction(0)), Fraction(0))


def _stream(container: "InputContainer", path: Path) -> "VideoStream":
    """The moving pictures of a film: its first video stream that is no cover."""
    for stream in filter(_moves, container.streams.video):
        if stream.codec_context is None:
            raise PictureError(f"{path} is coded in a way that this FFmpeg does not decode")
        return stream
    what = ": it is sound alone" if container.streams.audio else ""
    raise PictureError(f"{path} holds no moving pictures{what}; give a film")


def _decoder(stream: "VideoStream") -> "VideoCodecContext":
    """What decodes a stream, with its transparency."""
    import av

    decoder: Any = stream.codec_context
    name = _ALPHA_DECODERS.get(decoder.codec.canonical_name, "")
    told = {key.lower(): value for key, value in stream.metadata.items()}
    if told.get("alpha_mode") == "1" and name in av.codecs_available:
        decoder = av.CodecContext.create(name, "r")
    decoder.thread_type = "AUTO"
    decoder.options = {"chroma_sample_location": "left"}  # where a film does not tell
    return cast("VideoCodecContext", decoder)


def fraction(value: Any) -> Fraction:
    """A fraction of FFmpeg's as one of Python's; 0 where it is not known."""
    return Fraction(value.numerator, value.denominator) if value else Fraction(0)


def _moves(stream: "VideoStream") -> bool:
    """Whether a video stream is no cover picture and no row of previews."""
    from av.stream import Disposition

    return not (stream.disposition & (Disposition.attached_pic | Disposition.timed_thumbnails))


def _may_jump(container: "InputContainer") -> bool:
    """Whether the times of a format may begin anew in its middle, as in MPEG-TS, so that they are no places in it."""
    return _has_flag(container, "ts_discont")


def _has_flag(container: "InputContainer", name: str) -> bool:
    """Whether FFmpeg says so of a format, by PyAV's names."""
    from av.format import Flags

    return bool(container.format.flags & cast("int", Flags[name].value))


def _rate(stream: "VideoStream") -> Fraction:
    for rate in (stream.average_rate, stream.guessed_rate):
        if rate and 0 < rate <= 1000:
            return fraction(rate)
    return _RATE


def _end(container: "InputContainer", stream: "VideoStream") -> Fraction | None:
    """The time stamp at which the pictures of a film end, seconds, as its header tells; ``None`` where it does not."""
    unit = fraction(stream.time_base)
    if _has_flag(container, "no_timestamps"):
        return None  # what is known of its length is guessed by its bytes
    if stream.duration:
        return (stream.duration + (stream.start_time or 0)) * unit
    if found := _CLOCK.fullmatch(stream.metadata.get("DURATION", "")):
        hours, minutes, seconds = found.groups()
        return int(hours) * 3600 + int(minutes) * 60 + Fraction(seconds)
    if container.duration and not container.streams.audio:
        return Fraction(container.duration, 1_000_000)
    return None


def _display_matrix(frame: "VideoFrame") -> bytes | None:
    from av.sidedata.sidedata import Type

    found: list[Any] = [*frame.side_data]
    return next((bytes(data) for data in found if data.type is Type.DISPLAYMATRIX), None)


def _codec(stream: Any) -> str:
    return UNKNOWN_CODEC if stream.codec_context is None else str(stream.codec_context.codec.canonical_name)


def _warn(message: str) -> None:
    warnings.warn(message, ArtuneWarning, stacklevel=2)
