"""The painter's lessons: steps on pairs of photographs and paintings, measured by artune's own objective.

A batch of pairs goes through steps at one size after the other, which double; the objective is measured after each.
Gradients do not go from one step to the one before: each step learns from the pictures that the steps before it make.
"""

import math
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from artune.backbones.defaults import VGG_DEFAULTS
from artune.learning.motion import flicker
from artune.losses import moments as fn
from artune.losses.objective import ENERGY_SHARE
from artune.losses.terms import TotalVariation, Wasserstein
from artune.networks.painter import CONTENT, REVISION_TAPS, STRIDE, TAPS, Painter, displacement

STEPS = 3
"""Largest number of steps that a batch makes at one of its sizes."""
SMALLEST = 48
"""Smallest of the sizes that a batch goes through, pixels."""
OFFSET = 5
"""Largest offset of the network's grid, pixels. A step's own grid of blocks would not be seen through the same grid."""
OUTSIDE = 10.0
"""Weight of squared values outside [0, 1], where the loss network has never seen a picture."""
REVISION = 0.5
"""Weight of the objective after a revision."""
CLIP = 1.0
"""Largest norm of the gradient."""
WARM_UP = 100
"""Steps over which the rate rises."""


@dataclass(frozen=True)
class PairBatch:
    """Pairs to be painted.

    Attributes:
        photographs: ``[b, 3, h, w]`` in [0, 1].
        paintings: of the same shape; or one for all, of any shape.
        log_odds: of the strengths, ``[b]``.
        steps: number of steps at each of the sizes, which double from one to the next.
        offsets: where the network's grid begins when each picture is seen: rows and columns.
        motion: from the first half of the photographs to the second, which are their next frames; ``None``: they are
            photographs like the others.
    """

    photographs: Tensor
    paintings: Tensor
    log_odds: Tensor
    steps: tuple[int, ...]
    offsets: tuple[tuple[int, int], ...]
    motion: Tensor | None = None


Course = tuple[tuple[int, ...], tuple[tuple[int, int], ...]]
"""Numbers of steps at the sizes of a batch, and offsets of the network's grid."""


def draw_course(rng: np.random.Generator, side: int) -> Course:
    """Draw through which steps a batch goes.

    Args:
        rng: of the draws.
        side: of the photographs, pixels.
    """
    sizes = 1 + int(rng.integers(1, 1 + max(1, int(math.log2(side / SMALLEST)))))
    steps = tuple(int(count) for count in rng.integers(1, STEPS + 1, sizes))
    offsets = [(0, 0) if rng.random() < 0.5 else tuple(rng.integers(1, OFFSET + 1, 2)) for _ in range(2 + sum(steps))]
    return steps, tuple((int(down), int(right)) for down, right in offsets)


class Pairs:
    """Pairs at one size: makes steps, and measures artune's objective of the pictures.

    The style distance at a tap is the mean squared length of the displacements. If these are taken for constants, its
    gradient is that of the squared Wasserstein distance, whose derivative by the transport is zero.

    Args:
        painter: the painter.
        photographs: ``[b, 3, h, w]``.
        paintings: ``[b, 3, h, w]``, or ``[1, 3, k, v]`` for all.
        log_odds: of the strengths, ``[b]``.
    """

    @torch.no_grad()
    def __init__(self, painter: Painter, photographs: Tensor, paintings: Tensor, log_odds: Tensor) -> None:
        self.painter, self.photographs, self.log_odds = painter, photographs, log_odds
        self.offset = 0, 0
        self.own, theirs = painter.features(photographs), painter.features(paintings)
        moments = [fn.moments(features) for features in theirs]
        self.gaussians = painter.gaussians(moments)
        self.features = self.own
        self.displacements = self._displacements()
        self.units = [
            _squares(apart) + ENERGY_SHARE * fn.energy(each) + 1e-12
            for apart, each in zip(self.displacements, moments, strict=True)
        ]
        energies = (_squares(each[CONTENT]) for each in (self.own, theirs))
        self.content_unit = next(energies) + ENERGY_SHARE * next(energies) + 1e-12
        self.variation = TotalVariation()
        both = [self._variation(each) for each in (photographs, paintings)]
        self.variation_unit = sum(both) / 2 + 1e-3

    def _displacements(self) -> list[Tensor]:
        with torch.no_grad():
            features = [each.detach() for each in self.features]
            moments = [fn.moments(each) for each in features]
            transports = self.painter.transports(moments, self.gaussians)
            return [displacement(*each) for each in zip(features, transports, strict=True)]

    def _variation(self, images: Tensor) -> Tensor:
        return self.variation.distance(self.variation.measure({"image": images}), None)

    def measure(self, images: Tensor, offset: tuple[int, int] = (0, 0)) -> Tensor:
        """The objective of each picture, ``[b]``, with weights whose sum is about 1. The next step begins here.

        Args:
            images: ``[b, 3, h, w]``.
            offset: where the network's grid begins: rows and columns.
        """
        if offset != self.offset:
            self.offset = offset
            with torch.no_grad():
                self.own = self.painter.features(_moved(self.photographs, offset))
        self.features = self.painter.features(_moved(images, offset))
        self.displacements = self._displacements()
        odds, whole = self.log_odds.exp(), sum(VGG_DEFAULTS.style.values())
        ratio = Wasserstein.balance * odds
        total = VGG_DEFAULTS.tv * odds * self._variation(images) / self.variation_unit
        total = total + _squares(self.features[CONTENT] - self.own[CONTENT]) / self.content_unit
        for tap, here, apart, unit in zip(TAPS, self.features, self.displacements, self.units, strict=True):
            goal = here.detach() + apart
            total = total + ratio * VGG_DEFAULTS.style[tap] / whole * _squares(here - goal) / unit
        return total / (1 + ratio)

    def shown(self) -> list[Tensor]:
        """The displacements that the decoder sees."""
        return self.displacements

    def step(self, images: Tensor, done: int, first: bool) -> Tensor:
        """The pictures after a step."""
        features = [each.detach() for each in self.features]
        lost = self.own[CONTENT] - features[CONTENT]
        both = (_moved(each, self.offset) for each in (images.detach(), self.photographs))
        made: Tensor = self.painter.whole(*both, features, self.shown(), lost, self.log_odds, done, first)
        return self._back(made)

    def revised(self, images: Tensor) -> Tensor:
        """The pictures after a revision."""
        features = [each.detach() for each in self.features[:REVISION_TAPS]]
        both = (_moved(each, self.offset) for each in (images.detach(), self.photographs))
        displacements = self.shown()[:REVISION_TAPS]
        made: Tensor = self.painter.revision(*both, features, displacements, None, self.log_odds, 0, False)
        return self._back(made)

    def _back(self, images: Tensor) -> Tensor:
        """Pictures without what ``_moved`` has added."""
        (down, right), (height, width) = self.offset, self.photographs.shape[2:]
        return images[:, :, down : down + height, right : right + width]


