"""The painter made of ordinary operators, which other runtimes compute: one module reads a painting, one paints.

The steps are those of the method ``instant`` at quality ``normal``, from small to large, where each size is half of the
next. Departures: sizes are rounded up to whole pixels, so that each is exactly half of the next, padded, where it is
not; transports come from matrix products instead of eigenvalues (``roots.py``); very small pictures are padded less.
"""

import math
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional as F

from artune.backbones.base import Image
from artune.networks.folded import Folded, FoldedLevel
from artune.networks.painter import (
    BLOCK,
    CONTENT,
    FLOOR,
    LOG_ODDS,
    REVISION_TAPS,
    RIDGES,
    SLOPE,
    STEP_TAPS,
    STRIDE,
    TAPS,
    Painter,
    Transport,
)
from artune.networks.roots import polar_factor, roots
from artune.spec.style import WEAK

LOBES = 3
"""Lobes of the Lanczos kernel that pictures are reduced with, as Pillow's."""
BICUBIC = (-9 / 256, 67 / 256, 225 / 256, -27 / 256)
"""Weights of the pixels two and one before, at and one behind a place that lies a quarter of a pixel before a pixel's
middle, as PyTorch's (Keys 1981, equation 4, a = -0.75)."""
LEAST = (1e-4, 1e-3, 1e-3, 1e-3)
"""Bound for the polar factor at each tap: singular values below it are not carried all the way to the painting's. No
deep tap of a picture had one so small, and each halving costs products of its large matrices."""


class Size(NamedTuple):
    """A size at which a picture is painted.

    Attributes:
        factor: the whole size over this one.
        steps: number of steps.
        taps: number of taps that a step sees.
    """

    factor: int
    steps: int
    taps: int


SMALL = (Size(4, 2, STEP_TAPS), Size(2, 1, STEP_TAPS), Size(1, 1, STEP_TAPS))
"""Sizes of a picture up to 512 pixels, about."""
LARGE = (Size(8, 2, STEP_TAPS), Size(4, 1, STEP_TAPS), Size(2, 1, STEP_TAPS), Size(1, 1, REVISION_TAPS))
"""Sizes of a larger picture: at the whole size, fine texture alone is renewed."""


class Target(NamedTuple):
    """What features of one tap are carried to.

    Attributes:
        mean: of the painting's features, ``[c]``.
        root: of their covariance with a ridge, ``[c, c]``.
    """

    mean: Float[Tensor, "c"]
    root: Float[Tensor, "c c"]


class PortableReading(nn.Module):
    """Reads a painting at one size.

    Args:
        painter: the painter.
        taps: number of taps.
    """

    def __init__(self, painter: Painter, taps: int) -> None:
        super().__init__()
        self.painter, self.taps = painter, taps

    def forward(self, painting: Float[Tensor, "1 3 h w"]) -> Float[Tensor, "1 k"]:
        """Mean and root of the covariance of its features, tap by tap.

        Args:
            painting: at this size; height and width are multiples of ``STRIDE``.
        """
        found = []
        for place, each in enumerate(features_of(self.painter, painting, self.taps)):
            mean, cov = mean_and_covariance(self.painter, each, place)
            found += [mean, roots_of(self.painter, cov, place)[0].flatten()]
        return torch.cat(found).unsqueeze(0)


