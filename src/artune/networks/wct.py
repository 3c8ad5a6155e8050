"""The network of universal style transfer: encoders and decoders of five stages (Li et al. 2017).

Each encoder is VGG-19 up to the first ReLU of a block, each decoder its mirror image, trained to make the picture again
from these features alone. No painting took part in training. The channels follow from the file: smaller networks of the
same build fit, too (Wang et al., Collaborative Distillation, CVPR 2020).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from typing import Literal

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional as F

from artune.assets import OnBytes, read_weights
from artune.backbones.base import Image
from artune.backbones.network import check_runs
from artune.blank import Blank
from artune.errors import SpecError, WeightsError
from artune.files import expanded, file_digest
from artune.machine import choose_device
from artune.networks.loaded import Readings
from artune.networks.stored import fill
from artune.spec.style import LEVELS, StyleSpec

CONVOLUTIONS = (2, 2, 4, 4)
"""Convolutions of VGG-19's blocks 1 to 4."""
NEEDED = "give a file with the encoders and decoders of universal style transfer, of all five stages"
"""What an error asks for."""


def stage_of(level: str) -> int:
    """Number of the stage whose features a level has: 5 for relu5_1."""
    return len(LEVELS) - LEVELS.index(level)


def stride_of(level: str) -> int:
    """Pixels of the picture from one position of a level to the next."""
    return 1 << (stage_of(level) - 1)


def layers_of(level: str) -> list[str]:
    """Convolutions of the encoder of a level, in order; its decoder has the same names in reverse order."""
    last = stage_of(level)
    whole = [f"conv{block}_{place}" for block in range(1, last) for place in range(1, CONVOLUTIONS[block - 1] + 1)]
    return [*whole, f"conv{last}_1"]


