"""Networks that make one picture of another, small enough for tests."""

from torch import Tensor, nn


class Residual(nn.Module):
    """Two convolutions whose result is added to the input."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.body = nn.Sequential(*convolution(width, width), nn.ReLU(), *convolution(width, width))

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = x + self.body(x)
        return out


def convolution(channels: int, width: int, side: int = 3, stride: int = 1) -> list[nn.Module]:
    """A convolution with instance normalisation, whose border is reflected."""
    layers = [nn.ReflectionPad2d(side // 2), nn.Conv2d(channels, width, side, stride)]
    return [*layers, nn.InstanceNorm2d(width, affine=True)]


class Tiny(nn.Module):
    """The layers of Johnson's network (2016), a few channels wide. Sides of pictures are multiples of 2."""

    def __init__(self) -> None:
        super().__init__()
        self.body = nn.Sequential(
            *convolution(3, 6, 5),
            nn.ReLU(),
            *convolution(6, 8, 3, 2),
            nn.ReLU(),
            Residual(8),
            nn.Upsample(scale_factor=2, mode="nearest"),
            nn.ReplicationPad2d(1),
            nn.Conv2d(8, 3, 3),
            nn.Sigmoid(),
        )

    def forward(self, image: Tensor) -> Tensor:
        height, width = image.shape[-2:]
        x = nn.functional.pad(image, (0, 1 - (width - 1) % 2, 0, 1 - (height - 1) % 2), mode="replicate")
        out: Tensor = self.body(x)[..., :height, :width]
        return out
