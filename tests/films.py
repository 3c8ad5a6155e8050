"""Films that the tests make, by PyAV alone."""

from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
from av.video.frame import VideoFrame

SIDE = 32


def moving(count: int, width: int = SIDE, height: int = SIDE) -> list[np.ndarray]:
    """Frames of 8 bits that all differ: soft colours, and a grey square that moves."""
    y, x = np.mgrid[0:height, 0:width]
    soft = np.stack([60 + 3 * x % 120, 80 + 2 * y, 0 * x + 100], -1).astype(np.uint8)
    frames = []
    for number in range(count):
        frame = soft.copy()
        at = number * 3 % (width - 8)
        frame[8:16, at : at + 8] = (5 * number % 256,) * 3
        frames.append(frame)
    return frames


def rgb(frame: np.ndarray, pixels: str) -> VideoFrame:
    """A frame in a pixel format, by FFmpeg's own conversion."""
    names = {(3, 1): "rgb24", (4, 1): "rgba", (3, 2): "rgb48le", (4, 2): "rgba64le"}
    given = VideoFrame.from_ndarray(np.ascontiguousarray(frame), names[frame.shape[2], frame.itemsize])
    return given.reformat(format=pixels, threads=1)  # FFmpeg's scaler leaves rows out now and then in several


def planes(pixels: str, width: int, height: int, *values: int) -> VideoFrame:
    """A frame in which each plane has one value."""
    frame = VideoFrame(width, height, pixels)
    for plane, value in zip(frame.planes, values, strict=True):
        np.frombuffer(plane, np.uint16 if pixels.endswith("le") else np.uint8)[:] = value
    return frame


def write_frames(
    path: Path,
    frames: Sequence[VideoFrame],
    *,
    codec: str = "ffv1",
    times: Sequence[Fraction] | None = None,
    unit: Fraction = Fraction(1, 1000),
    rate: int = 25,
    options: dict[str, str] | None = None,
    matrix: Sequence[int] | None = None,
    sounds: Sequence[str] = (),
    metadata: dict[str, str] | None = None,
    **settings: Any,
) -> Path:
    """A film.

    Args:
        frames: all in one pixel format.
        times: when they begin; default: by the rate.
        unit: of the times.
        matrix: how the frames are turned to be shown.
        sounds: FFmpeg's names of the codecs of sounds, which are as long as the film.
        settings: of the encoder, such as ``colorspace``.
    """
    times = times or [Fraction(number, rate) for number in range(len(frames))]
    with av.open(path, "w") as out:
        out.metadata.update(metadata or {})
        stream = out.add_stream(codec, rate=rate, options=options or {})
        stream.width, stream.height, stream.pix_fmt = frames[0].width, frames[0].height, frames[0].format.name
        stream.codec_context.time_base = unit
        stream.codec_context.thread_count = 1
        for name, value in settings.items():
            setattr(stream.codec_context, name, value)
        if matrix is not None:
            stream.set_display_matrix(matrix)
        heard = [out.add_stream(name, rate=48000) for name in sounds]
        for sound, language in zip(heard, ("deu", "fra"), strict=False):
            sound.metadata["language"] = language
        for frame, time in zip(frames, times, strict=True):
            frame.pts, frame.time_base = round(time / unit), unit
            out.mux(stream.encode(frame))
        out.mux(stream.encode(None))
        for number, sound in enumerate(heard):
            write_sound(out, sound, float(times[-1]) + 1 / rate, 440 * (number + 1))
    return path


def write_sound(out: Any, stream: Any, seconds: float, pitch: float) -> None:
    """A tone."""
    rate, size = 48000, 1024
    form = stream.format.name
    for at in range(0, int(seconds * rate), size):
        tone = 0.3 * np.sin(2 * np.pi * pitch * np.arange(at, at + size) / rate)
        left = tone.astype(np.float32) if "flt" in form else (32767 * tone).astype(np.int16)
        samples = np.stack([left, left]) if form.endswith("p") else np.repeat(left, 2)[None]
        frame = av.AudioFrame.from_ndarray(samples, format=form, layout="stereo")
        frame.sample_rate, frame.pts, frame.time_base = rate, at, Fraction(1, rate)
        out.mux(stream.encode(frame))
    out.mux(stream.encode(None))


def sound_packets(path: Path, number: int = 0) -> list[tuple[Fraction, bytes]]:
    """The packets of a sound, with their times."""
    with av.open(path) as container:
        stream = container.streams.audio[number]
        return [
            (packet.pts * Fraction(packet.time_base), bytes(packet))
            for packet in container.demux(stream)
            if packet.size
        ]


def film_times(path: Path) -> list[Fraction]:
    """The times of the packets of a film, as they are in its file."""
    with av.open(path) as container:
        stream = container.streams.video[0]
        return [packet.pts * Fraction(packet.time_base) for packet in container.demux(stream) if packet.size]


def film_file(path: Path, frames: Sequence[np.ndarray], *, rate: int = 24) -> Path:
    """A film with a tone, without loss in the picture."""
    return write_frames(path, [rgb(frame, "bgr0") for frame in frames], rate=rate, sounds=["pcm_s16le"])


def panned(pixels: np.ndarray, count: int, width: int, step: int = 1) -> list[np.ndarray]:
    """Frames of a camera that goes to the right over a picture in [0, 1], ``step`` pixels a frame."""
    levels = np.rint(255 * pixels).astype(np.uint8)
    return [np.ascontiguousarray(levels[:, step * number : step * number + width]) for number in range(count)]


def frames_of(path: Path) -> list[np.ndarray]:
    """The frames of a film, decoded."""
    with av.open(path) as film:
        return [frame.to_ndarray(format="rgb24") for frame in film.decode(video=0)]
