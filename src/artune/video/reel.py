"""A film that is made of pictures one after the other, such as the steps of an optimisation."""

import shutil
import tempfile
from fractions import Fraction
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from artune.extras import require
from artune.files import expanded
from artune.images.picture import Picture
from artune.video.formats import format_of
from artune.video.frames import FilmInfo
from artune.video.write import write_film, write_segment

AT_ONCE = 16
"""Number of frames that are in memory at once."""


class Reel:
    """Collects frames, and writes them as a film when the block ends well.

    Args:
        out: the film, an animation or a folder.
        size: width and height of the film, pixels; frames of other sizes are resized.
        rate: frames a second.
        hold: how long the last frame stays, in seconds.
        alpha: whether the frames are transparent in parts.

    Raises:
        OutputError: the suffix is unknown.
        MissingExtraError: the extra ``video`` is not installed.
    """

    def __init__(
        self, out: Path | str, size: tuple[int, int], rate: int = 25, hold: float = 0.0, *, alpha: bool = False
    ) -> None:
        require("video", "writing a film")
        self.out, self.size, self.rate = expanded(out), size, rate
        self.hold = Fraction(round(hold * rate), rate)
        info = FilmInfo(size=size, time_base=Fraction(1, rate), rate=Fraction(rate), alpha=alpha)
        self.format = format_of(out, info, None, size)
        self._frames: list[NDArray[Any]] = []
        self._segments: list[Path] = []
        self._count = 0

    def __enter__(self) -> Self:
        self._folder = Path(tempfile.mkdtemp(prefix="artune-"))
        return self

    def add(self, picture: Picture) -> None:
        """Add a frame.

        Raises:
            OutputError: no space.
        """
        self._frames.append(picture.resized(*self.size).to_numpy(np.uint8))
        self._count += 1
        if len(self._frames) == AT_ONCE:
            self._write()

    def _write(self) -> None:
        self._segments.append(self._folder / f"{len(self._segments):05d}.mkv")
        write_segment(self._segments[-1], self._frames, self.format)
        self._frames = []

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            if error is None and self._count:
                if self._frames:
                    self._write()
                times = [Fraction(number, self.rate) for number in range(self._count)]
                write_film(self.out, self._segments, times, Fraction(self._count, self.rate) + self.hold, self.format)
        finally:
            shutil.rmtree(self._folder, ignore_errors=True)
