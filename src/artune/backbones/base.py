"""The one interface of perceptual networks: a picture goes in, named activations come out."""

from abc import ABC, abstractmethod
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from types import MappingProxyType

from jaxtyping import Float
from torch import Tensor, nn

from artune.errors import UnknownNameError

Image = Float[Tensor, "b 3 _ _"]
"""sRGB in [0, 1]; a backbone normalises inside itself."""

Features = Mapping[str, Float[Tensor, "b _ _ _"]]
"""Tap name -> activations. ``image`` is the picture itself."""


@dataclass(frozen=True)
class TapInfo:
    """What is known of a tap without running the network.

    Attributes:
        channels: number of feature maps.
        stride: picture pixels per feature pixel.
        receptive_field: side, in picture pixels, of the square that one feature pixel sees; ``WHOLE`` where it sees
            all of the picture.
        cost: multiply-adds per picture pixel to run the network up to this tap.
        values: activations per picture pixel on the way to this tap, itself included: what a gradient keeps in memory.
        reachable: whether the weights at hand go this deep.
    """

    channels: int
    stride: int
    receptive_field: int
    cost: float
    values: float
    reachable: bool = True


WHOLE = 2**20
"""A receptive field larger than any picture."""

IMAGENET_MEAN, IMAGENET_STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
"""Of ImageNet's pictures: what torchvision's networks expect to be taken away and divided by."""

IMAGE_TAP = TapInfo(channels=3, stride=1, receptive_field=1, cost=0.0, values=3.0)


class Backbone(nn.Module, ABC):
    """A perceptual network with named taps.

    ``forward`` runs to the deepest tap asked for and no further. The result also holds ``image``
    when that tap is asked for. Parameters never require gradients.

    Attributes:
        name: what the user calls the network.
        taps: every tap the structure has, also those out of reach of the weights at hand.
        aliases: what other sources call a tap -> its name here.
        smallest: shortest picture side, in pixels, that the network takes.
        residual: whether it is like ResNet: what goes round some layers is added to what comes through, before a ReLU.
        local: whether a feature depends on no more of the picture than its receptive field.
    """

    name: str
    taps: Mapping[str, TapInfo]
    aliases: Mapping[str, str] = MappingProxyType({})
    smallest: int = 16
    residual: bool = False
    local: bool = True

    @abstractmethod
    def forward(self, image: Image, taps: Collection[str]) -> Features: ...

    @abstractmethod
    def load(self, weights: Mapping[str, Tensor], where: str) -> None:
        """Take the weights of a file.

        Args:
            weights: tensors by name.
            where: the file, for messages.

        Raises:
            WeightsError: when they do not fit.
        """

    @abstractmethod
    def weights(self, tap: str) -> dict[str, Tensor]:
        """The network's own tensors, not copies, by the names that :meth:`load` knows: at least those up to a tap."""

    def tap(self, name: str) -> str:
        """The tap's own name, from that or from another source's.

        Raises:
            UnknownNameError: naming what was given, the nearest names and the network.
        """
        if name == "image" or name in self.taps:
            return name
        if name not in self.aliases:
            raise UnknownNameError("layer", name, self.taps, where=f"network {self.name}", also=self.aliases)
        return self.aliases[name]

    def check(self, taps: Collection[str]) -> None:
        """Raise if a tap does not exist or is out of reach of the weights at hand.

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
                    why="the weights at hand end before it, choose others with --content-layers and --style-layers",
                )
