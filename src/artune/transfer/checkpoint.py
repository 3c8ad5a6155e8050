"""Where a run was left: all that is needed to go on, to the bit."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from pydantic import BaseModel, ConfigDict, NonNegativeFloat, NonNegativeInt, ValidationError

from artune.engine.descend import State
from artune.errors import CheckpointError
from artune.spec.style import Rung
from artune.tensors import load_checkpoint, read_about, save_checkpoint
from artune.transfer.sizes import fitted

IMAGES = ("x", "average", "slot.first", "slot.second", "slot.x", "slot.gradient")
"""Tensors shaped like the picture."""


@dataclass(frozen=True, eq=False)
class StrengthSearch:
    """How a strength was found, before the run.

    Attributes:
        summary: plain data, for the record and for checkpoints.
        seconds: that the search took.
    """

    summary: Mapping[str, Any]
    seconds: float


class _About(BaseModel):
    """What a checkpoint says beside its tensors."""

    model_config = ConfigDict(extra="forbid", allow_inf_nan=False)

    key: str
    level: NonNegativeInt
    step: NonNegativeInt
    mass: NonNegativeFloat
    still: NonNegativeInt
    losses: dict[str, list[float]]
    seconds: NonNegativeFloat
    balance: dict[str, Any] | None = None
    balance_seconds: NonNegativeFloat = 0.0


@dataclass(frozen=True)
class Checkpoint:
    """A run between two steps.

    Attributes:
        key: of the run.
        level: place of the size at work among the sizes, from 0.
        state: of the descent.
        losses: of all steps so far, by name.
        seconds: spent so far.
        search: how the strength was found, where it was.
    """

    key: str
    level: int
    state: State
    losses: Mapping[str, Sequence[float]]
    seconds: float
    search: StrengthSearch | None = None

    def save(self, path: Path) -> None:
        """Write it to one file, atomically.

        Raises:
            OutputError: no permission, no space.
        """
        state = self.state
        tensors = {"x": state.x, "average": state.average, **{f"slot.{k}": v for k, v in state.slots.items()}}
        if state.total is not None:
            tensors["total"] = state.total
        about = _About(
            key=self.key,
            level=self.level,
            step=state.step,
            mass=state.mass,
            still=state.unchanged,
            losses={name: list(values) for name, values in self.losses.items()},
            seconds=self.seconds,
            balance=dict(self.search.summary) if self.search else None,
            balance_seconds=self.search.seconds if self.search else 0.0,
        )
        save_checkpoint(path, tensors, about.model_dump())

    @classmethod
    def load(
        cls,
        path: Path,
        key: str,
        rungs: Sequence[Rung],
        shape: tuple[int, int],
        memory: Collection[str],
        device: torch.device,
    ) -> "Checkpoint":
        """What ``save`` wrote, if it is of this run and whole.

        Args:
            path: the file.
            key: of the run.
            rungs: its sizes and steps.
            shape: width and height of the photograph.
            memory: names of the slots that its method of descent has.
            device: where to put the tensors.

        Raises:
            CheckpointError: damaged, or of another run.
        """
        tensors, data = load_checkpoint(path)
        about = _parsed(path, data)
        if about.key != key:
            raise other_run_error(path)
        if about.level >= len(rungs) or about.step > rungs[about.level].steps:
            raise damaged_error(path, "it is further than the run goes")
        width, height = fitted(*shape, rungs[about.level].size)
        if not {"x", "average"} <= tensors.keys() or any(
            tensors[name].shape != (1, 3, height, width) for name in IMAGES if name in tensors
        ):
            raise damaged_error(path, f"it holds no picture of {width}x{height} pixels")
        slots = {name.removeprefix("slot."): t.to(device) for name, t in tensors.items() if name.startswith("slot.")}
        if about.step and slots.keys() != set(memory):
            raise damaged_error(path, "the optimiser's memory is not whole")
        if not all(tensor.isfinite().all() for tensor in tensors.values()):
            raise damaged_error(path, "it holds values that are not finite")
        if "count" in slots:
            slots["count"] = slots["count"].cpu()
        state = State(
            tensors["x"].to(device),
            tensors["average"].to(device),
            about.mass,
            about.step,
            slots,
            about.still,
            tensors["total"].to(device) if "total" in tensors else None,
        )
        return cls(key, about.level, state, about.losses, about.seconds)


def read_origin(path: Path) -> tuple[str, StrengthSearch | None]:
    """Key of the run that left a checkpoint, and how its strength was found, where it was.

    Raises:
        CheckpointError: the file is damaged.
    """
    about = _parsed(path, read_about(path))
    return about.key, None if about.balance is None else StrengthSearch(about.balance, about.balance_seconds)


def other_run_error(path: Path) -> CheckpointError:
    """The error of a checkpoint that is not of the run that is asked for."""
    return CheckpointError(
        f"{path} belongs to another run: its pictures, options or weights are others; give the same ones, or remove it "
        "to start anew"
    )


def _parsed(path: Path, data: object) -> _About:
    try:
        return _About.model_validate(data)
    except ValidationError as error:
        raise damaged_error(path, f"{error.error_count()} of its fields are wrong") from None


def damaged_error(path: Path, why: str) -> CheckpointError:
    """The error of a checkpoint that cannot be gone on from."""
    return CheckpointError(f"cannot resume from {path}: {why}; remove it to start anew")
