"""Checkpoints: the state of a run in a file. A resumed run gives the same bits as one without interruption."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Self

import torch
from pydantic import BaseModel, ConfigDict, NonNegativeFloat, NonNegativeInt, ValidationError, field_validator

from artune.engine.descend import Optimiser, State, fits
from artune.errors import CheckpointError
from artune.images.resize import fitted
from artune.spec.style import Rung, bytes_of
from artune.tensors import load_checkpoint, save_checkpoint


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
    unchanged: NonNegativeInt
    losses: dict[str, list[float]]
    seconds: NonNegativeFloat
    memory: str
    balance: dict[str, Any] | None = None
    balance_seconds: NonNegativeFloat = 0.0

    @field_validator("memory")
    @classmethod
    def _in_bytes(cls, value: str) -> str:
        if value != "all":
            bytes_of(value)
        return value


@dataclass(frozen=True, eq=False)
class Checkpoint:
    """State of a run between two steps, and the file that holds it.

    Attributes:
        path: the file.
        key: key of the run.
        level: index of the current size among the sizes, from 0.
        state: state of the descent.
        losses: losses of all steps so far, by name.
        seconds: duration so far.
        memory: ``memory`` of the plan. It may have been chosen by the memory that was free when the run began.
        search: how the strength was found; ``None`` if it was given.
    """

    path: Path
    key: str
    level: int
    state: State
    losses: Mapping[str, Sequence[float]]
    seconds: float
    memory: str
    search: StrengthSearch | None = None

    def save(self) -> None:
        """Write the file, atomically.

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
            unchanged=state.unchanged,
            losses={name: list(values) for name, values in self.losses.items()},
            seconds=self.seconds,
            memory=self.memory,
            balance=dict(self.search.summary) if self.search else None,
            balance_seconds=self.search.seconds if self.search else 0.0,
        )
        save_checkpoint(self.path, tensors, about.model_dump())

    @classmethod
    def load(cls, path: Path | str) -> Self:
        """Read a file. Whether it belongs to a run is checked when the run is planned and when it begins.

        Raises:
            CheckpointError: there is no such file, or it is damaged.
        """
        path = Path(path)
        tensors, data = load_checkpoint(path)
        try:
            about = _About.model_validate(data)
        except ValidationError as error:
            raise _damaged(path, f"{error.error_count()} of its fields are wrong") from None
        if not {"x", "average"} <= tensors.keys():
            raise _damaged(path, "it holds no picture")
        if not all(tensor.isfinite().all() for tensor in tensors.values()):
            raise _damaged(path, "it holds values that are not finite")
        slots = {name.removeprefix("slot."): slot for name, slot in tensors.items() if name.startswith("slot.")}
        state = State(
            tensors["x"], tensors["average"], about.mass, about.step, slots, about.unchanged, tensors.get("total")
        )
        search = None if about.balance is None else StrengthSearch(about.balance, about.balance_seconds)
        return cls(path, about.key, about.level, state, about.losses, about.seconds, about.memory, search)

    def check_key(self, key: str) -> None:
        """Raise if the checkpoint does not belong to the run with this key.

        Raises:
            CheckpointError: it belongs to another run.
        """
        if self.key != key:
            raise self.other_run()

    def check_state(self, rungs: Sequence[Rung], shape: tuple[int, int], optimiser: Optimiser) -> None:
        """Raise if the state does not fit a run.

        Args:
            rungs: sizes and steps of the run.
            shape: width and height of the photograph.
            optimiser: optimiser of the run.

        Raises:
            CheckpointError: it does not.
        """
        state = self.state
        if self.level >= len(rungs) or state.step > rungs[self.level].steps:
            raise self.damaged("it has more sizes or steps than the run")
        width, height = fitted(*shape, rungs[self.level].size)
        if not state.x.shape == state.average.shape == (1, 3, height, width):
            raise self.damaged(f"it holds no picture of {width}x{height} pixels")
        done = self.level == len(rungs) - 1 and state.step == rungs[-1].steps  # then nothing needs the slots
        if (state.slots or (state.step and not done)) and not fits(state.slots, optimiser, state.x):
            raise self.damaged("the optimiser's state is not complete")

    def state_on(self, device: torch.device) -> State:
        """A copy of the state on a device. A run may overwrite it, and the checkpoint can be used again."""
        state = self.state
        return replace(
            state,
            x=state.x.to(device, copy=True),
            average=state.average.to(device, copy=True),
            # counts are in double precision, on the CPU: not every device has it
            slots={k: v.to("cpu" if v.dtype == torch.float64 else device, copy=True) for k, v in state.slots.items()},
            total=None if state.total is None else state.total.to(device, copy=True),
        )

    def other_run(self) -> CheckpointError:
        """Error for a checkpoint that belongs to another run than the one to be resumed."""
        return CheckpointError(
            f"{self.path} belongs to another run, with other pictures, options or weights; give the same ones, or "
            "remove it to start anew"
        )

    def damaged(self, why: str) -> CheckpointError:
        """Error for a checkpoint that is damaged."""
        return _damaged(self.path, why)


def _damaged(path: Path, why: str) -> CheckpointError:
    return CheckpointError(f"cannot resume from {path}: {why}; remove it to start anew")
