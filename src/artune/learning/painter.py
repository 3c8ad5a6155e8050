"""Fine-tuning of the painter on one style, or a few: the lessons that it was trained by, with these paintings alone."""

import math

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from artune.backbones.base import Image
from artune.errors import SpecError
from artune.images.picture import from_tensor
from artune.learning.pairs import CLIP, SMALLEST, WARM_UP, PairBatch, draw_course, losses
from artune.learning.photographs import PhotographBatch
from artune.networks.loaded import PainterNetwork
from artune.networks.painter import LOG_ODDS, STRIDE
from artune.spec.style import Instant, StyleSpec
from artune.spec.train_style import StyleTrainSpec
from artune.transfer.inputs import Inputs
from artune.transfer.methods import plan_run, steps
from artune.transfer.task import Task

SMALL = 4
"""Photographs at half the size that a step takes instead of one at the whole size: as many pixels."""
VALIDATED_STEPS = (2, 1)
"""Steps of the validation at both of its sizes, as of a picture of normal quality."""


class PainterLearner:
    """The painter, and its losses on pairs with the paintings of a style.

    Half of the steps see photographs of the whole size, half of them ``SMALL`` times as many of half the size. The
    painting is seen at a size between that of the photographs and the largest.

    Args:
        spec: how it is trained.
        network: the painter as it is installed.
        inputs: the paintings, and the photograph of the previews.

    Attributes:
        drawn, clip, warm_up: see ``artune.learning.training.Learner``.

    Raises:
        SpecError: the size is too small.
    """

    clip: float | None = CLIP

    def __init__(self, spec: StyleTrainSpec, network: PainterNetwork, inputs: Inputs) -> None:
        if spec.precision == "bf16":
            raise SpecError("the painter is trained in fp32 alone; leave out `precision`, or give fp32")
        if self._side(spec.size) < 2 * SMALLEST:
            raise SpecError(f"`size` {spec.size} is too small for the painter; give at least {2 * SMALLEST}")
        if spec.style_size < spec.size:
            raise SpecError(f"`style_size` {spec.style_size} is below `size` {spec.size}; give at least as much")
        self.spec, self.network, self.inputs = spec, network, inputs
        self.module = network.painter
        for part in (self.module.whole, self.module.revision):
            part.requires_grad_(True)
        self.drawn, self.warm_up = SMALL * spec.batch, WARM_UP
        self.side = self._side(spec.size)
        self.paintings = [painting.picture.tensor().to(network.device) for painting in inputs.paintings]

    @staticmethod
    def _side(size: int) -> int:
        """The side of the squares: half of it is a multiple of the painter's stride, too."""
        return size // (2 * STRIDE) * (2 * STRIDE)

    def loss(self, batch: PhotographBatch) -> dict[str, Tensor]:
        """The losses of a batch by name; their sum is minimised."""
        rng = np.random.default_rng((self.spec.seed, 3, batch.step))
        small = rng.random() < 0.5
        odds = rng.uniform(*LOG_ODDS, self.drawn).astype(np.float32)
        kept = [at for at, place in enumerate(batch.places) if small or place < self.spec.batch]
        side = self.side // 2 if small else self.side
        longer = round(self.spec.size * (self.spec.style_size / self.spec.size) ** rng.random())
        painting = self.paintings[int(rng.integers(len(self.paintings)))]
        pairs = PairBatch(
            self._resized(batch.images[kept], side),
            painting_at(painting, longer // 2 if small else longer),
            torch.from_numpy(odds[[batch.places[at] for at in kept]]).to(self.network.device),
            *draw_course(rng, side),
        )
        return losses(self.module, pairs)

    @torch.no_grad()
    def validated(self, images: Image) -> float:
        """The sum of the losses of photographs, each at its own strength, on each of the paintings."""
        odds = torch.linspace(*LOG_ODDS, len(images) + 2)[1:-1].to(self.network.device)
        offsets = ((0, 0),) * (2 + sum(VALIDATED_STEPS))
        photographs, found = self._resized(images, self.side), []
        for painting in self.paintings:
            at = painting_at(painting, round(math.sqrt(self.spec.size * self.spec.style_size)))
            for place in range(len(images)):  # all at once would take memory
                here = slice(place, place + 1)
                pairs = PairBatch(photographs[here], at, odds[here], VALIDATED_STEPS, offsets)
                found.append(torch.stack([*losses(self.module, pairs).values()]).sum())
        return float(torch.stack(found).mean())

    def baseline(self, images: Image) -> float:
        """The sum of the losses of photographs, painted by the painter as it is; asked before the first step."""
        return self.validated(images)

    def painted(self, image: Image) -> Image:
        """A photograph ``[1, 3, h, w]`` in the style as it has been learned so far, at the strength of the spec."""
        spec = StyleSpec(
            method=Instant(),
            size=max(image.shape[-2:]),
            strength=self.spec.strength,
            device=str(self.network.device),
        )
        pictures = [painting.picture for painting in self.inputs.paintings]
        *_, last = steps(plan_run(Task.read(from_tensor(image), pictures, spec, lambda: self.network)))
        return last.state.image

    def _resized(self, images: Image, side: int) -> Image:
        small = F.interpolate(images, (side, side), mode="bilinear", antialias=True).clamp(0, 1)
        return small.to(self.network.device, memory_format=torch.channels_last)


def painting_at(image: Image, longer: int) -> Image:
    """A painting at a longer side of at most ``longer`` pixels; both sides are multiples of the painter's stride, at
    half of their length, too.

    Args:
        image: ``[1, 3, h, w]``.
        longer: pixels.
    """
    scale = min(1.0, longer / max(image.shape[-2:]))
    whole = 2 * STRIDE
    height, width = (max(whole, round(scale * side / whole) * whole) for side in image.shape[-2:])
    small = F.interpolate(image, (height, width), mode="bilinear", antialias=True)
    return small.clamp(0, 1).contiguous(memory_format=torch.channels_last)
