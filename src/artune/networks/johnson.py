"""Johnson's residual network: paints any photograph in the one style that it was trained for, in one pass.

Johnson, Alahi and Fei-Fei 2016, with the changes that the field has made since: instance norm in place of batch norm
(Ulyanov et al. 2016), and convolutions of an enlarged map in place of transposed ones, which paint checkerboards (Odena
et al. 2016). Every convolution sees the picture mirrored at its border; zeros there paint a frame.
"""

from collections.abc import Mapping
from copy import deepcopy
from dataclasses import asdict, dataclass
from typing import Annotated, Any, Self

from jaxtyping import Float
from pydantic import Field
from torch import Tensor, nn
from torch.nn import functional as F

from artune.backbones.base import Image
from artune.images.resize import NO_WRAPS, Wraps
from artune.spec.train_style import Width

Channels = Annotated[int, Field(ge=1, le=512)]
"""Number of channels; bounded, as a file says it."""
Blocks = Annotated[int, Field(ge=0, le=32)]
"""Number of residual blocks; likewise."""
SMALLEST = 16
"""Shortest side that the network takes, pixels: a mirrored border must be shorter than the map."""
STRIDE = 4
"""Pixels of a picture to a position of the network's smallest map."""
SWING = 150 / 255
"""Largest distance of an output from grey: 150 of 255, as in the authors' code. More than half of the range, so that
black and white lie where the tanh is not flat."""
EPSILON = 1e-3
"""Added to the variances of instance norm. The usual 1e-5 turns the noise of a flat picture into blotches."""


@dataclass(frozen=True)
class JohnsonConfig:
    """The shape of the network.

    Attributes:
        widths: channels at the strides 1, 2 and 4.
        blocks: number of residual blocks at stride 4.
    """

    widths: tuple[Channels, Channels, Channels] = (32, 64, 128)
    blocks: Blocks = 5

    @classmethod
    def of(cls, width: Width) -> Self:
        """The shape of a named width."""
        return cls(WIDTHS[width])

    def plain(self) -> dict[str, Any]:
        """Plain data of the fields."""
        return {name: [*value] if isinstance(value, tuple) else value for name, value in asdict(self).items()}


WIDTHS: Mapping[Width, tuple[int, int, int]] = {"slim": (16, 32, 64), "full": (32, 64, 128)}
"""Channels by the name of the width; ``full`` is the authors'."""


class Convolution(nn.Conv2d):
    """A convolution that keeps the size, but for its stride, and sees the map mirrored at its border; beyond the edges
    of a picture that repeats, it sees the opposite edge.

    Without a bias where instance norm follows, which would take it away again.

    Attributes:
        wraps: the axes along which pictures repeat.
    """

    wraps: Wraps = NO_WRAPS

    def __init__(self, inputs: int, outputs: int, side: int, stride: int = 1, *, bias: bool = False) -> None:
        super().__init__(inputs, outputs, side, stride, bias=bias)

    def forward(self, input: Tensor) -> Tensor:  # noqa: A002  (PyTorch's name for it)
        margin = self.kernel_size[0] // 2
        down, across = ("circular" if repeats else "reflect" for repeats in self.wraps)
        wide = F.pad(input, (margin, margin, 0, 0), mode=across)
        return super().forward(F.pad(wide, (0, 0, margin, margin), mode=down))


def repeating(network: "Johnson", wraps: Wraps) -> "Johnson":
    """The network for pictures that repeat, whose sides are multiples of ``STRIDE`` along these axes."""
    if not any(wraps):
        return network
    copied = deepcopy(network)
    for module in copied.modules():
        if isinstance(module, Convolution):
            module.wraps = wraps
    return copied


def norm(channels: int) -> nn.InstanceNorm2d:
    """Instance norm with a scale and a shift of each channel."""
    return nn.InstanceNorm2d(channels, eps=EPSILON, affine=True)


def layer(inputs: int, outputs: int, side: int, stride: int = 1) -> nn.Sequential:
    """Convolution, instance norm, ReLU."""
    return nn.Sequential(Convolution(inputs, outputs, side, stride), norm(outputs), nn.ReLU())


def enlarging(inputs: int, outputs: int) -> nn.Sequential:
    """The same after the map was enlarged to twice its size."""
    return nn.Sequential(nn.Upsample(scale_factor=2, mode="nearest"), *layer(inputs, outputs, 3))


class ResidualBlock(nn.Module):
    """Two convolutions, whose output is added to what was given; without a ReLU after the addition (Gross and Wilber
    2016).

    Args:
        channels: of input and output.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.change = nn.Sequential(*layer(channels, channels, 3), Convolution(channels, channels, 3), norm(channels))

    def forward(self, x: Float[Tensor, "b c h w"]) -> Float[Tensor, "b c h w"]:
        changed: Tensor = x + self.change(x)
        return changed


class Johnson(nn.Module):
    """The network; see the top of this file.

    Args:
        config: its shape.
    """

    def __init__(self, config: JohnsonConfig = JohnsonConfig()) -> None:
        super().__init__()
        self.config = config
        first, second, third = config.widths
        self.down = nn.Sequential(layer(3, first, 9), layer(first, second, 3, 2), layer(second, third, 3, 2))
        self.blocks = nn.Sequential(*(ResidualBlock(third) for _ in range(config.blocks)))
        self.up = nn.Sequential(enlarging(third, second), enlarging(second, first))
        self.last = Convolution(first, 3, 9, bias=True)

    def forward(self, image: Image) -> Image:
        """The picture in the style, sRGB in [0, 1].

        Args:
            image: ``[b, 3, h, w]`` in [0, 1], with sides of at least ``SMALLEST``.
        """
        return self.unclamped(image).clamp(0, 1)

    def unclamped(self, image: Image) -> Image:
        """The picture in the style, up to ``SWING`` around grey: for a loss, which has no gradient where it is clamped.

        Args:
            image: as in ``forward``.
        """
        height, width = image.shape[-2:]
        x = self.last(self.up(self.blocks(self.down(image))))
        made: Tensor = 0.5 + SWING * x[..., :height, :width].tanh()  # sides that are no multiple of 4 come out longer
        return made