def _moved(images: Tensor, offset: tuple[int, int]) -> Tensor:
    """Pictures moved down and to the right by repeating their borders; sides stay multiples of ``STRIDE``."""
    if offset == (0, 0):
        return images
    down, right = offset
    moved = F.pad(images, (right, STRIDE - right, down, STRIDE - down), mode="replicate")
    return moved.contiguous(memory_format=torch.channels_last)


def _squares(features: Tensor) -> Tensor:
    """Mean squared length of feature vectors, ``[b]``."""
    return features.square().sum(1).mean((1, 2))


def losses(painter: Painter, batch: PairBatch, kind: type[Pairs] = Pairs, steady: float = 0.0) -> dict[str, Tensor]:
    """The objective after every step on a batch, weighted by the number of the step, and after a revision; how far
    pictures left [0, 1]; and of frames, what changes from one to the next beside the motion.

    Args:
        painter: the painter.
        batch: the pairs.
        kind: what the decoder sees.
        steady: weight of the change between frames.
    """
    images, before, offsets = batch.photographs, None, iter(batch.offsets)
    steps, outside, revision, changes = [], [], torch.zeros(()), list[Tensor]()

    def note_change(made: Tensor) -> None:
        if batch.motion is not None:
            first, second = made.chunk(2)
            changes.append(flicker(first, second, batch.motion))

    for place, count in enumerate(batch.steps):
        share = 0.5 ** (len(batch.steps) - 1 - place)
        photographs, paintings = (at_share(x, share) for x in (batch.photographs, batch.paintings))
        pairs = kind(painter, photographs, paintings, batch.log_odds)
        if before is None:
            images = photographs
        else:
            images = enlarged(images.detach() - before, photographs)
            with torch.no_grad():
                pairs.measure(images)
        if share == 1:
            revised = pairs.revised(images)
            seen = pairs.features, pairs.displacements, pairs.own, pairs.offset
            revision = pairs.measure(revised.clamp(0, 1), next(offsets)).mean()
            outside.append((revised - revised.clamp(0, 1)).square().mean())
            note_change(revised)
            pairs.features, pairs.displacements, pairs.own, pairs.offset = seen
        for done in range(count):
            made = pairs.step(images, done, before is None and done == 0)
            images = made.clamp(0, 1)
            outside.append((made - images).square().mean())
            note_change(images)
            steps.append(pairs.measure(images, next(offsets)).mean())
        before = photographs
    weights = torch.arange(1.0, len(steps) + 1)
    weighted = (torch.stack(steps) * weights / weights.sum()).sum()
    return {
        "steps": weighted,
        "revision": REVISION * revision,
        "outside": OUTSIDE * torch.stack(outside).mean(),
        **({"steady": steady * torch.stack(changes).mean()} if changes else {}),
    }


def at_share(images: Tensor, share: float) -> Tensor:
    """Pictures at a share of their size."""
    if share == 1:
        return images
    small = F.interpolate(images, scale_factor=share, mode="bilinear", antialias=True)
    return small.contiguous(memory_format=torch.channels_last)


def enlarged(change: Tensor, photographs: Tensor) -> Tensor:
    """Photographs with a change that was made at a smaller size."""
    large = F.interpolate(change, size=photographs.shape[2:], mode="bicubic")
    return (photographs + large).clamp(0, 1).contiguous(memory_format=torch.channels_last)
