"""A learned step for one picture, with everything that does not depend on its pixels multiplied into the weights.

Up to the first activation of a level, a step is linear in the features: so are the transports, the units, and the
scales and shifts by what is told. Multiplied into the convolutions, they cost nothing per pixel. The result is that of
``artune.networks.painter.LearnedStep``, but for rounding.
"""

from collections.abc import Sequence
from typing import NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional as F

from artune.backbones.base import Image
from artune.backbones.compact import GAIN, RGB
from artune.networks.painter import BLOCK, CONTENT, SLOPE, LearnedStep, Level, Transport


class FoldedLevel(NamedTuple):
    """Weights of a level for one picture.

    Attributes:
        features: of the tap, ``[w, c, 1, 1]``.
        own: of the photograph's features at this tap; ``None`` if the level does not see them.
        first: of the first tap, in blocks; ``None`` likewise.
        photograph: of the photograph, in blocks; ``None`` likewise.
        before: of the output of the level before; ``None`` if there is none.
        bias: ``[w]``.
        others: weight and bias of the 3x3 convolutions.
    """

    features: Tensor
    own: Tensor | None
    first: Tensor | None
    photograph: Tensor | None
    before: Tensor | None
    bias: Tensor
    others: Sequence[tuple[Tensor, Tensor]]

    @classmethod
    def of(
        cls, level: Level, about: Tensor, units: Tensor, transport: Transport, first: Transport | None, lost: bool
    ) -> "FoldedLevel":
        """The weights of a level.

        Args:
            level: the level.
            about: what it is told, ``[1, e]``.
            units: unit of each group of its inputs.
            transport: of the tap.
            first: of the first tap, if the level sees it.
            lost: whether the level sees what was lost of the photograph.
        """
        factors = level.factors(about)[0].exp() / units
        scale, bias = (each[0] for each in level.told[0](about).chunk(2, 1))
        scale = (1 + scale)[:, None, None, None]
        weights = [scale * factor * group.weight for factor, group in zip(factors, level.groups, strict=True)]
        by_tap, displaced, *rest = weights
        features = by_tap + torch.einsum("wcij,cd->wdij", displaced, transport.matrix[0])
        bias = bias + torch.einsum("wcij,c->w", displaced, transport.shift[0])
        own = None
        if lost:
            own, *rest = rest
            features = features - own
        blocks = photograph = None
        if first is not None:
            moved, image, photograph = rest
            blocks = torch.einsum("wcij,cd->wdij", moved, first.matrix[0])
            bias = bias + torch.einsum("wcij,c->w", moved, first.shift[0])
            blocks = blocks + _widened((image - photograph) / GAIN, blocks.shape[1])
        before = None if level.before is None else scale * level.before.weight
        others = []
        for told, convolution in zip([*level.told][1:], level.others, strict=True):
            scale, shift = (each[0] for each in told(about).chunk(2, 1))
            assert convolution.bias is not None
            others.append(
                ((1 + scale)[:, None, None, None] * convolution.weight, (1 + scale) * convolution.bias + shift)
            )
        return cls(features, own, blocks, photograph, before, bias, others)

    def __call__(
        self, features: Tensor, own: Tensor | None, first: Tensor | None, photograph: Tensor, before: Tensor | None
    ) -> Float[Tensor, "1 w h v"]:
        """The output of the level, with its border repeated by one position.

        Args:
            features: of the tap.
            own: the photograph's features at the tap, where the level sees them.
            first: features of the first tap.
            photograph: at the size of the first tap.
            before: the output of the level before.
        """
        x = F.conv2d(features, self.features, self.bias)
        if self.own is not None and own is not None:
            x += F.conv2d(own, self.own)
        if self.first is not None and self.photograph is not None and first is not None:
            x += F.conv2d(first, self.first, stride=BLOCK)
            x += F.conv2d(photograph, self.photograph, stride=BLOCK)
        if self.before is not None and before is not None:
            x += F.interpolate(F.conv2d(before, self.before), size=x.shape[2:], mode="bilinear")
        height, width = x.shape[2:]
        shape = (1, x.shape[1], height + 2, width + 2)
        whole = torch.empty(shape, dtype=x.dtype, device=x.device, memory_format=torch.channels_last)
        inside = whole[:, :, 1:-1, 1:-1]
        inside.copy_(F.leaky_relu(x, SLOPE, inplace=True))
        for weight, bias in self.others:
            _repeat_border(whole)
            inside += F.leaky_relu(F.conv2d(whole, weight, bias), SLOPE, inplace=True)
        _repeat_border(whole)
        return whole


class Folded:
    """A learned step for one picture.

    Args:
        step: the step.
        transports: of the picture's features, at each tap.
        about: what the step is told, ``[1, e]``.
    """

    def __init__(self, step: LearnedStep, transports: Sequence[Transport], about: Float[Tensor, "1 e"]) -> None:
        self.levels = []
        for level, place in zip(step.levels, reversed(range(len(step.levels))), strict=True):
            tap, content = place + 1, place + 1 == CONTENT
            units = [step.units[tap]] * (3 if content else 2)
            if place == 0:
                one = torch.ones_like(step.units[0])
                units += [step.units[0], one, one]
            of_first = transports[0] if place == 0 else None
            assert isinstance(level, Level)
            self.levels.append(FoldedLevel.of(level, about, torch.stack(units), transports[tap], of_first, content))
        colour = step.colour(about).sigmoid()[0] / GAIN
        matrix = colour * transports[0].matrix[0, :RGB]
        self.matrix = matrix + _widened(torch.eye(RGB, device=matrix.device) / GAIN, matrix.shape[1])
        self.shift = colour * transports[0].shift[0, :RGB]
        self.last = step.last

    def __call__(self, photograph: Image, features: Sequence[Tensor], own: Tensor | None) -> Image:
        """The picture after the step; a little outside [0, 1] in places.

        Args:
            photograph: at the picture's size.
            features: of the picture.
            own: the photograph's features at the content tap, if the step sees them.
        """
        x: Tensor | None = None
        for place, level in zip(reversed(range(len(self.levels))), self.levels, strict=True):
            x = level(features[place + 1], own, features[0], photograph, None if x is None else x[:, :, 1:-1, 1:-1])
        assert x is not None
        out = F.pixel_shuffle(F.conv2d(x, self.last.weight, self.last.bias), BLOCK)
        out += F.conv2d(features[0], self.matrix[:, :, None, None], self.shift)
        return out


def _widened(weight: Tensor, channels: int) -> Tensor:
    """Weights for the picture, as weights for the first tap, whose first channels are the picture."""
    return torch.cat([weight, weight.new_zeros(len(weight), channels - RGB, *weight.shape[2:])], 1)


def _repeat_border(x: Float[Tensor, "1 c h w"]) -> None:
    """Set the outermost positions to those next to them."""
    x[:, :, 0], x[:, :, -1] = x[:, :, 1], x[:, :, -2]
    x[:, :, :, 0], x[:, :, :, -1] = x[:, :, :, 1], x[:, :, :, -2]
