"""Checkpoints: the state of a run in a file. A resumed run gives the same bits as one without interruption."""

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
"""Names of the tensors that are shaped like the picture."""


@dataclass(frozen=True, eq=False)
class StrengthSearch:
    """How the strength of a run was found.

    Attributes:
        summary: plain data for the record and for checkpoints.
        seconds: duration of the search.
    """

    summary: Mapping[str, Any]
    seconds: float


class _About(BaseModel):
    """Plain data of a checkpoint, beside its tensors."""

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
    """State of a run between two steps.

    Attributes:
        key: key of the run.
        level: index of the current size among the sizes, from 0.
        state: state of the descent.
        losses: losses of all steps so far, by name.
        seconds: duration so far.
        search: how the strength was found; ``None`` if it was given.
    """

    key: str
    level: int
    state: State
    losses: Mapping[str, Sequence[float]]
    seconds: float
    search: StrengthSearch | None = None

    def save(self, path: Path) -> None:
        """Write the checkpoint to one file, atomically.

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
        """Read a checkpoint and check that it belongs to this run.

        Args:
            path: the file.
            key: key of the run.
            rungs: sizes and steps of the run.
            shape: width and height of the photograph.
            memory: names of the slots of the optimiser.
            device: device for the tensors.

        Raises:
            CheckpointError: the checkpoint is damaged, or belongs to another run.
        """
        tensors, data = load_checkpoint(path)
        about = _parsed(path, data)
        if about.key != key:
            raise other_run_error(path)
        if about.level >= len(rungs) or about.step > rungs[about.level].steps:
            raise damaged_error(path, "it has more sizes or steps than the run")
        width, height = fitted(*shape, rungs[about.level].size)
        if not {"x", "average"} <= tensors.keys() or any(
            tensors[name].shape != (1, 3, height, width) for name in IMAGES if name in tensors
        ):
            raise damaged_error(path, f"it holds no picture of {width}x{height} pixels")
        slots = {name.removeprefix("slot."): t.to(device) for name, t in tensors.items() if name.startswith("slot.")}
        if about.step and slots.keys() != set(memory):
            raise damaged_error(path, "the optimiser's state is not complete")
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
    """Read the key of the run that a checkpoint belongs to, and how the strength of this run was found.

    Returns:
        the key; and the search for the strength, ``None`` if the strength was given.

    Raises:
        CheckpointError: the file is damaged.
    """
    about = _parsed(path, read_about(path))
    return about.key, None if about.balance is None else StrengthSearch(about.balance, about.balance_seconds)


def other_run_error(path: Path) -> CheckpointError:
    """Error for a checkpoint that belongs to another run than the one to be resumed."""
    return CheckpointError(
        f"{path} belongs to another run, with other pictures, options or weights; give the same ones, or remove it to "
        "start anew"
    )


def _parsed(path: Path, data: object) -> _About:
    try:
        return _About.model_validate(data)
    except ValidationError as error:
        raise damaged_error(path, f"{error.error_count()} of its fields are wrong") from None


def damaged_error(path: Path, why: str) -> CheckpointError:
    """Error for a checkpoint that is damaged."""
    return CheckpointError(f"cannot resume from {path}: {why}; remove it to start anew")
