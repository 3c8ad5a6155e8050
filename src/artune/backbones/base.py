"""The interface of all loss networks: a picture goes in, named activations come out."""

import math
import re
from abc import ABC, abstractmethod
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import NamedTuple

from jaxtyping import Float
from torch import Tensor, nn

from artune.backbones.sums import Sums, sums_of
from artune.errors import UnknownNameError

Image = Float[Tensor, "b 3 _ _"]
"""sRGB in [0, 1]; a backbone normalises inside itself."""

Features = Mapping[str, Float[Tensor, "b _ _ _"]]
"""Tap name -> activations. ``image`` is the picture itself."""


class PassOutput(NamedTuple):
    """What one pass through a network found.

    Attributes:
        features: activations of the taps that were asked for.
        sums: sums of the taps whose sums were asked for.
    """

    features: Features
    sums: Mapping[str, Sums]


Pass = Callable[[Image], PassOutput]
"""A pass through a network that is made once and used for many steps, by one thread. The gradient of a call, a first
derivative by the picture alone, is taken once, and before the next call, which may overwrite what it needs. Until then
neither weights nor features may be changed."""


@dataclass(frozen=True)
class TapInfo:
    """What is known of a tap without running the network.

    Attributes:
        channels: number of feature maps.
        stride: picture pixels per feature pixel.
        receptive_field: side, in picture pixels, of the square that one feature pixel depends on; ``WHOLE`` where it
            depends on the whole picture.
        cost: multiply-adds per picture pixel to run the network up to this tap.
        values: activations per picture pixel up to this tap, itself included: what is kept in memory for a gradient.
        reachable: whether the loaded weights go this deep.
    """

    channels: int
    stride: int
    receptive_field: int
    cost: float
    values: float
    reachable: bool = True


NO_METADATA: Mapping[str, str] = MappingProxyType({})
"""Of a file that has none."""

WHOLE = 2**20
"""Receptive field, in pixels, that stands for the whole picture: larger than any picture."""

IMAGE_TAP = TapInfo(channels=3, stride=1, receptive_field=1, cost=0.0, values=3.0)


class Backbone(nn.Module, ABC):
    """A loss network with named taps.

    Parameters never require gradients.

    Attributes:
        name: the network's name in specs and messages.
        taps: every tap of the structure, also those that the loaded weights do not reach.
        aliases: other sources' names of taps -> the names here.
        smallest: shortest picture side that the network takes, in pixels.
        residual: whether a ReLU follows its skip additions, as in ResNet. Such networks are smoothed by default.
        local: whether every feature depends on its receptive field alone; a network that is not cannot be run on tiles.
        metadata: what a file of its weights must say beside them, so that ``load`` gives the same network.
    """

    name: str
    taps: Mapping[str, TapInfo]
    aliases: Mapping[str, str] = MappingProxyType({})
    smallest: int = 16
    residual: bool = False
    local: bool = True
    metadata: Mapping[str, str] = NO_METADATA

    @abstractmethod
    def forward(self, image: Image, taps: Collection[str]) -> Features:
        """Run to the deepest tap asked for, and no further.

        Args:
            image: sRGB in [0, 1], ``[b, 3, h, w]``.
            taps: the network's own names, or ``image``.

        Returns:
            The activations, ``[b, channels, h / stride, w / stride]`` each.
        """

    def make_pass(self, taps: Collection[str], summed: Collection[str]) -> Pass:
        """Make a pass for many steps.

        Args:
            taps: taps whose activations it finds.
            summed: taps whose sums over positions it finds.
        """
        return PlainPass(self, taps, summed)

    @abstractmethod
    def load(self, weights: Mapping[str, Tensor], where: str, metadata: Mapping[str, str] = NO_METADATA) -> None:
        """Copy the weights of a file into the network.

        Args:
            weights: tensors by name.
            where: the file, for messages.
            metadata: of a safetensors file; some networks read there how the weights were trained.

        Raises:
            WeightsError: they do not fit, or the metadata are wrong.
        """

    @abstractmethod
    def weights(self, tap: str) -> dict[str, Tensor]:
        """The network's own tensors, not copies, by the names that ``load`` takes: at least those up to a tap."""

    def tap(self, name: str) -> str:
        """The network's own name of a tap.

        Args:
            name: the own name or another source's.

        Raises:
            UnknownNameError: naming what was given, the nearest names and the network.
        """
        if name == "image" or name in self.taps:
            return name
        if name not in self.aliases:
            raise UnknownNameError("layer", name, self.taps, where=f"network {self.name}", also=self.aliases)
        return self.aliases[name]

    def check(self, taps: Collection[str]) -> None:
        """Raise if a tap does not exist or the loaded weights end before it.

        Raises:
            UnknownNameError: naming the tap, the nearest names and the network.
        """
        for tap in taps:
            own = self.tap(tap)
            if own != "image" and not self.taps[own].reachable:
                reach = [name for name, other in self.taps.items() if other.reachable]
                raise UnknownNameError(
                    "layer",
                    tap,
                    reach,
                    where=f"network {self.name}",
                    why="the loaded weights end before it, choose others with `content_layers` and `style_layers`",
                )


def stride_and_radius(backbone: Backbone, taps: Collection[str]) -> tuple[int, int]:
    """Stride of the deepest of some taps, and the radius that they see, rounded up to the stride; pixels."""
    infos = [backbone.taps.get(tap, IMAGE_TAP) for tap in taps]
    stride = math.lcm(*(info.stride for info in infos))
    radius = max((info.receptive_field for info in infos), default=1) // 2
    return stride, -(-radius // stride) * stride


class PlainPass:
    """The pass of any network, by autograd.

    Args:
        backbone: the network.
        taps: taps whose activations it finds.
        summed: taps whose sums over positions it finds.
    """

    def __init__(self, backbone: Backbone, taps: Collection[str], summed: Collection[str]) -> None:
        self.backbone, self.taps, self.summed = backbone, tuple(taps), tuple(summed)

    def __call__(self, image: Image) -> PassOutput:
        features = self.backbone(image, {*self.taps, *self.summed})
        sums = {tap: sums_of(features[tap]) for tap in self.summed}
        return PassOutput({tap: features[tap] for tap in self.taps}, sums)


def without_prefix(weights: Mapping[str, Tensor], *firsts: str) -> Mapping[str, Tensor]:
    """The same weights, without what a training script puts before all names (``module.``, ``backbone.``).

    Args:
        weights: tensors by name.
        firsts: possible names of the first layer's weight; one that begins with ``features.`` is also found without it.
    """
    weights = {re.sub(r"(^|\.)module\.", r"\1", key): value for key, value in weights.items()}  # of DataParallel
    for first in firsts:
        prefixes = sorted((key.removesuffix(first) for key in weights if key.endswith(first)), key=len)
        prefixes = [prefix for prefix in prefixes if not prefix or prefix.endswith(".")]
        if prefixes:
            return {key.removeprefix(prefixes[0]): value for key, value in weights.items()}
    for first in firsts:
        if first.startswith("features.") and first.removeprefix("features.") in weights:
            return {f"features.{key}": value for key, value in weights.items()}
    return weights