class PortableStep(nn.Module):
    """A step of the painter at one size.

    Args:
        painter: the painter.
        taps: number of taps that it sees.
    """

    def __init__(self, painter: Painter, taps: int) -> None:
        super().__init__()
        self.painter, self.taps = painter, taps

    def forward(
        self,
        picture: Float[Tensor, "1 3 h w"],
        photograph: Float[Tensor, "1 3 h w"],
        style: Float[Tensor, "1 k"],
        about: Float[Tensor, "1 e"],
    ) -> Float[Tensor, "1 3 h w"]:
        """The picture after the step.

        Args:
            picture: before the step; height and width are multiples of ``STRIDE``.
            photograph: at the same size.
            style: what ``PortableReading`` has read of the painting at this size.
            about: what the decoder is told (``LearnedStep.about_steps``).
        """
        whole = self.taps == STEP_TAPS
        own = features_of(self.painter, photograph, self.taps)[CONTENT] if whole else None
        seen = features_of(self.painter, picture, self.taps)
        targets = self.targets(style)
        transports = [
            transport(self.painter, *each, place) for place, each in enumerate(zip(seen, targets, strict=True))
        ]
        step = Folded(self.painter.whole if whole else self.painter.revision, transports, about)
        return stepped(step, photograph, seen, own).clamp(0, 1)

    def targets(self, style: Float[Tensor, "1 k"]) -> list[Target]:
        """The targets of each tap."""
        found, begin = [], 0
        for count in channels_of(self.painter)[: self.taps]:
            end = begin + count + count**2
            found.append(Target(style[0, begin : begin + count], style[0, begin + count : end].view(count, count)))
            begin = end
        return found


class PortablePainting(nn.Module):
    """Reads a painting at all sizes.

    Args:
        sizes: from small to large.
        readings: reads a painting at one size, by the number of taps.
    """

    def __init__(self, sizes: Sequence[Size], readings: Mapping[int, nn.Module]) -> None:
        super().__init__()
        self.sizes, self.readings = sizes, by_taps(readings)

    def forward(self, painting: Float[Tensor, "1 3 h w"]) -> Float[Tensor, "1 k"]:
        """What is read at each size, one after the other."""
        at = [(size, padded(at_size(painting, self.sizes, size), STRIDE)) for size in self.sizes]
        return torch.cat([self.readings[str(size.taps)](image) for size, image in at], 1)


class PortablePainter(nn.Module):
    """Paints.

    Args:
        painter: the painter.
        sizes: from small to large.
        steps: makes a step, by the number of taps that it sees.
    """

    def __init__(self, painter: Painter, sizes: Sequence[Size], steps: Mapping[int, nn.Module]) -> None:
        super().__init__()
        self.painter, self.sizes, self.steps = painter, sizes, by_taps(steps)

    def forward(
        self, photograph: Float[Tensor, "1 3 h w"], style: Float[Tensor, "1 k"], strength: Float[Tensor, "1"]
    ) -> Float[Tensor, "1 3 h w"]:
        """The picture.

        Args:
            photograph: in [0, 1].
            style: what ``PortablePainting`` has read.
            strength: 0 is the photograph, 1 style alone; below and above, it counts as 0 and 1.
        """
        told = strength.clamp(*(1 / (1 + math.exp(-odds)) for odds in LOG_ODDS))
        log_odds = (told / (1 - told)).log()
        picture = before = photograph
        begin = 0
        for level, size in enumerate(self.sizes):
            end = begin + style_length(self.painter, [size])
            here = at_size(photograph, self.sizes, size)
            # what was changed so far is enlarged: the edges are those of the photograph at this size
            picture = (here + doubled(picture - before, here)).clamp(0, 1) if level else here
            (height, width), beside = here.shape[-2:], padded(here, STRIDE)
            learned = self.painter.whole if size.taps == STEP_TAPS else self.painter.revision
            for done in range(size.steps):
                about = learned.about_steps(log_odds, done, level == done == 0)
                made = self.steps[str(size.taps)](padded(picture, STRIDE), beside, style[:, begin:end], about)
                picture = made[..., :height, :width]
            before, begin = here, end
        share = (strength / WEAK).clamp(0, 1)  # weak styles are blended, as by ``artune.transfer.canvas.weakened``
        return photograph + share * (picture - photograph)


def by_taps(modules: Mapping[int, nn.Module]) -> nn.ModuleDict:
    """Modules by the number of taps that they see."""
    return nn.ModuleDict({str(taps): module for taps, module in modules.items()})


