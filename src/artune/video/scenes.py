"""Scenes of a film: where it is cut."""

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from statistics import median

import cv2
import numpy as np

from artune.balance.shared import spread
from artune.images.picture import Floats, floats
from artune.video.frames import Frame

THUMBNAIL = 32, 18
"""Width and height of the thumbnails that are compared, pixels."""
CUT = 0.08
"""Least mean difference of the thumbnails before and after a cut; values are in [0, 1]."""
ABOVE_OTHERS = 4.0
"""Least ratio of this difference to the median of those around it: fast motion changes many frames in a row."""
AROUND = 4
"""Number of differences on either side that are around one."""
SAMPLED = 3
"""Number of frames of a scene on which its strength is found."""


@dataclass(frozen=True)
class Scene:
    """A part of a film without a cut.

    Attributes:
        first: number of its first frame, among those that are styled.
        samples: numbers of a few of its frames, evenly spaced.
    """

    first: int
    samples: tuple[int, ...]


class SceneFinder:
    """Finds the scenes of a film while its frames are read; one frame is in memory at a time.

    Attributes:
        times: of the frames so far, in seconds.
        last: when the last of them ends.
    """

    def __init__(self) -> None:
        self.times: list[Fraction] = []
        self.last = Fraction(0)
        self._apart: list[float] = []
        self._before: Floats | None = None

    def add(self, frame: Frame) -> None:
        """Look at the next frame."""
        here = thumbnail(frame)
        self.times.append(frame.time)
        self.last = frame.time + frame.duration
        self._apart.append(0.0 if self._before is None else float(np.abs(here - self._before).mean()))
        self._before = here

    def scenes(self) -> list[Scene]:
        """The scenes of the frames so far, in order."""
        firsts = [0, *cuts(self._apart)] if self.times else []
        parts = zip(firsts, [*firsts[1:], len(self.times)], strict=False)
        return [Scene(first, tuple(spread(range(first, end), SAMPLED))) for first, end in parts]


def cuts(apart: Sequence[float]) -> list[int]:
    """Numbers of the frames at which a film is cut.

    Args:
        apart: how much each frame differs from the one before, in [0, 1]; the first value does not count.
    """
    found = []
    for number in range(1, len(apart)):
        around = [*apart[max(1, number - AROUND) : number], *apart[number + 1 : number + 1 + AROUND]]
        if apart[number] > max(CUT, ABOVE_OTHERS * median(around or [0.0])):
            found.append(number)
    return found


def thumbnail(frame: Frame) -> Floats:
    """A frame, reduced to ``THUMBNAIL``."""
    pixels = frame.picture.filled()
    return floats(cv2.resize(pixels, THUMBNAIL, interpolation=cv2.INTER_AREA))
