"""A photograph and paintings that were read once, to be painted at many strengths."""

import math
from collections.abc import Callable
from dataclasses import replace
from typing import SupportsFloat

from artune.engine.descend import InParts
from artune.errors import InputError
from artune.transfer import instant
from artune.transfer.canvas import Canvas
from artune.transfer.inputs import Masked, Source
from artune.transfer.instant import InstantRun, InstantTask
from artune.transfer.methods import plan_run
from artune.transfer.result import Result, result_of


class Prepared:
    """A photograph and paintings that were read, to be painted by the painter; made by ``artune.prepare``.

    Calling it with a strength paints the photograph. What does not depend on the strength is computed once.

    Args:
        task: pictures and spec, whose method is ``instant``.
        read: function of a list of paintings, which reads the same photograph with these.
    """

    def __init__(self, task: InstantTask, read: Callable[..., InstantTask]) -> None:
        self.task, self._read = task, read
        self._canvases: dict[int, Canvas] = {}
        self._run(0.5)  # raises if the spec does not fit the pictures

    def _canvas(self, size: int) -> InParts[Canvas]:
        """The canvas of a size, which is made once."""
        if size not in self._canvases:
            run = self._run(0.5)
            self._canvases[size] = yield from instant.canvas_of(run, size)
        return self._canvases[size]

    def _run(self, strength: float) -> InstantRun:
        spec = self.task.spec.model_copy(update={"strength": strength})
        run: InstantRun = plan_run(replace(self.task, spec=spec))
        return run

    def __call__(self, strength: SupportsFloat) -> Result:
        """The photograph, painted at a strength in [0, 1].

        Raises:
            InputError: the strength is not in [0, 1].
        """
        try:
            value = math.nan if isinstance(strength, bool | str) else float(strength)
        except (TypeError, ValueError):
            value = math.nan
        if not 0 <= value <= 1:
            raise InputError(f"the strength is {strength!r}; give a number from 0 to 1")
        run = self._run(value)
        *_, last = instant.painted(run, self._canvas)
        return result_of(last)

    def paintings(self, *styles: Source | Masked) -> "Prepared":
        """The same photograph with other paintings.

        Raises:
            InputError: there is none, or one cannot be used.
        """
        return Prepared(self._read(styles), self._read)