def channels_of(painter: Painter) -> list[int]:
    """Channels of each tap."""
    return [painter.encoder.taps[tap].channels for tap in TAPS]


def style_length(painter: Painter, sizes: Sequence[Size]) -> int:
    """Number of values that are read of a painting."""
    channels = channels_of(painter)
    return sum(count + count**2 for size in sizes for count in channels[: size.taps])


def padded(image: Image, multiple: int) -> Image:
    """A picture whose sides are multiples of a number, by repeating its last row and column."""
    down, right = (multiple - 1 - (side - 1) % multiple for side in image.shape[-2:])
    return F.pad(image, (0, right, 0, down), mode="replicate")


def at_size(image: Image, sizes: Sequence[Size], size: Size) -> Image:
    """A picture at one of its sizes; its sides are rounded up to whole pixels."""
    if size.factor == 1:
        return image
    rows, columns = ((side + size.factor - 1) // size.factor for side in image.shape[-2:])
    return reduced(padded(image, sizes[0].factor), size.factor)[..., :rows, :columns]


def reduced(image: Image, factor: int) -> Image:
    """A picture at a fraction of its size, as ``Picture.resized`` makes it (Lanczos), but for the border's pixels.

    Args:
        image: its sides are multiples of ``factor``.
        factor: of the sides.
    """
    kernel = torch.tensor(lanczos(factor), device=image.device).expand(image.shape[1], 1, 1, -1)
    border = (kernel.shape[3] - factor) // 2
    x = F.conv2d(F.pad(image, (border,) * 4, mode="replicate"), kernel, stride=(1, factor), groups=image.shape[1])
    return F.conv2d(x, kernel.transpose(2, 3), stride=(factor, 1), groups=image.shape[1]).clamp(0, 1)


def lanczos(factor: int) -> list[float]:
    """Weights of the pixels around a pixel of a picture that is reduced by a factor; their sum is 1."""
    count = 2 * LOBES * factor
    places = [(place + 0.5) / factor - LOBES for place in range(count)]
    weights = [math.sin(math.pi * x) * math.sin(math.pi * x / LOBES) / x**2 for x in places]
    return [weight / sum(weights) for weight in weights]


def doubled(change: Tensor, like: Image) -> Tensor:
    """A change of a picture at twice its size (bicubic), without the last row or column if that is one too many.

    By a convolution that makes the four pixels of each: other runtimes take a hundred times as long to interpolate.
    """
    height, width = like.shape[-2:]
    before = torch.tensor([*BICUBIC, 0.0], device=change.device)
    kernels = torch.stack([before, before.flip(0)])  # of the pixels a quarter before and behind the middle of each
    weight = torch.einsum("ri,cj->rcij", kernels, kernels).flatten(0, 1).unsqueeze(1).repeat(change.shape[1], 1, 1, 1)
    x = F.conv2d(F.pad(change, (2, 2, 2, 2), mode="replicate"), weight, groups=change.shape[1])
    return F.pixel_shuffle(x, 2)[..., :height, :width]


def features_of(painter: Painter, image: Image, number: int) -> list[Tensor]:
    """Features of the first ``number`` of ``TAPS``, as the compact network has them.

    Args:
        painter: has the network.
        image: its sides are multiples of ``STRIDE``.
        number: of taps.
    """
    encoder = painter.encoder
    x, found = F.pad(image, (encoder.margin + 1,) * 4, mode="replicate"), []
    for place, stage in enumerate(encoder.stages[:number]):
        for convolution in stage:  # type: ignore[attr-defined]
            x = F.leaky_relu(convolution(x), encoder.config.slope)
        margin = encoder.margin // 2**place
        rest = 2 * encoder.margin // 2**place - margin
        found.append(x[..., margin:-rest, margin:-rest])
        x = F.avg_pool2d(x, 2) if place < number - 1 else x
    return found


def mean_and_covariance(
    painter: Painter, features: Float[Tensor, "1 c h w"], place: int
) -> tuple[Float[Tensor, "c"], Float[Tensor, "c c"]]:
    """Mean of features, and covariance with the ridge of a tap."""
    rows = features[0].flatten(1)
    mean = rows.mean(1)
    centred = rows - mean.unsqueeze(1)
    cov = centred @ centred.T / rows.shape[1]
    one = torch.eye(len(cov), dtype=cov.dtype, device=cov.device)
    level = RIDGES[place] * ((cov * one).sum() / len(cov) + FLOOR * painter.units[place].square())
    return mean, cov + level * one


def roots_of(painter: Painter, cov: Float[Tensor, "c c"], place: int) -> tuple[Tensor, Tensor]:
    """Root and inverse root of a covariance with a ridge; of its diagonal alone if the painter does not whiten."""
    if painter.config.whitening:
        return roots(cov, RIDGES[place] / len(cov))
    deviation = cov.diagonal().sqrt()
    return torch.diag(deviation), torch.diag(1 / deviation)


def transport(painter: Painter, features: Float[Tensor, "1 c h w"], target: Target, place: int) -> Transport:
    """The transport of a picture's features at a tap, C^-1/2 U R with U the polar factor of C^1/2 R.

    It is that of ``Painter.transports``: with C^1/2 R = U H, both are symmetric and positive, and carry C to R^2. This
    form never squares R or C^1/2, so that fp32 suffices.

    Args:
        painter: the painter.
        features: of the picture.
        target: of the painting.
        place: of the tap.
    """
    mean, cov = mean_and_covariance(painter, features, place)
    root, inverse = roots_of(painter, cov, place)
    turned = polar_factor(root @ target.root, LEAST[place]) @ target.root if painter.config.whitening else target.root
    matrix = inverse @ turned
    shift = target.mean - (matrix @ mean.unsqueeze(1)).squeeze(1)
    one = torch.eye(len(cov), dtype=cov.dtype, device=cov.device)
    return Transport((matrix - one).unsqueeze(0), shift.unsqueeze(0))


def stepped(step: Folded, photograph: Image, features: Sequence[Tensor], own: Tensor | None) -> Image:
    """The picture after a step; as ``Folded`` makes it, which writes to memory that it has used."""
    x: Tensor | None = None
    for place, level in zip(reversed(range(len(step.levels))), step.levels, strict=True):
        x = at_level(level, features[place + 1], own, features[0], photograph, x)
    assert x is not None
    out = F.pixel_shuffle(F.conv2d(repeated(x), step.last.weight, step.last.bias), BLOCK)
    return out + F.conv2d(features[0], step.matrix[:, :, None, None], step.shift)


def at_level(
    level: FoldedLevel,
    features: Tensor,
    own: Tensor | None,
    first: Tensor,
    photograph: Tensor,
    before: Tensor | None,
) -> Tensor:
    """The output of a level; the arguments are those of ``FoldedLevel``."""
    x = F.conv2d(features, level.features, level.bias)
    if level.own is not None and own is not None:
        x = x + F.conv2d(own, level.own)
    if level.first is not None and level.photograph is not None:
        x = x + F.conv2d(first, level.first, stride=BLOCK) + F.conv2d(photograph, level.photograph, stride=BLOCK)
    if level.before is not None and before is not None:
        x = x + F.interpolate(F.conv2d(before, level.before), scale_factor=2, mode="bilinear")
    x = F.leaky_relu(x, SLOPE)
    for weight, bias in level.others:
        x = x + F.leaky_relu(F.conv2d(repeated(x), weight, bias), SLOPE)
    return x


def repeated(x: Tensor) -> Tensor:
    """A map with its border repeated by one position."""
    return F.pad(x, (1, 1, 1, 1), mode="replicate")