def radius_of(level: str) -> int:
    """Pixels around a position that its decoded features depend on, as a multiple of the level's stride."""
    stride, radius = stride_of(level), 0
    for name in layers_of(level):
        radius += 2 << (_block(name) - 1)  # a convolution of the encoder, and one of the decoder
    return -(-(radius + stride) // stride) * stride  # the pooling adds less than a stride


def _block(layer: str) -> int:
    return int(layer[4])


def _begins_block(layer: str) -> bool:
    """Whether pooling comes before a layer of an encoder, and enlarging after that of a decoder."""
    return layer.endswith("_1") and _block(layer) > 1


class Coder(nn.Module):
    """Convolutions of 3x3 with reflected borders, by the names of VGG's layers.

    Args:
        names: of the layers, in order.
        channels: of the input, and of the output of each layer.
    """

    def __init__(self, names: Sequence[str], channels: Sequence[int]) -> None:
        super().__init__()
        for name, (before, after) in zip(names, pairwise(channels), strict=True):
            self.add_module(name, nn.Conv2d(before, after, 3, padding=1, padding_mode="reflect"))


class Encoder(Coder):
    """From a picture to features: a ReLU after each convolution, and max pooling before each block but the first."""

    def forward(self, x: Image) -> Float[Tensor, "b c i j"]:
        """Features; sides of the picture are multiples of the stride, and at least two strides."""
        for name, layer in self.named_children():
            x = F.relu_(layer(F.max_pool2d(x, 2) if _begins_block(name) else x))
        return x


class Decoder(Coder):
    """From features to a picture: a ReLU after each convolution but the last; enlarging repeats each position."""

    def forward(self, x: Float[Tensor, "b c i j"]) -> Image:
        """The picture; a little outside [0, 1] in places."""
        *others, last = self.named_children()
        for name, layer in others:
            x = F.relu_(layer(x))
            if _begins_block(name):
                x = F.interpolate(x, scale_factor=2.0, mode="nearest")
        picture: Tensor = last[1](x)
        return picture


class Autoencoders(nn.ModuleDict):
    """The encoders and decoders of all levels: ``encoder5``, ``decoder5`` and so on.

    Args:
        channels: of the input and of the output of each layer, for each encoder and decoder.
    """

    def __init__(self, channels: Mapping[str, Sequence[int]]) -> None:
        super().__init__()
        self.width = max(channels[f"encoder{stage_of(level)}"][1] for level in LEVELS)  # channels at full size, at most
        for level in LEVELS:
            names, stage = layers_of(level), stage_of(level)
            self[f"encoder{stage}"] = Encoder(names, channels[f"encoder{stage}"])
            self[f"decoder{stage}"] = Decoder(names[::-1], channels[f"decoder{stage}"])

    def encode(self, image: Image, level: str) -> Float[Tensor, "b c i j"]:
        """Features of a picture at a level; see ``Encoder``."""
        features: Tensor = self[f"encoder{stage_of(level)}"](image)
        return features

    def decode(self, features: Float[Tensor, "b c i j"], level: str) -> Image:
        """The picture of some features; see ``Decoder``."""
        picture: Tensor = self[f"decoder{stage_of(level)}"](features)
        return picture


def read_autoencoders(path: Path) -> Autoencoders:
    """The encoders and decoders of a file: ``encoder5.conv1_1.weight`` and so on, for pictures in [0, 1].

    Raises:
        WeightsError: the file is missing or damaged, or holds something else.
    """
    weights = read_weights(path)
    channels = {}
    for level in LEVELS:
        names, stage = layers_of(level), stage_of(level)
        channels[f"encoder{stage}"] = [3, *_widths(weights, f"encoder{stage}", names, path)]
        decoder = _widths(weights, f"decoder{stage}", names[::-1], path)
        channels[f"decoder{stage}"] = [channels[f"encoder{stage}"][-1], *decoder[:-1], 3]
    with Blank():
        network = Autoencoders(channels)
    fill(network, weights, path, "universal style transfer", NEEDED)
    return network


def _widths(weights: Mapping[str, Tensor], coder: str, names: Sequence[str], path: Path) -> list[int]:
    """Channels of the output of each layer."""
    found = []
    for name in names:
        bias = weights.get(f"{coder}.{name}.bias")
        if bias is None or bias.dim() != 1 or len(bias) == 0:
            raise WeightsError(
                f"{path} does not fit universal style transfer: {coder}.{name}.bias is missing or wrong; {NEEDED}"
            )
        found.append(len(bias))
    return found


@dataclass(frozen=True)
class WCTNetwork:
    """Encoders and decoders that are loaded once and used for many pictures.

    Attributes:
        network: the encoders and decoders, ready to run.
        digest: sha256 of their file.
        device: where they run.
        name: for messages.
        precision: of the activations.
        readings: moments of the paintings that were read last.
    """

    network: Autoencoders
    digest: str
    device: torch.device
    name: str = "wct"
    precision: Literal["fp32"] = "fp32"
    readings: Readings = field(default_factory=Readings, compare=False, repr=False)

    def check(self, spec: StyleSpec) -> None:
        """Raise if a spec asks for another device or precision.

        Raises:
            SpecError: naming what differs.
        """
        check_runs(spec, self.precision, self.device, "universal style transfer")

    @classmethod
    @torch.inference_mode(False)
    def load(cls, spec: StyleSpec, weights: Path | str | None = None, on_bytes: OnBytes | None = None) -> "WCTNetwork":
        """The encoders and decoders on the device that a spec asks for.

        Args:
            spec: its device and precision count.
            weights: their file; none travels with the package, and none is downloaded.
            on_bytes: not called.

        Raises:
            SpecError: the precision is not fp32.
            WeightsError: missing or unfit weights.
        """
        if spec.precision == "bf16":
            raise SpecError("universal style transfer runs in fp32 alone; leave out `precision`, or give fp32")
        if weights is None:
            raise WeightsError(f"the method wct needs `weights`, and none are installed with artune; {NEEDED}")
        path, device = expanded(weights), choose_device(spec.device)
        network = read_autoencoders(path).to(device=device, memory_format=torch.channels_last)  # type: ignore[call-overload]
        return cls(network, file_digest(path), device)
