"""The training of Johnson's network: what it makes of photographs is measured by artune's objective."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager

import torch
from torch import Tensor

from artune.backbones.base import Backbone, Image
from artune.learning.objective import BatchObjective, resolved
from artune.learning.photographs import PhotographBatch
from artune.networks.johnson import Johnson, JohnsonConfig
from artune.spec.train_style import StyleTrainSpec

WARM_UP = 40
"""Steps over which the rate rises. Without it, the first steps drive parts of pictures into black or white, where the
tanh is flat: of 96-pixel pictures after 120 steps, 3.2 % of the values instead of 0.2 %, and the validation was 1.00
instead of 0.97."""


class JohnsonLearner:
    """Johnson's network and its losses.

    Args:
        spec: what is trained, and how.
        backbone: the loss network.
        paintings: ``[1, 3, h, w]`` each.
        device: where it is trained.
        dtype: of the activations of both networks.

    Attributes:
        drawn, clip, warm_up: see ``artune.learning.training.Learner``. The rate of published recipes, which is
            constant, does not rise.
    """

    clip: float | None = None

    def __init__(
        self,
        spec: StyleTrainSpec,
        backbone: Backbone,
        paintings: Sequence[Image],
        device: torch.device,
        dtype: torch.dtype,
    ) -> None:
        self.spec, self.dtype, self.device = resolved(spec, backbone), dtype, device
        self.drawn, self.warm_up = spec.batch, WARM_UP if spec.schedule == "cosine" else 0
        self.objective = BatchObjective(backbone, paintings, self.spec)
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(spec.seed)
            self.module = Johnson(JohnsonConfig.of(spec.width))
        self.module.to(device)

    def loss(self, batch: PhotographBatch) -> dict[str, Tensor]:
        """Losses by kind, means over a batch; their sum is minimised."""
        images = batch.images.to(self.device)
        with self._precision():
            made = self.module.unclamped(images)
        losses = self.objective.losses(made.float(), images, batch.step)
        return by_kind(losses)

    @torch.no_grad()
    def validated(self, images: Image) -> float:
        """The sum of the losses of photographs, measured on the pictures as they would be delivered."""
        images = images.to(self.device)
        with self._precision():
            made = self.module(images)
        return self._sum(made.float(), images)

    @torch.no_grad()
    def baseline(self, images: Image) -> float:
        """The sum of the losses of photographs as they are."""
        images = images.to(self.device)
        return self._sum(images, images)

    def _sum(self, made: Image, photographs: Image) -> float:
        return float(torch.stack([*self.objective.losses(made, photographs, 0).values()]).sum())

    @torch.no_grad()
    def painted(self, image: Image) -> Image:
        """A photograph ``[1, 3, h, w]`` in the style as it has been learned so far."""
        painted: Image = self.module(image.to(self.device))
        return painted

    @contextmanager
    def _precision(self) -> Iterator[None]:
        with torch.autocast(self.device.type, self.dtype, enabled=self.dtype != torch.float32):
            yield


def by_kind(losses: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The sums of losses of one kind, which is the first word of their names: content, style, tv."""
    kinds = dict.fromkeys("style" if "style" in name else name.split()[0] for name in losses)
    return {
        kind: torch.stack([value for name, value in losses.items() if kind in name.split()]).sum() for kind in kinds
    }
