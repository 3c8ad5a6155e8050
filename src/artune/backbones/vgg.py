"""VGG networks (Simonyan and Zisserman 2015) with a tap before and after every ReLU.

``conv4_2`` is the output of the convolution, ``relu4_2`` that of its ReLU. Keras names its layers after the
convolution but returns what follows the ReLU: its ``block4_conv2`` is ``relu4_2`` here (``other_names``).
"""

import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from artune.backbones.base import NO_METADATA, Backbone, Features, Image, TapInfo, without_prefix
from artune.backbones.conventions import IMAGENET, InputConvention
from artune.backbones.pooling import Pooling, pool
from artune.errors import WeightsError
from artune.spec.style import Padding

VGG16 = ((64, 2), (128, 2), (256, 3), (512, 3), (512, 3))
VGG19 = ((64, 2), (128, 2), (256, 4), (512, 4), (512, 4))
EMULATOR = ((16, 2), (32, 2), (64, 4), (128, 4), (128, 1))


def other_names(blocks: Sequence[tuple[int, int]]) -> dict[str, str]:
    """Other sources' names of the taps -> the names here.

    Keras' ``block4_conv2``, the output of the ReLU; the running numbers of PyTorch's tutorial on style transfer
    (``conv_4`` before and ``relu_4`` after the ReLU); torchvision's modules (``features.21``).
    """
    names = {}
    position, number = 0, 1
    for block, (_, depth) in enumerate(blocks, start=1):
        for layer in range(1, depth + 1):
            conv, relu = f"conv{block}_{layer}", f"relu{block}_{layer}"
            names[f"block{block}_conv{layer}"] = relu
            names |= {f"conv_{number}": conv, f"relu_{number}": relu}
            names |= {f"features.{position}": conv, f"features.{position + 1}": relu}
            position, number = position + 2, number + 1
        position += 1  # pooling
    return names


class VGG(Backbone):
    """A chain of blocks of 3x3 convolutions with pooling between them.

    Args:
        name: the network's name in specs and messages.
        blocks: per block, channels and number of convolutions.
        pooling: replacement for max pooling.
        padding: of the first convolution; the others pad with zeros. It repeats the border of the picture; with zeros,
            as in most published code, results may get a frame.
        convention: what the weights expect of a picture.
        reflect: every convolution pads by reflecting its input instead, the first too.
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
        padding: Padding = "replicate",
        convention: InputConvention = IMAGENET,
        reflect: bool = False,
    ) -> None:
        super().__init__()
        self.name, self.pooling, self.padding, self.reflect = name, pooling, padding, reflect
        self.aliases = other_names(blocks)
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
        self.register_buffer("mean", torch.tensor(convention.mean).view(3, 1, 1), persistent=False)
        self.register_buffer("std", torch.tensor(convention.std).view(3, 1, 1), persistent=False)

    def forward(self, image: Image, taps: Collection[str]) -> Features:
        features: dict[str, Tensor] = {"image": image} if "image" in taps else {}
        wanted = set(taps) - {"image"}
        x = (image - self.mean) / self.std
        first = self.blocks[0][0]  # type: ignore[index]
        x = x.to(first.weight.dtype, memory_format=torch.channels_last)
        for index, block in enumerate(self.blocks, start=1):
            if not wanted:
                break
            if index > 1:
                x = pool(x, self.pooling)
            for layer, conv in enumerate(_convolutions(block), start=1):
                if not wanted:
                    break
                if conv.padding == (0, 0):
                    x = F.pad(x, (1, 1, 1, 1), mode=self._padding_mode())
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

    def _padding_mode(self) -> str:
        """Mode of ``F.pad`` before a convolution that does not pad by itself."""
        if self.reflect:
            return "reflect"
        return "constant" if self.padding == "zeros" else "replicate"

    def load(self, weights: Mapping[str, Tensor], where: str, metadata: Mapping[str, str] = NO_METADATA) -> None:
        """Copy weights with torchvision's keys (``features.0.weight``) or with one name a layer (``conv1_1.weight``).

        The file may end early: the taps beyond are marked as not reachable.

        Raises:
            WeightsError: a tensor has another shape, or the first layer or one between others is missing.
        """
        weights = without_prefix(weights, "features.0.weight", "conv1_1.weight")
        missing: str | None = None
        position = 0
        taken = set()
        for index, block in enumerate(self.blocks, start=1):
            for layer, conv in enumerate(_convolutions(block), start=1):
                stems = (f"features.{position}", f"conv{index}_{layer}")
                stem = next((s for s in stems if f"{s}.weight" in weights and f"{s}.bias" in weights), None)
                position += 2
                if stem is None:
                    missing = missing or stems[0]
                elif missing:
                    raise WeightsError(f"{where}: it has {stem} but not {missing}; give weights of {self.name}")
                for kind in ("conv", "relu"):
                    tap = f"{kind}{index}_{layer}"
                    self.taps[tap] = replace(self.taps[tap], reachable=stem is not None)
                for kind, parameter in conv.named_parameters() if stem else ():
                    key = f"{stem}.{kind}"
                    taken.add(key)
                    if parameter.shape != weights[key].shape:
                        given, needed = tuple(weights[key].shape), tuple(parameter.shape)
                        raise WeightsError(f"{where}: {key} has shape {given}, {self.name} needs {needed}")
                    with torch.no_grad():
                        parameter.copy_(weights[key])
            position += 1
        if not taken:
            has = sorted({re.sub(r"\.(weight|bias)$", "", key) for key in weights})[:5]
            raise WeightsError(
                f"{where}: no weights of {self.name} in it; it needs features.0.weight (torchvision's names) or "
                f"conv1_1.weight, and has {', '.join(has) or 'nothing'}"
            )
        if other := sorted(key for key in weights if key.startswith("features.") and key not in taken):
            raise WeightsError(f"{where}: {self.name} has no {other[0]}; give weights of {self.name}")

    def weights(self, tap: str) -> dict[str, Tensor]:
        """Weights and biases of the convolutions up to a tap, by torchvision's keys; not copies."""
        last = tap.replace("relu", "conv")
        places = {name: place for place, name in self.aliases.items() if place.startswith("features.")}
        found: dict[str, Tensor] = {}
        for index, block in enumerate(self.blocks, start=1):
            for layer, conv in enumerate(_convolutions(block), start=1):
                name = f"conv{index}_{layer}"
                found |= {f"{places[name]}.{kind}": value for kind, value in conv.named_parameters()}
                if name == last:
                    return found
        return found


def _convolutions(block: nn.Module) -> list[nn.Conv2d]:
    return [layer for layer in block.children() if isinstance(layer, nn.Conv2d)]
