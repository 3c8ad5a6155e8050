"""Writing a film: in segments, which a kill leaves whole, and from them as one, without encoding anew."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from fractions import Fraction
from io import BufferedIOBase
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar, cast

import numpy as np
from numpy.typing import NDArray
from PIL import ExifTags, Image

from artune.errors import OutputError
from artune.files import atomic, atomic_folder, expanded
from artune.images.picture import Picture, floats
from artune.images.write import write_picture
from artune.video.animations import write_apng, write_gif, write_webp
from artune.video.colours import from_rgb
from artune.video.container import fraction, opened, zero_of
from artune.video.formats import FilmFormat, quality_options
from artune.video.place import result_files
from artune.video.stills import is_pattern, numbered_name

if TYPE_CHECKING:
    from av.container import InputContainer, OutputContainer
    from av.packet import Packet
    from av.video.stream import VideoStream

T = TypeVar("T")

_KEY_FRAMES = 250
"""Most frames from one key frame to the next, which are where players can begin."""

_FASTEST = 500  # frames a second in a segment, whose times are milliseconds
_THREADS = 2
"""Of every encoder: with another number, some make other bytes."""


def write_segment(path: Path, frames: Iterable[NDArray[Any]], format: FilmFormat) -> None:  # noqa: A002
    """Encode a part of a film on its own; the same frames make the same bytes.

    Args:
        path: the file, which is written whole or not at all.
        frames: one at least, each ``[h, w, 3 | 4]`` of ``uint8`` or ``uint16``; what is beyond the format's size at the
            right and at the bottom is cut off.
        format: how the whole film is written.

    Raises:
        OutputError: the place cannot be written, or the disk is full.
    """
    import av

    options = {"fflags": "+bitexact"}  # no random numbers
    with (
        atomic(path) as temporary,
        _writing(path),
        av.open(temporary, "w", format="matroska", container_options=options) as out,
    ):
        stream = _encoder(out, format)
        for number, frame in enumerate(frames):
            picture = from_rgb(_fitted(frame, format), format.encoder.pixels, format.colours)
            picture.pts, picture.time_base = number, stream.codec_context.time_base
            out.mux(stream.encode(picture))
        out.mux(stream.encode(None))


def write_film(
    out: Path | str,
    segments: Iterable[Path],
    times: Sequence[Fraction],
    last: Fraction,
    format: FilmFormat,  # noqa: A002
    sound_from: Path | str | None = None,
    start: Fraction = Fraction(0),
    end: Fraction | None = None,
    metadata: Mapping[str, str] | None = None,
) -> None:
    """Join segments to a film, with exact times and the sound of the film that was read.

    Args:
        out: the film, which is written whole or not at all.
        segments: in their order.
        times: when each frame begins, seconds from the beginning of the film that was read.
        last: when the last frame ends.
        format: with which the segments were written.
        sound_from: the film whose sounds are copied; ``None``: the film is silent.
        start: where the film begins that is written, seconds from the beginning of the film that was read.
        end: where its sound ends.
        metadata: title and the like, by FFmpeg's names.

    Raises:
        OutputError: the place cannot be written, the disk is full, or segments and times do not fit.
    """
    out = expanded(out)
    if not times:
        raise OutputError(f"cannot write {out}: there are no frames to be written")
    paths, bounds, metadata = [*segments], [each - start for each in (*times, last)], metadata or {}
    if format.is_film:
        with atomic(out) as temporary, _writing(out):
            source = None if sound_from is None else expanded(sound_from)
            _join(temporary, paths, bounds, format, source, start, end, metadata)
    elif format.is_animation:
        with atomic(out) as temporary, temporary.open("wb") as file:
            _animate(file, paths, bounds, format, metadata.get("comment", metadata.get("title", "")))
    else:
        _write_pictures(out, _arrays(paths, format, len(times)), len(times), format)


def _join(
    out: Path,
    segments: list[Path],
    bounds: list[Fraction],
    form: FilmFormat,
    sound_from: Path | None,
    start: Fraction,
    end: Fraction | None,
    metadata: Mapping[str, str],
) -> None:
    import av

    options = {"fflags": "+bitexact", "avoid_negative_ts": "disabled"}
    if form.container in ("mp4", "mov"):
        # an offset of the first frame is counted in the units of the whole film, which are milliseconds otherwise
        options |= {"movflags": "+faststart", "movie_timescale": str(max(1000, form.time_base.denominator))}
    with ExitStack() as stack:
        film = stack.enter_context(av.open(out, "w", format=form.container, container_options=options))
        film.metadata.update(metadata)
        first = stack.enter_context(_segment(segments[0]))
        template = first.streams.video[0]
        stream = film.add_stream_from_template(template, opaque=True)
        stream.time_base = form.time_base
        if form.encoder.tag and form.container in ("mp4", "mov"):
            stream.codec_context.codec_tag = form.encoder.tag
        if form.alpha and form.encoder.codec == "VP9":
            stream.metadata["alpha_mode"] = "1"
        sounds: Iterator[tuple[Fraction, Packet[Any]]] = iter(())
        if sound_from is not None:
            sounds = _sounds(stack.enter_context(opened(sound_from)), film, start, end)
        film.start_encoding()
        ticks = _ticks(bounds, fraction(stream.time_base))
        sound = next(sounds, None)
        for packet, (begins, ends) in zip(_packets(segments, template, len(bounds) - 1), pairwise(ticks), strict=True):
            while sound is not None and sound[0] <= begins * stream.time_base:
                film.mux(sound[1])
                sound = next(sounds, None)
            packet.stream = stream
            packet.time_base = stream.time_base
            packet.pts = packet.dts = begins
            packet.duration = ends - begins
            film.mux(packet)
        while sound is not None:
            film.mux(sound[1])
            sound = next(sounds, None)


def _animate(
    file: BufferedIOBase, segments: list[Path], bounds: list[Fraction], form: FilmFormat, comment: str
) -> None:
    """Write an animation of lossless segments."""
    if form.container == "GIF":
        write_gif(file, lambda: _arrays(segments, form, len(bounds) - 1), bounds, comment)
    elif form.container == "WebP":
        exif = Image.Exif()
        exif[ExifTags.Base.ImageDescription] = comment
        write_webp(file, _arrays(segments, form, len(bounds) - 1), bounds, exif.tobytes() if comment else b"")
    else:
        write_apng(file, _arrays(segments, form, len(bounds) - 1), bounds, comment)


def _write_pictures(out: Path, frames: Iterable[NDArray[Any]], total: int, form: FilmFormat) -> None:
    """Write numbered pictures, each of them whole or not at all, and a new folder whole or not at all.

    Of a film that was there before, longer than this one, the last pictures are deleted.
    """
    before = result_files(out)
    with ExitStack() as stack:
        if is_pattern(out):
            pattern = out
        else:
            folder = out if out.is_dir() else stack.enter_context(atomic_folder(out))
            pattern = folder / f"%0{max(4, len(str(total)))}d{form.container}"
        for number, frame in enumerate(frames, 1):
            values = floats(frame / np.float32(np.iinfo(frame.dtype).max))
            alpha = np.ascontiguousarray(values[..., 3]) if form.alpha else None
            picture = Picture(np.ascontiguousarray(values[..., :3]), alpha)
            write_picture(picture, numbered_name(pattern, number), bits=form.bits)
        written = {numbered_name(pattern, number) for number in range(1, total + 1)}
    for old in before:
        if old not in written:
            old.unlink(missing_ok=True)


def _arrays(segments: list[Path], form: FilmFormat, total: int) -> Iterator[NDArray[Any]]:
    """The frames of lossless segments, ``[h, w, 3 | 4]``, as they were given."""
    name = ("rgba64le" if form.alpha else "rgb48le") if form.bits > 8 else ("rgba" if form.alpha else "rgb24")

    def arrays() -> Iterator[NDArray[Any]]:
        for path in segments:
            with _segment(path) as segment:
                yield from (frame.to_ndarray(format=name) for frame in segment.decode(video=0))

    return _counted(arrays(), total)


def _encoder(out: "OutputContainer", form: FilmFormat) -> "VideoStream":
    """A stream of a segment, which encodes frames."""
    encoder = form.encoder
    rate = min(form.rate, Fraction(_FASTEST)).limit_denominator(1001)
    options = {**dict(encoder.options), **quality_options(form), "chroma_sample_location": "left"}
    stream = cast("VideoStream", out.add_stream(encoder.name, rate=rate, options=options))
    context = stream.codec_context
    stream.width, stream.height = form.size
    stream.pix_fmt = encoder.pixels
    context.time_base = 1 / rate
    context.gop_size = _KEY_FRAMES
    context.thread_count = _THREADS
    context.sample_aspect_ratio = form.pixel_aspect
    context.color_range = 2 if form.colours.full_range else 1
    context.colorspace = form.colours.matrix
    context.color_primaries = form.colours.primaries
    context.color_trc = form.colours.transfer
    if form.alpha and encoder.codec == "VP9":
        stream.metadata["alpha_mode"] = "1"
    return stream


def _fitted(frame: NDArray[Any], form: FilmFormat) -> NDArray[Any]:
    """A frame of the format's size, with as many channels as it holds."""
    width, height = form.size
    frame = frame[:height, :width]
    white = np.iinfo(frame.dtype).max
    if frame.shape[2] == 4 and not form.alpha:
        part = frame[..., 3:] / np.float32(white)
        return np.rint(frame[..., :3] * part + white * (1 - part)).astype(frame.dtype)
    if frame.shape[2] == 3 and form.alpha:
        return np.concatenate([frame, np.full_like(frame[..., :1], white)], 2)
    return np.ascontiguousarray(frame)


