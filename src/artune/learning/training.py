"""The training of a style: from photographs and paintings to a file that paints in the style."""

from collections.abc import Iterator
from dataclasses import dataclass
from math import ceil
from pathlib import Path
from typing import Protocol, runtime_checkable

import torch
from torch import Tensor, nn

from artune.backbones.base import Image
from artune.fitting import FitSettings, FitStep, Fitting, cosine
from artune.images.picture import Picture, from_tensor
from artune.images.resize import fitted
from artune.learning.photographs import PhotographBatch, Squares, TrainingPhotographs
from artune.learning.processes import ALONE, Processes
from artune.networks.johnson import Johnson
from artune.networks.loaded import encoder_digest
from artune.networks.painter import Painter
from artune.networks.trained import LONGEST_PAINTING, StyleInfo, write_style
from artune.record import versions
from artune.spec.train_style import StyleTrainSpec
from artune.transfer.inputs import Inputs
from artune.transfer.sizes import painting_size

PREVIEW_SIZE = 512
"""Longer side of a preview, pixels."""
SHORT = 10
"""Least number of steps over the steps in which the rate rises."""
NOT_STATED = "not stated"
"""Licence of paintings if none was given."""


@runtime_checkable
class Learner(Protocol):
    """A network that learns a style, and its losses.

    Attributes:
        spec: what is trained, with the choices filled in that depend on the loss network.
        drawn: number of photographs that are drawn for a step.
        clip: largest norm of the gradient; ``None``: no limit.
        warm_up: steps over which the rate rises.
    """

    spec: StyleTrainSpec
    drawn: int
    clip: float | None
    warm_up: int

    @property
    def module(self) -> Johnson | Painter:
        """The network."""

    def loss(self, batch: PhotographBatch) -> dict[str, Tensor]:
        """Losses by kind, means over a batch; their sum is minimised."""

    def validated(self, images: Squares) -> float:
        """The sum of the losses of photographs."""

    def baseline(self, images: Squares) -> float:
        """What a style must be better than: the sum of the losses of photographs as they are, for a network that is
        trained from nothing; painted by the painter as it is installed, if it is asked before the first step.
        """

    def painted(self, image: Image) -> Image:
        """A photograph ``[1, 3, h, w]`` in the style as it has been learned so far."""


@dataclass(frozen=True, eq=False)
class StyleSources:
    """What a style is learned from.

    Attributes:
        inputs: the paintings, and the photograph of the previews.
        names: names of the paintings' files.
        photographs: those that are trained on.
        network: digest of the loss network, or of the painter that is fine-tuned.
        licences: terms of what the style is made from, by what it is.
    """

    inputs: Inputs
    names: tuple[str, ...]
    photographs: TrainingPhotographs
    network: str
    licences: dict[str, str]

    def paintings(self, size: int) -> list[Picture]:
        """The paintings at a longer side of at most ``size`` pixels."""
        pictures = [painting.picture for painting in self.inputs.paintings]
        return [picture.resized(*painting_size(picture, size, 1.0)) for picture in pictures]


class StyleTraining:
    """The training of a style.

    Args:
        learner: the network and its losses.
        sources: what it learns from.
        processes: those that train together.

    Attributes:
        baseline: validation that a style must be better than.

    Raises:
        SpecError: a batch cannot be divided among the processes.
        InputError: no photograph can be read.
    """

    def __init__(self, learner: Learner, sources: StyleSources, processes: Processes = ALONE) -> None:
        self.learner, self.sources, self.processes = learner, sources, processes
        self.spec = spec = learner.spec
        processes.check(spec.batch)
        self.photographs = sources.photographs
        steps = spec.steps or max(1, round(spec.passes * self.photographs.count / learner.drawn))
        self.held = self.photographs.validation()
        self.baseline = learner.baseline(self.held)
        trained = [parameter for parameter in learner.module.parameters() if parameter.requires_grad]
        self.fitting = Fitting(
            learner.module,
            torch.optim.Adam(trained, spec.rate),
            FitSettings(steps, spec.seed, spec.every, clip=learner.clip),
            batch=self.batch,
            loss=learner.loss,
            validate=lambda: learner.validated(self.held),
            rate=lambda share: rate_at(share, steps, spec, min(learner.warm_up, steps // SHORT)),
            average=processes.average,
        )
        self.run_of = {
            **spec.model_dump(mode="json", exclude={"steps"}),
            **sources.inputs.digests,
            "photographs": self.photographs.digest,
            "weights": sources.network,
            "number of processes": processes.count,
        }

    @property
    def steps(self) -> int:
        """Number of steps."""
        return self.fitting.settings.steps

    @property
    def epoch(self) -> int:
        """Number of steps in which all photographs are seen once."""
        return ceil(self.photographs.count / self.learner.drawn)

    def batch(self, seed: int, step: int) -> PhotographBatch:
        """This process's squares of a step."""
        return self.photographs.batch(step, self.learner.drawn, self.processes.rank, self.processes.count)

    def run(self) -> Iterator[FitStep]:
        """Train to the end, step by step; the caller shows progress, writes checkpoints, or stops."""
        return self.fitting.run()

    def save(self, path: Path) -> None:
        """Write a checkpoint; the first process alone does."""
        if self.processes.rank == 0:
            self.fitting.save(path, self.run_of)

    def resume(self, path: Path) -> None:
        """Continue from a checkpoint of the same training.

        Raises:
            CheckpointError: it is damaged, or belongs to another training.
        """
        self.fitting.resume(path, self.run_of)

    def preview(self) -> Picture:
        """The photograph of the previews in the style as it has been learned so far."""
        photograph = self.sources.inputs.photograph
        size = fitted(*photograph.size, min(PREVIEW_SIZE, max(photograph.size)))
        with torch.no_grad():
            return from_tensor(self.learner.painted(photograph.resized(*size).tensor()).cpu())

    def keep_best(self) -> None:
        """Set the weights to those of the best validation."""
        module: nn.Module = self.learner.module
        module.load_state_dict(self.fitting.best, strict=False)
        module.eval()

    def info(self) -> StyleInfo:
        """What the file says of the style."""
        found, module = self.fitting.validations, self.learner.module
        return StyleInfo(
            shape=module.config.plain(),
            spec=self.spec,
            steps=self.fitting.step,
            validation=min(found) if found else None,
            paintings=self.sources.names,
            photographs=self.photographs.readable,
            licences=self.sources.licences,
            digests={
                **self.sources.inputs.digests,
                "photographs": self.photographs.digest,
                "weights": self.sources.network,
            },
            encoder=encoder_digest(module.encoder) if isinstance(module, Painter) else "",
            versions=versions(),
        )

    def write(self, path: Path, *, replace: bool) -> None:
        """Write the style as it was at its best validation.

        Raises:
            OutputError: no permission, no space; or, without ``replace``, there is a file.
        """
        self.keep_best()
        paintings = self.sources.paintings(LONGEST_PAINTING) if isinstance(self.learner.module, Painter) else []
        write_style(path, self.info(), self.learner.module, paintings, self.preview(), replace=replace)


def rate_at(share: float, steps: int, spec: StyleTrainSpec, warm_up: int) -> float:
    """Factor of the rate.

    Args:
        share: of the steps that are done, in [0, 1).
        steps: number of all steps.
        spec: its schedule counts.
        warm_up: steps over which the rate rises.
    """
    rising = min(1.0, (share * steps + 1) / warm_up) if warm_up else 1.0
    return rising * (cosine(share) if spec.schedule == "cosine" else 1.0)
