"""The end of a run: a picture and its record."""

import dataclasses
import time
import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import DTypeLike, NDArray
from PIL import Image

from artune.engine.descend import End
from artune.errors import ArtuneWarning
from artune.images.picture import Picture, Writable
from artune.record import Record, versions
from artune.transfer.finish import finished, smoothed
from artune.transfer.run import Progress

SATURATED = 0.999
"""Share of the values that are 0 or 255 above which a picture is taken for a failed one."""


@dataclass(frozen=True)
class Result:
    """A picture and its record."""

    picture: Picture
    record: Record

    def save(
        self,
        target: Path | str | Writable,
        format: str | None = None,  # noqa: A002  (Pillow's name for it)
        *,
        bits: int = 8,
        quality: int | None = None,
        replace: bool = True,
    ) -> None:
        """Write the picture with its resolved spec embedded; the format follows from the suffix.

        Args:
            target: a file, or a binary file object with a ``format``.
            format: a suffix such as ``png``.
            bits: per channel: 8, or 16 for PNG and TIFF.
            quality: of a format that loses some, 1 to 100.
            replace: whether an existing file may be replaced.

        Raises:
            OutputError: unknown format, no permission, no space.
        """
        self.noted().save(target, format, bits=bits, quality=quality, replace=replace)

    def to_pil(self) -> Image.Image:
        """The picture as one of Pillow's, in mode RGB, or RGBA where something is transparent."""
        return self.picture.to_pil()

    def to_numpy(self, dtype: DTypeLike = np.uint8) -> NDArray[Any]:
        """The picture as an array ``[h, w, 3 or 4]`` of ``uint8``, ``uint16`` or ``float32``."""
        return self.picture.to_numpy(dtype)

    def _repr_png_(self) -> bytes:
        """What a notebook shows."""
        return self.picture._repr_png_()

    def noted(self) -> Picture:
        """The picture with its resolved spec as a note, as it is written."""
        note = {"artune": self.record.versions.get("artune", ""), "spec": self.record.spec.model_dump(mode="json")}
        return dataclasses.replace(self.picture, note=note)


def result_of(progress: Progress, *, cancelled: bool = False) -> Result:
    """The picture that a run has come to, and its record.

    The record's last losses are those of this picture; only where a run was cancelled between two tiles, they are those
    of the last step: to measure so large a picture takes minutes.

    Args:
        progress: the last one.
        cancelled: by the caller, before the end.

    Warns:
        ArtuneWarning: the picture has no values but 0 and 1.
    """
    began = time.perf_counter()
    run = progress.run
    end = End.CANCELLED if cancelled else progress.end or End.DONE
    image = smoothed(progress.state.image, run.plan, run.shown)
    losses = {name: [*values] for name, values in progress.losses.items()}
    if not (cancelled and progress.event == "part"):
        for name, value in progress.measure(image).items():
            losses.setdefault(name, []).append(value)
    picture = finished(image, run.plan, run.inputs, run.shown)
    _check_saturated(picture, progress)
    search = {} if run.search is None else {"balance": run.search.seconds}
    record = Record(
        key=run.key,
        spec=run.plan.as_spec(),
        digests=run.inputs.digests,
        losses=losses,
        end=str(end),
        steps=progress.done,
        timings={"total": progress.seconds + time.perf_counter() - began, **search},
        balance=None if run.search is None else dict(run.search.summary),
        versions=versions(),
    )
    return Result(picture, record)


def _check_saturated(picture: Picture, progress: Progress) -> None:
    """Warn of a picture of nothing but 0 and 255: its weights or its rate are far too large."""
    black, white = (picture.pixels < 0.5 / 255).mean(), (picture.pixels > 1 - 0.5 / 255).mean()
    if progress.done and black + white > SATURATED and min(black, white) > 0:
        warnings.warn(
            "the picture is of nothing but 0 and 255: the descent has left the range of colours; choose smaller "
            "weights or a smaller `rate`",
            ArtuneWarning,
            stacklevel=3,
        )