def _packets(segments: list[Path], template: "VideoStream", total: int) -> "Iterator[Packet[Any]]":
    """The packets of all segments in their order: a frame each."""

    def packets() -> "Iterator[Packet[Any]]":
        for path in segments:
            with _segment(path) as segment:
                stream = segment.streams.video[0]
                if stream.codec_context.extradata != template.codec_context.extradata:
                    raise OutputError(f"{path} was encoded with other settings than the first segment; make it anew")
                yield from (packet for packet in segment.demux(stream) if packet.size)

    return _counted(packets(), total)


@contextmanager
def _segment(path: Path) -> "Iterator[InputContainer]":
    """A segment, open for reading."""
    import av

    try:
        with av.open(path) as segment:
            yield segment
    except av.FFmpegError as error:
        raise OutputError(f"cannot read the segment {path}: {error.strerror}; make it anew") from error


def _counted(frames: Iterable[T], total: int) -> Iterator[T]:
    """Frames of segments, as many as there are times.

    Raises:
        OutputError: there are more or fewer.
    """
    number = 0
    for number, frame in enumerate(frames, 1):
        if number > total:
            break
        yield frame
    if number != total:
        comparison = "more" if number > total else "fewer"
        raise OutputError(f"the segments hold {comparison} than the {total} frames of the film; make them anew")


