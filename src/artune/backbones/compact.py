"""The network that travels with the package: the part of VGG-19 in style transfer, at a fraction of the cost.

A plain chain of 3x3 convolutions, ReLU and average pooling, distilled from VGG-19 (``training/distill.py``). Its taps
bear the names of the layers that they were taught to stand for.

The first tap carries the picture's own red, green and blue, so that no colour is invisible to the losses.
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from artune.backbones.base import Backbone, Features, Image, TapInfo
from artune.errors import WeightsError

RGB = 3
"""Channels of the first tap that hold the picture itself, times ``GAIN``."""
GAIN = 4.0
"""Brings colours to the variance that the other channels have."""


@dataclass(frozen=True)
class CompactConfig:
    """The shape of a compact network.

    Attributes:
        widths: channels of each stage; a stage after the first begins with 2x2 average pooling.
        depths: 3x3 convolutions in each stage; the tap ``reluS_1`` is the output of stage S.
    """

    widths: tuple[int, ...] = (24, 32, 64, 128, 128)
    depths: tuple[int, ...] = (1, 2, 3, 3, 2)


class _Halve(torch.autograd.Function):
    """2x2 average pooling; its gradient is a plain enlargement, several times faster than PyTorch's on the CPU."""

    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        ctx.size = x.shape[-2:]
        return F.avg_pool2d(x, 2)

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> Tensor:
        wide = F.interpolate(0.25 * grad, scale_factor=2)
        height, width = ctx.size
        return F.pad(wide, (0, width - wide.shape[-1], 0, height - wide.shape[-2]))


def halve(x: Tensor) -> Tensor:
    """Average of each 2x2 square; an odd last row or column is left out."""
    out: Tensor = _Halve.apply(x)
    return out


class Compact(Backbone):
    """The compact network; see the module's text.

    Args:
        config: its shape; the bundled weights fit the default one.
    """

    name = "compact"
    smallest = 16

    def __init__(self, config: CompactConfig = CompactConfig()) -> None:
        super().__init__()
        self.stages = nn.ModuleList()
        self.taps: dict[str, TapInfo] = {}
        channels, stride, field, cost, values = 3, 1, 1, 0.0, 3.0
        for number, (width, depth) in enumerate(zip(config.widths, config.depths, strict=True), start=1):
            stage = nn.ModuleList()
            if number > 1:
                field += stride
                stride *= 2
                values += channels / stride**2
            for _ in range(depth):
                stage.append(nn.Conv2d(channels, width, 3, padding=1 if self.stages or stage else 0))
                field += 2 * stride
                cost += 9 * channels * width / stride**2
                values += width / stride**2
                channels = width
            self.stages.append(stage)
            self.taps[f"relu{number}_1"] = TapInfo(width, stride, field, cost, values)
        self.pin_colour()

    def pin_colour(self) -> None:
        """Make the first three channels of the first tap the picture itself, times ``GAIN``."""
        first = self.stages[0][0]  # type: ignore[index]
        with torch.no_grad():
            first.weight[:RGB] = 0
            first.bias[:RGB] = 0
            for channel in range(RGB):
                first.weight[channel, channel, 1, 1] = GAIN

    def forward(self, image: Image, taps: Collection[str]) -> Features:
        features: dict[str, Tensor] = {"image": image} if "image" in taps else {}
        wanted = set(taps) - {"image"}
        # zeros would paint a frame: the border is repeated where the picture enters
        x = F.pad(image, (1, 1, 1, 1), mode="replicate")
        x = x.to(self.stages[0][0].weight.dtype, memory_format=torch.channels_last)  # type: ignore[index]
        for number, stage in enumerate(self.stages, start=1):
            if not wanted:
                break
            if number > 1:
                x = halve(x)
            for conv in stage:  # type: ignore[attr-defined]
                x = F.relu(conv(x), inplace=True)
            tap = f"relu{number}_1"
            if tap in wanted:
                wanted.remove(tap)
                features[tap] = x
        return features

    def load(self, weights: Mapping[str, Tensor], where: str) -> None:
        try:
            self.load_state_dict(dict(weights))
        except RuntimeError as error:
            raise WeightsError(f"{where}: these are not weights of the compact network ({error})") from error
