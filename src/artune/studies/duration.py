"""How long a study takes: steps are timed on this machine, once for each kind of run."""

import time
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from artune.api import plan, read
from artune.spec.study import RunSpec
from artune.spec.style import Optimise
from artune.studies.run import loaded
from artune.studies.study import Cell
from artune.transfer.methods import steps
from artune.transfer.run import Run

TIMED = 3
"""Steps that are timed; the first is not counted, because it warms up."""


@dataclass(frozen=True)
class Duration:
    """An estimate.

    Attributes:
        pictures: number of pictures.
        seconds: for all of them, one after the other.
    """

    pictures: int
    seconds: float


def estimated(cells: Iterable[Cell]) -> Duration:
    """The time of some pictures, from a few steps of each kind of run on this machine.

    Raises:
        ArtuneError: as ``artune.style``.
    """
    count, total = 0, 0.0
    timed: dict[str, float] = {}
    for cell in cells:
        kind = _kind(cell.run)
        if kind not in timed:
            timed[kind] = seconds_of(cell.run)
        count, total = count + 1, total + timed[kind]
    return Duration(count, total)


def _kind(run: RunSpec) -> str:
    """What decides on the time of a run: everything but the pictures and the weights of the losses."""
    method = run.spec.method.model_copy(update={"content_weight": None, "style_weight": None, "tv": None, "rate": None})
    return run.spec.model_copy(update={"strength": "auto", "method": method, "seed": 0}).model_dump_json() + run.weights


def seconds_of(run: RunSpec) -> float:
    """The time of a run, s: timed steps at its last size, and smaller sizes by their number of pixels."""
    paintings = [run.style.file] if run.spec.method.takes_paintings else []
    task = read(run.content.file, paintings, run.spec, network=loaded(run.spec, run.weights))
    planned = plan(task)
    if not isinstance(run.spec.method, Optimise):
        return _all_steps(planned)
    rungs = planned.plan.method.rungs
    last = rungs[-1].size
    work = sum(rung.steps * (rung.size / last) ** 2 for rung in rungs)
    if work <= TIMED:
        return _all_steps(planned)
    short = run.spec.method.model_copy(
        update={"rungs": (rungs[-1].model_copy(update={"steps": TIMED}),), "steps": None, "size_steps": ()}
    )
    short_spec = run.spec.model_copy(update={"method": short})
    probe = plan(read(run.content.file, paintings, short_spec, network=loaded(run.spec, run.weights)))
    marks = [progress.seconds for progress in steps(probe) if progress.event == "step"]
    each = (marks[-1] - marks[0]) / max(1, len(marks) - 1)
    return float(each * work)


def _all_steps(planned: Run[Any, Any]) -> float:
    """The time of a run, s."""
    began = time.perf_counter()
    for _ in steps(planned):
        pass
    return time.perf_counter() - began
