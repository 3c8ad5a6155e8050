"""Samples of any type as floats in [0, 1], by the value that is white."""

import warnings
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from artune.errors import ArtuneWarning, PictureError
from artune.images.picture import Floats, floats

OVERSHOOT = 1.1
"""Largest value up to which a float picture is clipped at white, because resampling overshoots by as much. With larger
values the whole picture is scaled."""


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
    - Floats: 1 is white. Where the largest value is above ``OVERSHOOT``, it becomes white, with a warning.

    Args:
        values: of any shape.
        where: the picture's name, for messages.
        bits: that a sample has; default: those of its type.

    Raises:
        PictureError: no value is a number, or the type has no white.
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


def _scaled_floats(values: NDArray[Any], where: str) -> Floats:
    finite = np.isfinite(values)
    if not finite.any():
        raise PictureError(f"{where} is damaged: none of its values is finite")
    largest = float(values.max(where=finite, initial=0))
    if largest > OVERSHOOT:
        warnings.warn(
            f"{where} has float values up to {largest:.6g}, where 1 is white: all are divided by the largest. Save it "
            "with values from 0 to 1 to choose its white yourself",
            ArtuneWarning,
            stacklevel=2,
        )
        values = values / largest
    return floats(np.clip(np.nan_to_num(values), 0, 1))
