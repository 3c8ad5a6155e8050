"""The result of a run: a picture and its record."""

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
from artune.transfer.finish import finished
from artune.transfer.methods import method_of
from artune.transfer.run import Progress

SATURATED = 0.999
"""Share of values that are 0 or 255 above which a picture counts as failed."""


@dataclass(frozen=True, repr=False)
class Result:
    """A picture and its record."""

    picture: Picture
    record: Record

    def __repr__(self) -> str:
        """Size, strength and steps, in one line."""
        (width, height), record = self.picture.size, self.record
        usual = record.spec.method.usual_strength is not None
        chosen = record.balance is not None or usual or "strength" not in record.spec.automatic  # or it has no effect
        strength = f"strength {record.spec.strength}, " if chosen else ""
        return f"Result({width}x{height}, {strength}{record.steps} steps, {record.end})"

    def save(
        self,
        target: Path | str | Writable,
        format: str | None = None,  # noqa: A002  (Pillow's name for it)
        *,
        bits: int = 8,
        quality: int | None = None,
        replace: bool = True,
    ) -> None:
        """Write the picture with its resolved spec embedded. The suffix of the file gives the format.

        A result does not know the files of its inputs: saved to the path of the photograph, it replaces the photograph.
        ``replace=False`` refuses every file that exists.

        Args:
            target: a file, or a binary file object together with ``format``.
            format: a suffix such as ``png``.
            bits: bits per channel: 8, or 16 for PNG and TIFF.
            quality: quality of a lossy format, 1 to 100.
            replace: whether an existing file may be replaced.

        Raises:
            OutputError: unknown format, no permission, no space; or, without ``replace``, there is a file.

        Warns:
            ArtuneWarning: the picture is transparent in parts, and the format holds no transparency.
        """
        self.noted().save(target, format, bits=bits, quality=quality, replace=replace)

    def to_pil(self) -> Image.Image:
        """The picture as a Pillow image, in mode RGB, or RGBA if any pixel is transparent."""
        return self.picture.to_pil()

    def to_numpy(self, dtype: DTypeLike = np.uint8) -> NDArray[Any]:
        """The picture as an array ``[h, w, 3 or 4]`` of ``uint8``, ``uint16`` or ``float32``."""
        return self.picture.to_numpy(dtype)

    def _repr_png_(self) -> bytes:
        """PNG for a notebook."""
        return self.picture._repr_png_()

    def noted(self) -> Picture:
        """The picture with its resolved spec as a note, as ``save`` writes it."""
        note = {"artune": self.record.versions.get("artune", ""), "spec": self.record.spec.model_dump(mode="json")}
        return dataclasses.replace(self.picture, note=note)


def result_of(progress: Progress, *, cancelled: bool = False) -> Result:
    """Make the picture and the record of a run.

    The last losses of the record are those of the picture. The exception is a run that was cancelled between two tiles:
    they are then those of the last step, because measuring such a large picture takes minutes.

    Args:
        progress: the last progress of the run.
        cancelled: whether the caller cancelled the run before its end.

    Warns:
        ArtuneWarning: all values of the picture are 0 or 1.
    """
    began = time.perf_counter()
    run = progress.run
    end = End.CANCELLED if cancelled else progress.end or End.DONE
    image = method_of(run.plan).finish(progress.state.image.clamp(0, 1), run)
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
        kept={f"keep {number}": each.share for number, each in enumerate(run.inputs.keeps)},
        borders={role: margins._asdict() for role, margins in run.inputs.borders.items()},
        losses=losses,
        end=str(end),
        steps=progress.done,
        timings={"total": progress.seconds + time.perf_counter() - began, **search},
        balance=None if run.search is None else dict(run.search.summary),
        versions=versions(),
    )
    return Result(picture, record)


def _check_saturated(picture: Picture, progress: Progress) -> None:
    """Warn if nearly all values are 0 or 255, which happens if weights or rate are far too large."""
    black, white = (picture.pixels < 0.5 / 255).mean(), (picture.pixels > 1 - 0.5 / 255).mean()
    if progress.done and black + white > SATURATED and min(black, white) > 0:
        warnings.warn(
            "the picture consists of nothing but 0 and 255: the descent has left the range of colours; choose smaller "
            "weights or a smaller `rate`",
            ArtuneWarning,
            stacklevel=3,
        )
