"""The one training loop: losses of batches, validation that says when to end, checkpoints that go on to the bit.

It knows no pictures and no networks: a batch is whatever ``batch(seed, step)`` gives, and the loss is a function of it.
"""

import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any, Generic, TypeVar

import torch
from torch import Tensor, nn

from artune.errors import CheckpointError
from artune.tensors import load_checkpoint, save_checkpoint

Batch = TypeVar("Batch")


class End(StrEnum):
    """Why a training ended."""

    DONE = "done"
    NO_BETTER = "no-better"
    """The validation did not become better for as long as ``Plan.patience`` says."""
    DIVERGED = "diverged"
    """The loss is not finite."""


@dataclass(frozen=True)
class Plan:
    """How long a training goes on.

    Attributes:
        steps: at most.
        seed: of the batches.
        every: steps from one validation to the next; 0: none.
        patience: validations in a row without a better value, at which it ends; 0: it does not.
    """

    steps: int
    seed: int = 0
    every: int = 0
    patience: int = 0


@dataclass(frozen=True)
class Progress:
    """What is happening, after a step.

    Attributes:
        step: steps done.
        losses: of the batch of this step, by name.
        found: values of the validations so far, lower is better.
        end: why it ended; ``None`` while it goes on.
    """

    step: int
    losses: Mapping[str, float]
    found: tuple[float, ...]
    end: End | None


class Fitting(Generic[Batch]):
    """A training: the module, the optimiser and all that is needed to go on.

    What happens between two steps (progress, checkpoints, cancelling) is up to the caller of :meth:`run`.

    Args:
        module: is trained in place; ``train()`` and ``eval()`` are called around steps and validations. Parameters that
            require no gradient by now are not written, and must be the same when it goes on.
        optimiser: of the parameters that are trained; its state must be tensors, as that of Adam is.
        plan: how long.
        batch: of (seed, step).
        loss: named losses of a batch, scalars; their sum is descended.
        validate: a value of the module as it is, lower is better.
        rate: factor on the optimiser's rates, of the share of the steps that is done, in [0, 1).
    """

    def __init__(
        self,
        module: nn.Module,
        optimiser: torch.optim.Optimizer,
        plan: Plan,
        *,
        batch: Callable[[int, int], Batch],
        loss: Callable[[Batch], Mapping[str, Tensor]],
        validate: Callable[[], float] | None = None,
        rate: Callable[[float], float] = lambda share: 1.0,
    ) -> None:
        self.module, self.optimiser, self.plan = module, optimiser, plan
        self.batch, self.loss, self.validate, self.rate = batch, loss, validate, rate
        self.rates = [float(group["lr"]) for group in optimiser.param_groups]
        self._frozen = {name for name, parameter in module.named_parameters() if not parameter.requires_grad}
        self.step = 0
        self.found: list[float] = []
        self.end: End | None = None
        self._best: dict[str, Tensor] | None = None

    @property
    def best(self) -> Mapping[str, Tensor]:
        """What training changes of the module's state, at its best validation; as it is, where there was none."""
        return self._state() if self._best is None else self._best

    def _state(self) -> dict[str, Tensor]:
        """The module's state without the parameters that need no gradient: a frozen trunk fills no checkpoint."""
        return {name: tensor for name, tensor in self.module.state_dict().items() if name not in self._frozen}

    def run(self) -> Iterator[Progress]:
        """Train to the end, or for as long as the caller goes on."""
        while self.end is None:
            losses = self._descend()
            if self.end is None:
                self._validate()
            yield Progress(self.step, losses, tuple(self.found), self.end)

    def _descend(self) -> dict[str, float]:
        """One step, unless the loss is not finite."""
        factor = self.rate(self.step / self.plan.steps)
        for group, rate in zip(self.optimiser.param_groups, self.rates, strict=True):
            group["lr"] = factor * rate
        self.module.train()
        losses = self.loss(self.batch(self.plan.seed, self.step))
        total = torch.stack(list(losses.values())).sum()
        if total.isfinite():
            self.optimiser.zero_grad()
            total.backward()  # type: ignore[no-untyped-call]
            self.optimiser.step()
            self.step += 1
        else:
            self.end = End.DIVERGED
        self.module.eval()
        return {name: value.item() for name, value in losses.items()}

    def _validate(self) -> None:
        """Validate where it is due, keep the best, and say whether this was the last step."""
        last = self.step == self.plan.steps
        if self.validate and self.plan.every and (last or self.step % self.plan.every == 0):
            with torch.no_grad():
                value = self.validate()
            value = value if math.isfinite(value) else math.inf
            if value < min(self.found, default=math.inf):
                self._best = {name: tensor.clone() for name, tensor in self._state().items()}
            self.found.append(value)
        if self.plan.patience and self.since_best() >= self.plan.patience:
            self.end = End.NO_BETTER
        if last:
            self.end = End.DONE

    def since_best(self) -> int:
        """Validations since the best one."""
        return len(self.found) - 1 - self.found.index(min(self.found)) if self.found else 0

    def save(self, path: Path, run: Mapping[str, Any]) -> None:
        """Write a checkpoint.

        Args:
            path: where.
            run: plain data that tells this training from others, what is frozen among it; :meth:`resume` compares it.

        Raises:
            OutputError: the place cannot be written.
        """
        tensors = {f"module.{name}": tensor for name, tensor in self._state().items()}
        tensors |= {f"best.{name}": tensor for name, tensor in (self._best or {}).items()}
        for index, slots in self.optimiser.state_dict()["state"].items():
            tensors |= {f"optimiser.{index}.{slot}": tensor for slot, tensor in slots.items()}
        about = {"run": dict(run), "plan": asdict(self.plan), "step": self.step, "found": self.found, "end": self.end}
        save_checkpoint(path, tensors, about)

    def resume(self, path: Path, run: Mapping[str, Any]) -> None:
        """Take up what :meth:`save` wrote; what follows is bit-equal to not having stopped.

        Raises:
            CheckpointError: damaged, or of another training.
        """
        tensors, about = load_checkpoint(path)
        if "plan" not in about:
            raise CheckpointError(f"{path} is no checkpoint of a training; remove it to start anew")
        now = {**run, **asdict(self.plan)}
        then = {**about["run"], **about["plan"]}
        if changed := [name for name in now if now[name] != then.get(name)]:
            name = changed[0]
            raise CheckpointError(
                f"{path} belongs to another training: its {name} is {then.get(name)}, here it is {now[name]}; give the "
                "same options, or start anew with --overwrite"
            )
        parts: dict[str, dict[str, Tensor]] = {"module": {}, "best": {}, "optimiser": {}}
        for key, tensor in tensors.items():
            part, _, name = key.partition(".")
            parts[part][name] = tensor
        if parts["module"].keys() != self._state().keys():
            raise CheckpointError(f"{path} belongs to another training: other parameters; start anew with --overwrite")
        self.module.load_state_dict(parts["module"], strict=False)
        self._best = parts["best"] or None
        self._restore(parts["optimiser"])
        self.step, self.found = about["step"], about["found"]
        self.end = End(about["end"]) if about["end"] else None

    def _restore(self, slots: Mapping[str, Tensor]) -> None:
        """The optimiser's state, laid out in memory as its parameters are: that is how it was computed."""
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
    """From 1 down to 0 (Loshchilov and Hutter 2017, without restarts)."""
    return 0.5 * (1 + math.cos(math.pi * share))
