"""Samples of any type as floats in [0, 1], by the value that is white."""

import warnings
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from artune.errors import ArtuneWarning, PictureError
from artune.images.picture import Floats, floats

OVERSHOOT = 1.1
"""Largest value up to which a float picture is clipped at white, because resampling overshoots by as much. With larger
values the whole picture is scaled. Values below black are clipped by the same share of white, and refused beyond it."""

ROUNDING = 1e-3
"""How far floats may lie outside of [0, 1] by rounding alone."""


class Samples(NamedTuple):
    """The samples of a file, not yet upright and not yet in sRGB.

    Attributes:
        colours: ``[h, w, 1 | 3 | 4]``, float32 in [0, 1]: grey, RGB or CMYK (1 is all ink).
        alpha: ``[h, w]`` in [0, 1], or ``None``.
    """

    colours: Floats
    alpha: Floats | None = None


def scaled(values: NDArray[Any], where: str, bits: int | None = None) -> Floats:
    """Samples of any type, as float32 in [0, 1].

    - Unsigned integers of up to 16 bits: all bits set is white.
    - Other integers: white is the largest value of 8, 16 or all bits, whichever is the first to hold all values,
      because programs store 8-bit pictures in 32 bits.
    - Floats: 1 is white. Where the largest value is above ``OVERSHOOT``, it becomes white, with a warning. Negative
      values are clipped within the overshoot, and refused beyond it.

    Args:
        values: of any shape.
        where: the picture's name, for messages.
        bits: that a sample has; default: those of its type.

    Raises:
        PictureError: a value is not finite or is far below black, or the type has no white.
    """
    kind = values.dtype.kind
    if kind == "f":
        return _scaled_floats(values, where)
    if kind not in "iu":
        raise PictureError(f"{where} holds {values.dtype} values; give a picture of integers or floats")
    most = (2**bits - 1) if bits and kind == "u" else int(np.iinfo(values.dtype).max)
    if kind == "i" or most > 65535:
        whites = [white for white in (255, 65535) if white < most]
        white = next((white for white in whites if white >= values.max(initial=0)), most)
        return floats(np.clip(values, 0, white) / np.float64(white))
    return floats(values / np.float32(most))


def check_range(values: NDArray[Any], where: str, lowest: float = -ROUNDING, highest: float = 1 + ROUNDING) -> None:
    """Raise unless floats are finite and in a range.

    Args:
        values: of any shape.
        where: the picture's name, for messages.
        lowest: smallest value that is allowed.
        highest: largest value that is allowed.

    Raises:
        PictureError: saying how to bring the values to [0, 1].
    """
    low, high = float(values.min()), float(values.max())
    if not (np.isfinite(low) and np.isfinite(high)):  # the minimum of values with a NaN is NaN
        raise PictureError(f"{where} has values that are not finite (NaN or infinite); give floats from 0 to 1")
    if low >= lowest and high <= highest:
        return
    if low >= -1 - ROUNDING and high <= 1 + ROUNDING:
        fix = "if they run from -1 to 1, give (x + 1) / 2"
    else:
        fix = "divide 8-bit values by 255, and undo what the preparation for a network has subtracted"
    raise PictureError(f"{where} has float values from {low:.4g} to {high:.4g}, beyond [0, 1]; {fix}")


def _scaled_floats(values: NDArray[Any], where: str) -> Floats:
    largest = float(values.max(initial=0))
    check_range(values, where, (1 - OVERSHOOT) * max(1.0, largest), np.inf)
    if largest > OVERSHOOT:
        warnings.warn(
            f"{where} has float values up to {largest:.6g}, where 1 is white: all are divided by the largest. Save it "
            "with values from 0 to 1 to choose its white yourself",
            ArtuneWarning,
            stacklevel=2,
        )
        values = values / largest
    return floats(np.clip(values, 0, 1))