def _sounds(
    source: "InputContainer", film: "OutputContainer", start: Fraction, end: Fraction | None
) -> "Iterator[tuple[Fraction, Packet[Any]]]":
    """Adds the sounds of a film to another; then gives their packets, each with its time in the other."""
    zero = zero_of(source)
    streams = {sound.index: _sound(film, sound) for sound in source.streams.audio}

    def packets() -> "Iterator[tuple[Fraction, Packet[Any]]]":
        for packet in source.demux(*source.streams.audio) if streams else ():
            stamp = packet.pts if packet.pts is not None else packet.dts
            if stamp is None or not packet.size:
                continue
            unit = fraction(packet.time_base)
            time = stamp * unit - zero
            if (start > 0 and time < start) or (end is not None and time >= end):
                continue
            shift = round((zero + start) / unit)
            packet.pts, packet.dts = stamp - shift, (stamp if packet.dts is None else packet.dts) - shift
            packet.stream = streams[packet.stream.index]
            yield time - start, packet

    return packets()


def _sound(film: "OutputContainer", source: Any) -> Any:
    """A sound of the film that is written, as one of the film that was read."""
    sound = film.add_stream_from_template(source, opaque=True)
    sound.metadata.update({key: source.metadata[key] for key in ("language", "title") if key in source.metadata})
    sound.disposition = source.disposition
    return sound


def _ticks(times: list[Fraction], unit: Fraction) -> list[int]:
    """Times as whole numbers of a unit, which grow."""
    ticks: list[int] = []
    for time in times:
        tick = round(time / unit)
        ticks.append(max(tick, ticks[-1] + 1) if ticks else tick)
    return ticks


@contextmanager
def _writing(path: Path) -> Iterator[None]:
    """What FFmpeg raises on writing, as an ``OutputError``."""
    import av

    try:
        yield
    except av.FFmpegError as error:
        if isinstance(error, OSError):
            raise OSError(error.errno, error.strerror) from error
        raise OutputError(f"cannot write {path}: {error.strerror}") from error
