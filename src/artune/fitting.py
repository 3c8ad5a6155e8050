"""The one training loop: steps of an optimiser, early stopping by a validation, checkpoints.

The loop knows nothing of pictures or networks: a batch is whatever ``batch(seed, step)`` returns, and the loss is a
function of it. A training that continues from a checkpoint gives the same bits as one that was not interrupted.
"""

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any, Generic, TypeVar

import torch
from torch import Tensor, nn

from artune.errors import CheckpointError
from artune.tensors import load_checkpoint, save_checkpoint

Batch = TypeVar("Batch")


class FitEnd(StrEnum):
    """Why a training ended."""

    DONE = "done"
    NO_BETTER = "no-better"
    """There was no better validation for ``FitSettings.patience`` validations."""
    DIVERGED = "diverged"
    """The loss is not finite."""


@dataclass(frozen=True)
class FitSettings:
    """How long a training lasts.

    Attributes:
        steps: largest number of steps.
        seed: seed of the batches.
        every: steps from one validation to the next; 0 for no validation.
        patience: validations in a row without a better value after which the training ends; 0 for no early stopping.
        clip: largest norm of the gradient; a longer one is shortened to it; ``None``: no limit.
    """

    steps: int
    seed: int = 0
    every: int = 0
    patience: int = 0
    clip: float | None = None


@dataclass(frozen=True)
class FitStep:
    """The state of a training after a step.

    Attributes:
        step: number of steps done.
        losses: losses of this step's batch, by name.
        validations: results of the validations so far; lower is better.
        end: why the training ended; ``None`` while it goes on.
    """

    step: int
    losses: Mapping[str, float]
    validations: tuple[float, ...]
    end: FitEnd | None


