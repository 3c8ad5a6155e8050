"""Optical flow between two frames of a film: where each pixel was, and whether it could be seen there."""

from dataclasses import dataclass
from typing import cast

import cv2
import numpy as np
from jaxtyping import Float32, UInt8
from numpy.typing import NDArray

Flow = Float32[np.ndarray, "h w 2"]
"""Motion of each pixel to the right and down, in pixels."""
Frame = Float32[np.ndarray, "h w c"]
"""Pixels of a frame."""
Weight = Float32[np.ndarray, "h w"]
"""A value in [0, 1] for each pixel."""

APART = 0.01, 0.5
"""Flow forward and back may miss its beginning by ``APART[0]`` of both squared lengths plus ``APART[1]`` square
pixels; what misses it by more is hidden in the other frame (Sundaram, Brox and Keutzer 2010)."""
BOUNDARY = 0.01, 0.002
"""The squared gradient of the flow may be ``BOUNDARY[0]`` of its squared length plus ``BOUNDARY[1]``; where it is
larger, motions meet, and the flow is not exact (likewise)."""
CHANGED = 0.15, 0.02
"""Difference between a pixel and where it came from at which it is taken for something else: ``CHANGED[0]`` of its
light plus ``CHANGED[1]``, all of them means over the channels, which are in [0, 1], and 3x3 pixels."""
NEAR = 3
"""Side of the square around a pixel that must be valid as a whole, pixels: at its border, and in fragments, what is
valid shows something of what has moved away."""
SOFT = 1.5
"""Standard deviation of the blur of what is valid, pixels: borders of validity must not be seen."""
SMALLEST = 12
"""Least side of frames in which motion is found, pixels."""


@dataclass(frozen=True)
class Origin:
    """Where the pixels of a frame come from in an earlier one.

    Attributes:
        flow: from the frame to the earlier one.
        valid: how far each pixel can be found there, in [0, 1]: 0 where it, or one beside it, was hidden, has come in
            over the border, lies where motions meet, or looks different.
    """

    flow: Flow
    valid: Weight


class FlowEstimator:
    """Estimates optical flow by dense inverse search (Kroeger et al. 2016), OpenCV's, preset medium."""

    def __init__(self) -> None:
        self._search = cv2.DISOpticalFlow.create(cv2.DISOPTICAL_FLOW_PRESET_MEDIUM)

    def flow(self, frame: UInt8[np.ndarray, "h w"], other: UInt8[np.ndarray, "h w"]) -> Flow:
        """The flow from one grey frame to another; in frames smaller than a patch of the search, nothing moves."""
        if min(frame.shape) < SMALLEST:
            return np.zeros((*frame.shape, 2), np.float32)
        return cast(Flow, self._search.calc(frame, other, None))  # type: ignore[call-overload]  # a flow would be a first guess

    def origin(self, frame: Frame, earlier: Frame) -> Origin:
        """Where the pixels of a frame come from in an earlier one; both in [0, 1]."""
        now, then = grey(frame), grey(earlier)
        back, forth = self.flow(now, then), self.flow(then, now)
        found = unhidden(back, forth) * unchanged(frame, warped(earlier, back))
        valid = cv2.erode(found, np.ones((NEAR, NEAR)))
        return Origin(back, cv2.GaussianBlur(valid, (0, 0), SOFT) * valid)


def grey(frame: Frame) -> UInt8[np.ndarray, "h w"]:
    """A frame in [0, 1] as grey levels up to 255."""
    levels = np.rint(255 * np.clip(frame[..., :3], 0, 1)).astype(np.uint8)
    return cast(NDArray[np.uint8], cv2.cvtColor(levels, cv2.COLOR_RGB2GRAY))


def warped(frame: Frame, flow: Flow) -> Frame:
    """The frame whose pixels are those of ``frame`` where the flow leads to, by bicubic interpolation."""
    height, width = flow.shape[:2]
    x, y = np.meshgrid(np.arange(width, dtype=np.float32), np.arange(height, dtype=np.float32))
    out = cv2.remap(frame, x + flow[..., 0], y + flow[..., 1], cv2.INTER_CUBIC, borderMode=cv2.BORDER_REPLICATE)
    return cast(NDArray[np.float32], out if out.ndim == 3 else out[..., None])


def unhidden(back: Flow, forth: Flow) -> Weight:
    """1 where a pixel can be seen in the other frame as well, else 0.

    Args:
        back: from the frame to the other one.
        forth: from the other one to the frame.
    """
    returning = warped(forth, back)
    lengths = (back**2).sum(2) + (returning**2).sum(2)
    found = ((back + returning) ** 2).sum(2) <= APART[0] * lengths + APART[1]
    gradient = sum((np.gradient(back[..., part], axis=axis) ** 2) for part in (0, 1) for axis in (0, 1))
    smooth = gradient <= BOUNDARY[0] * (back**2).sum(2) + BOUNDARY[1]
    height, width = back.shape[:2]
    x = np.arange(width, dtype=np.float32) + back[..., 0]
    y = np.arange(height, dtype=np.float32)[:, None] + back[..., 1]
    inside = (x >= 0) & (x <= width - 1) & (y >= 0) & (y <= height - 1)
    return cast(NDArray[np.float32], (found & smooth & inside).astype(np.float32))


def unchanged(frame: Frame, origin: Frame) -> Weight:
    """1 where a pixel looks like the one that it comes from, else 0; both frames in [0, 1]."""
    apart, light = (cv2.blur(each.mean(2), (3, 3)) for each in (np.abs(frame - origin), frame))
    return cast(NDArray[np.float32], (apart <= CHANGED[0] * light + CHANGED[1]).astype(np.float32))
