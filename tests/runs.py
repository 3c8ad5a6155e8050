"""Runs that are planned, and not run yet."""

from typing import Any

from artune import api
from artune.transfer.optimise import budget_of
from artune.transfer.run import Run


def planned(content, styles, spec, *, checkpoint=None, on_step=None, kept=0.8, **given: Any) -> Run[Any, Any]:
    """The run that :func:`artune.style` would run."""
    task = api.read(content, styles, spec, **given)
    tuning = api.find_strength(task, checkpoint=checkpoint, on_step=on_step, kept=kept)
    return api.plan(task, tuning, checkpoint=checkpoint)


def budget(run):
    """What a run needs of the memory."""
    return budget_of(run.plan, run)