class Fitting(Generic[Batch]):
    """A training: the module, its optimiser, and how far it has come.

    The caller of ``run`` shows progress, writes checkpoints and cancels, all between two steps.

    Args:
        module: trained in place; ``train()`` is called before a step and ``eval()`` after it. Parameters that require
            no gradient now are left out of checkpoints, and must be the same when the training is resumed.
        optimiser: of the trained parameters; its state must consist of tensors, as Adam's does.
        settings: how long the training lasts.
        batch: function of (seed, step).
        loss: named losses of a batch, scalars; their sum is minimised.
        validate: a measure of the module as it is; lower is better.
        rate: factor on the optimiser's rates; a function of the share of steps that are done, in [0, 1).
        average: replaces tensors by their means over all processes that train together, each on a part of a batch: so
            each of them takes the step of the whole batch. Default: there is one process.

    Attributes:
        losses: losses of all steps so far, by name, to six digits.
    """

    def __init__(
        self,
        module: nn.Module,
        optimiser: torch.optim.Optimizer,
        settings: FitSettings,
        *,
        batch: Callable[[int, int], Batch],
        loss: Callable[[Batch], Mapping[str, Tensor]],
        validate: Callable[[], float] | None = None,
        rate: Callable[[float], float] = lambda share: 1.0,
        average: Callable[[Sequence[Tensor]], None] = lambda tensors: None,
    ) -> None:
        self.module, self.optimiser, self.settings = module, optimiser, settings
        self.batch, self.loss, self.validate, self.rate, self.average = batch, loss, validate, rate, average
        self.rates = [float(group["lr"]) for group in optimiser.param_groups]
        self._frozen = {name for name, parameter in module.named_parameters() if not parameter.requires_grad}
        self.step = 0
        self.losses: dict[str, list[float]] = {}
        self.validations: list[float] = []
        self.end: FitEnd | None = None
        self._best: dict[str, Tensor] | None = None

    @property
    def best(self) -> Mapping[str, Tensor]:
        """The trained part of the module's state at the best validation; the present one before any validation."""
        return self._state() if self._best is None else self._best

    def _state(self) -> dict[str, Tensor]:
        """The module's state without its frozen parameters, which would only fill the checkpoint."""
        return {name: tensor for name, tensor in self.module.state_dict().items() if name not in self._frozen}

    def run(self) -> Iterator[FitStep]:
        """Train, step by step, to the end or until the caller stops."""
        while self.end is None:
            losses = self._descend()
            if self.end is None:
                self._validate()
            yield FitStep(self.step, losses, tuple(self.validations), self.end)

    def _descend(self) -> dict[str, float]:
        """Do one step; end the training instead if the loss is not finite."""
        factor = self.rate(self.step / self.settings.steps)
        for group, rate in zip(self.optimiser.param_groups, self.rates, strict=True):
            group["lr"] = factor * rate
        self.module.train()
        losses = self.loss(self.batch(self.settings.seed, self.step))
        total = torch.stack(list(losses.values())).sum()
        means = torch.stack(list(losses.values())).detach()
        self.average([means])  # so that all processes see the same, and end together
        found = dict(zip(losses, means.tolist(), strict=True))
        if means.sum().isfinite():
            self.optimiser.zero_grad()
            total.backward()  # type: ignore[no-untyped-call]
            parameters = [p for group in self.optimiser.param_groups for p in group["params"]]
            self.average([p.grad for p in parameters if p.grad is not None])
            if self.settings.clip is not None:
                nn.utils.clip_grad_norm_(parameters, self.settings.clip)
            self.optimiser.step()
            self.step += 1
            for name, value in found.items():
                self.losses.setdefault(name, []).append(float(f"{value:.6g}"))
        else:
            self.end = FitEnd.DIVERGED
        self.module.eval()
        return found

    def _validate(self) -> None:
        """Validate if it is due, keep the best state, and end the training if this was the last step."""
        last = self.step == self.settings.steps
        if self.validate and self.settings.every and (last or self.step % self.settings.every == 0):
            with torch.no_grad():
                value = self.validate()
            value = value if math.isfinite(value) else math.inf
            if value < min(self.validations, default=math.inf):
                self._best = {name: tensor.clone() for name, tensor in self._state().items()}
            self.validations.append(value)
        if self.settings.patience and self.since_best() >= self.settings.patience:
            self.end = FitEnd.NO_BETTER
        if last:
            self.end = FitEnd.DONE

    def since_best(self) -> int:
        """Number of validations since the best one."""
        return len(self.validations) - 1 - self.validations.index(min(self.validations)) if self.validations else 0

    def save(self, path: Path, run: Mapping[str, Any]) -> None:
        """Write a checkpoint.

        Args:
            path: file to write.
            run: plain data that identify this training, frozen weights included; ``resume`` compares them.

        Raises:
            OutputError: the place cannot be written.
        """
        tensors = {f"module.{name}": tensor for name, tensor in self._state().items()}
        tensors |= {f"best.{name}": tensor for name, tensor in (self._best or {}).items()}
        for index, slots in self.optimiser.state_dict()["state"].items():
            tensors |= {f"optimiser.{index}.{slot}": tensor for slot, tensor in slots.items()}
        about = {
            "run": dict(run),
            "settings": asdict(self.settings),
            "step": self.step,
            "found": self.validations,
            "losses": self.losses,
            "end": self.end,
        }
        save_checkpoint(path, tensors, about)

    def resume(self, path: Path, run: Mapping[str, Any]) -> None:
        """Continue from a checkpoint of ``save``, bit-equal to a training that was not interrupted.

        Raises:
            CheckpointError: it is damaged, or belongs to another training.
        """
        tensors, about = load_checkpoint(path)
        if "settings" not in about:
            raise CheckpointError(f"{path} is no checkpoint of a training; remove it to start anew")
        now = {**run, **asdict(self.settings)}
        then = {**about["run"], **about["settings"]}
        if changed := [name for name in now if now[name] != then.get(name)]:
            name = changed[0]
            raise CheckpointError(
                f"{path} belongs to another training: its {name} is {then.get(name)}, here it is {now[name]}; give the "
                "same options, or start anew"
            )
        parts: dict[str, dict[str, Tensor]] = {"module": {}, "best": {}, "optimiser": {}}
        for key, tensor in tensors.items():
            part, _, name = key.partition(".")
            parts[part][name] = tensor
        if parts["module"].keys() != self._state().keys():
            raise CheckpointError(f"{path} belongs to another training: other parameters; start anew")
        self.module.load_state_dict(parts["module"], strict=False)
        self._best = parts["best"] or None
        self._restore(parts["optimiser"])
        self.step, self.validations, self.losses = about["step"], about["found"], about.get("losses", {})
        self.end = FitEnd(about["end"]) if about["end"] else None

    def _restore(self, slots: Mapping[str, Tensor]) -> None:
        """Restore the optimiser's state, in its parameters' memory layout: another layout rounds otherwise."""
        parameters = [p for group in self.optimiser.param_groups for p in group["params"]]
        state: dict[int, dict[str, Tensor]] = {}
        for key, tensor in slots.items():
            index, slot = key.split(".")
            like = parameters[int(index)]
            fits = tensor.shape == like.shape
            value = torch.empty_like(like, requires_grad=False).copy_(tensor) if fits else tensor
            state.setdefault(int(index), {})[slot] = value
        self.optimiser.load_state_dict({**self.optimiser.state_dict(), "state": state})


def cosine(share: float) -> float:
    """Cosine schedule without restarts, from 1 down to 0 (Loshchilov and Hutter 2017)."""
    return 0.5 * (1 + math.cos(math.pi * share))
