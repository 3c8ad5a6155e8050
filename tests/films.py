"""Films that the tests make."""

from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
from numpy.typing import NDArray


def film_file(path: Path, frames: Sequence[NDArray[np.uint8]], *, rate: int = 24, sound: bool = True) -> Path:
    """A film, without loss in the picture; with a tone, unless it is to be silent.

    Args:
        path: file to write, .mkv.
        frames: ``[h, w, 3]`` each.
        rate: frames a second.
        sound: whether it has one.
    """
    height, width, _ = frames[0].shape
    with av.open(path, "w") as out:
        stream = out.add_stream("ffv1", rate=rate)
        stream.width, stream.height, stream.pix_fmt = width, height, "bgr0"
        tone = out.add_stream("pcm_s16le", rate=8000, layout="mono") if sound else None
        for frame in frames:
            out.mux(stream.encode(av.VideoFrame.from_ndarray(frame, format="rgb24")))
        out.mux(stream.encode(None))
        if tone is not None:
            t = np.arange(8000 * len(frames) // rate) / 8000
            samples = (8000 * np.sin(2 * np.pi * 440 * t)).astype(np.int16)[None]
            for begin in range(0, samples.shape[1], 500):
                part = np.ascontiguousarray(samples[:, begin : begin + 500])
                sounding = av.AudioFrame.from_ndarray(part, format="s16", layout="mono")
                sounding.sample_rate, sounding.pts, sounding.time_base = 8000, begin, Fraction(1, 8000)
                out.mux(tone.encode(sounding))
            out.mux(tone.encode(None))
    return path


def panned(pixels: NDArray[np.float32], count: int, width: int, step: int = 1) -> list[NDArray[np.uint8]]:
    """Frames of a camera that goes to the right over a picture, ``step`` pixels a frame."""
    levels = np.rint(255 * pixels).astype(np.uint8)
    return [np.ascontiguousarray(levels[:, step * number : step * number + width]) for number in range(count)]


def frames_of(path: Path) -> list[NDArray[np.uint8]]:
    """The frames of a film, decoded."""
    with av.open(path) as film:
        return [frame.to_ndarray(format="rgb24") for frame in film.decode(video=0)]


def sound_of(path: Path) -> list[bytes]:
    """The packets of a film's sound."""
    with av.open(path) as film:
        return [bytes(packet) for packet in film.demux(audio=0) if packet.size]
