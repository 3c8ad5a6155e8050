"""VGG networks (Simonyan and Zisserman 2015) with a tap before and after every ReLU.

``conv4_2`` is the output of the convolution, ``relu4_2`` that of its ReLU. Keras names its layers after the
convolution but returns what follows the ReLU: its ``block4_conv2`` is ``relu4_2`` here.
"""

import re
from collections.abc import Callable, Collection, Mapping
from dataclasses import replace
from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from artune.backbones.base import IMAGENET_MEAN, IMAGENET_STD, Backbone, Features, Image, TapInfo
from artune.errors import WeightsError

Pooling = Literal["max", "average", "l2"]

VGG19 = ((64, 2), (128, 2), (256, 4), (512, 4), (512, 4))
EMULATOR = ((16, 2), (32, 2), (64, 4), (128, 4), (128, 1))

# Other poolings answer otherwise than the maximum does; the factors keep the deeper taps at the level for which their
# weights were trained: on the true VGG-19, over 12 photographs and paintings, the mean of relu3_4 stays within 1 % in
# the median, and within 16 % for each.
POOLINGS: dict[Pooling, Callable[[Tensor], Tensor]] = {
    "max": lambda x: F.max_pool2d(x, 2),
    "average": lambda x: 1.4 * F.avg_pool2d(x, 2),
    "l2": lambda x: 0.64 * (4 * F.avg_pool2d(x.square(), 2) + 1e-12).sqrt(),
}


class VGG(Backbone):
    """A chain of blocks of 3x3 convolutions with pooling between them.

    The border of the picture is repeated before the first convolution, where zeros would paint a frame.

    Args:
        name: what the user calls it.
        blocks: per block, channels and number of convolutions.
        pooling: how a block hands on to the next.
        normalise: whether the picture is brought to ImageNet's mean and standard deviation.
        reflect: reflect the border before every convolution, instead of zeros after the first.
    """

    smallest = 32
    mean: Tensor
    std: Tensor

    def __init__(
        self,
        name: str = "vgg19",
        blocks: tuple[tuple[int, int], ...] = VGG19,
        *,
        pooling: Pooling = "max",
        normalise: bool = True,
        reflect: bool = False,
    ) -> None:
        super().__init__()
        self.name, self.pooling, self.normalise, self.reflect = name, pooling, normalise, reflect
        self.blocks = nn.ModuleList()
        self.taps: dict[str, TapInfo] = {}
        channels, stride, field, cost, values = 3, 1, 1, 0.0, 3.0
        for index, (width, depth) in enumerate(blocks, start=1):
            if index > 1:
                field += stride
                stride *= 2
                values += channels / stride**2
            block = nn.ModuleList()
            for layer in range(1, depth + 1):
                padded = reflect or (index, layer) == (1, 1)
                block.append(nn.Conv2d(channels, width, 3, padding=0 if padded else 1))
                field += 2 * stride
                cost += 9 * channels * width / stride**2
                values += width / stride**2
                channels = width
                for kind in ("conv", "relu"):
                    self.taps[f"{kind}{index}_{layer}"] = TapInfo(width, stride, field, cost, values)
            self.blocks.append(block)
        self.register_buffer("mean", torch.tensor(IMAGENET_MEAN).view(3, 1, 1), persistent=False)
        self.register_buffer("std", torch.tensor(IMAGENET_STD).view(3, 1, 1), persistent=False)

    def forward(self, image: Image, taps: Collection[str]) -> Features:
        features: dict[str, Tensor] = {"image": image} if "image" in taps else {}
        wanted = set(taps) - {"image"}
        x = (image - self.mean) / self.std if self.normalise else image
        first = self.blocks[0][0]  # type: ignore[index]
        x = x.to(first.weight.dtype, memory_format=torch.channels_last)
        for index, block in enumerate(self.blocks, start=1):
            if not wanted:
                break
            if index > 1:
                x = POOLINGS[self.pooling](x)
            for layer, conv in enumerate(_convolutions(block), start=1):
                if not wanted:
                    break
                if conv.padding == (0, 0):
                    x = F.pad(x, (1, 1, 1, 1), mode="reflect" if self.reflect else "replicate")
                x = conv(x)
                if f"conv{index}_{layer}" in wanted:
                    wanted.remove(f"conv{index}_{layer}")
                    features[f"conv{index}_{layer}"] = x
                    x = F.relu(x)
                else:
                    x = F.relu(x, inplace=True)
                if f"relu{index}_{layer}" in wanted:
                    wanted.remove(f"relu{index}_{layer}")
                    features[f"relu{index}_{layer}"] = x
        return features

    def load(self, weights: Mapping[str, Tensor], where: str) -> None:
        """Take weights with torchvision's keys (``features.0.weight``) or by layer (``conv1_1.weight``).

        They may end early: taps that are then out of reach are marked so.

        Raises:
            WeightsError: when a tensor has another shape, or the first layer is missing.
        """
        reachable = True
        position = 0
        for index, block in enumerate(self.blocks, start=1):
            for layer, conv in enumerate(_convolutions(block), start=1):
                keys = next(
                    (
                        (f"{stem}.weight", f"{stem}.bias")
                        for stem in (f"features.{position}", f"conv{index}_{layer}")
                        if f"{stem}.weight" in weights and f"{stem}.bias" in weights
                    ),
                    None,
                )
                position += 2
                reachable = reachable and keys is not None
                for kind in ("conv", "relu"):
                    tap = f"{kind}{index}_{layer}"
                    self.taps[tap] = replace(self.taps[tap], reachable=reachable)
                if not reachable or keys is None:
                    continue
                for parameter, key in zip(conv.parameters(), keys, strict=True):
                    if parameter.shape != weights[key].shape:
                        given, needed = tuple(weights[key].shape), tuple(parameter.shape)
                        raise WeightsError(f"{where}: {key} has shape {given}, {self.name} needs {needed}")
                    with torch.no_grad():
                        parameter.copy_(weights[key])
            position += 1
        if not any(info.reachable for info in self.taps.values()):
            stems = sorted({re.sub(r"\.(weight|bias)$", "", key) for key in weights})[:5]
            raise WeightsError(
                f"{where}: no weights of {self.name} in it; it needs features.0.weight (torchvision's names) or "
                f"conv1_1.weight, and has {', '.join(stems) or 'nothing'}"
            )


def _convolutions(block: nn.Module) -> list[nn.Conv2d]:
    return [layer for layer in block.children() if isinstance(layer, nn.Conv2d)]
