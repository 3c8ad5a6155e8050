"""The painter: paints any photograph in the style of any painting, at any strength, in one pass.

Both pictures are seen through the compact network, which stays as it is. At each of four taps the photograph's features
are carried to the mean and covariance of the painting's, by the optimal transport of Gaussians. At the deepest of them
every position is also given the painting's features that are most like it: moments bring palette and grain, neighbours
bring strokes. A decoder makes a picture of both, told the strength and the painting's statistics.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional as F

from artune.backbones.base import Image
from artune.backbones.compact import GAIN, RGB, Compact

TAPS = ("relu1_1", "relu2_1", "relu3_1", "relu4_1")
"""Taps of the compact network that the painter sees."""
RIDGES = (1e-3, 1e-3, 3e-3, 1e-2)
"""Added to the covariance of each tap before a root is taken, in units of its mean eigenvalue."""
FLOOR = 0.1
"""Added to this mean eigenvalue, in squared units of the tap: a flat picture has no contrast to be enlarged."""
ROOT_STEPS = 16
"""Steps of Newton's iteration: enough for eigenvalues down to 1e-5 of the largest."""
SHARPNESS = 20.0
"""Factor of the cosines before the softmax over neighbours."""
GATE = 0.2
"""Strength below which the picture goes over into the photograph, as results of the optimisation do."""
SLOPE = 0.1
"""Slope of the decoder's activations below zero."""


class Statistics(NamedTuple):
    """Mean and covariance, with a ridge, of the features of a tap over positions."""

    mean: Float[Tensor, "b c"]
    cov: Float[Tensor, "b c c"]


class PaintingFeatures(NamedTuple):
    """What the painter knows of a painting.

    Attributes:
        statistics: of each of ``TAPS``.
        deepest: features of the last of ``TAPS``, ``[b, c, n]``.
    """

    statistics: tuple[Statistics, ...]
    deepest: Float[Tensor, "b c n"]


@dataclass(frozen=True)
class PainterConfig:
    """The shape of a painter.

    Attributes:
        widths: channels of the decoder at each of ``TAPS``.
        embedding: channels of what the decoder is told of strength and painting.
        whitening: whether whole covariances are carried over; else the deviation of each channel alone, as in AdaIN
            (Huang and Belongie 2017).
        neighbours: whether positions are given the painting's nearest features.
        noise: whether every level of the decoder has a channel of noise.
    """

    widths: tuple[int, ...] = (16, 32, 64, 96)
    embedding: int = 48
    whitening: bool = True
    neighbours: bool = True
    noise: bool = True


def statistics(features: Float[Tensor, "b c h w"], ridge: float, unit: Tensor) -> Statistics:
    """Mean and covariance over positions.

    Args:
        features: of a tap.
        ridge: one of ``RIDGES``.
        unit: root mean square of the features of the tap over many pictures.
    """
    rows = features.flatten(2)
    mean = rows.mean(2)
    centred = rows - mean.unsqueeze(2)
    cov = centred @ centred.transpose(1, 2) / rows.shape[2]
    level = ridge * (cov.diagonal(dim1=1, dim2=2).mean(1) + FLOOR * unit.square())
    return Statistics(mean, cov + torch.diag_embed(level.unsqueeze(1).expand_as(mean)))


def matrix_roots(m: Float[Tensor, "b c c"]) -> tuple[Float[Tensor, "b c c"], Float[Tensor, "b c c"]]:
    """Root and inverse root of symmetric positive definite matrices, by products alone.

    The coupled iteration of Newton and Schulz (Higham, Functions of Matrices, 2008, equation 6.35).
    """
    size = m.square().sum((1, 2), keepdim=True).sqrt()
    identity = torch.eye(m.shape[1], dtype=m.dtype, device=m.device)
    root, inverse = m / size, identity.expand_as(m)
    for _ in range(ROOT_STEPS):
        change = 1.5 * identity - 0.5 * (inverse @ root)
        root, inverse = root @ change, change @ inverse
    return root * size.sqrt(), inverse / size.sqrt()


def transport(content: Statistics, style: Statistics) -> Float[Tensor, "b c c"]:
    """Matrix of the optimal transport of one Gaussian to another, C^-1/2 (C^1/2 S C^1/2)^1/2 C^-1/2.

    (Dowson and Landau 1982; of all matrices that carry C to S, it moves features least.)
    """
    root, inverse = matrix_roots(content.cov)
    between, _ = matrix_roots(root @ style.cov @ root)
    return inverse @ between @ inverse


class Level(nn.Module):
    """The decoder at one tap: two convolutions, whose outputs are scaled and shifted by what is told (FiLM).

    Args:
        channels: of the input.
        width: of the output.
        embedding: channels of what is told.
        noise: whether a channel of noise is added to the input.
    """

    def __init__(self, channels: int, width: int, embedding: int, *, noise: bool) -> None:
        super().__init__()
        self.noise = noise
        self.first = nn.Conv2d(channels + noise, width, 3, padding=1, padding_mode="replicate")
        self.second = nn.Conv2d(width, width, 3, padding=1, padding_mode="replicate")
        self.told = nn.Linear(embedding, 4 * width)
        nn.init.zeros_(self.told.weight)
        nn.init.zeros_(self.told.bias)

    def forward(self, x: Tensor, about: Float[Tensor, "b e"], generator: torch.Generator | None) -> Tensor:
        if self.noise:
            grain = torch.randn((len(x), 1, *x.shape[2:]), generator=generator)
            x = torch.cat([x, grain.to(x)], 1)
        scale, shift, other_scale, other_shift = self.told(about)[:, :, None, None].chunk(4, 1)
        x = F.leaky_relu(self.first(x) * (1 + scale) + shift, SLOPE)
        return F.leaky_relu(self.second(x) * (1 + other_scale) + other_shift, SLOPE)


class Painter(nn.Module):
    """The painter; see the top of this file.

    Args:
        encoder: the compact network, frozen.
        config: the painter's shape.
    """

    units: Tensor

    def __init__(self, encoder: Compact, config: PainterConfig = PainterConfig()) -> None:
        super().__init__()
        self.encoder, self.config = encoder, config
        channels = [encoder.taps[tap].channels for tap in TAPS]
        self.register_buffer("units", torch.ones(len(TAPS)))
        self.about = nn.Sequential(
            nn.Linear(2 * sum(channels) + 3, config.embedding),
            nn.LeakyReLU(SLOPE),
            nn.Linear(config.embedding, config.embedding),
            nn.LeakyReLU(SLOPE),
        )
        levels, before = [], 0
        for place in reversed(range(len(TAPS))):
            views = 3 if self._has_neighbours(place) else 2
            levels.append(
                Level(before + views * channels[place], config.widths[place], config.embedding, noise=config.noise)
            )
            before = config.widths[place]
        self.levels = nn.ModuleList(levels)
        self.last = nn.Conv2d(before, RGB, 3, padding=1, padding_mode="replicate")
        nn.init.zeros_(self.last.weight)
        nn.init.zeros_(self.last.bias)  # type: ignore[arg-type]

    def _has_neighbours(self, place: int) -> bool:
        return self.config.neighbours and place == len(TAPS) - 1

    def features(self, image: Image) -> list[Tensor]:
        """Features of ``TAPS``; without a gradient."""
        with torch.no_grad():
            found = self.encoder(image, TAPS)
        return [found[tap].float() for tap in TAPS]

    def read(self, painting: Sequence[Tensor]) -> PaintingFeatures:
        """What the painter knows of a painting, from its features."""
        found = zip(painting, RIDGES, self.units, strict=True)
        return PaintingFeatures(tuple(statistics(*each) for each in found), painting[-1].flatten(2))

    def views(self, photograph: Sequence[Tensor], painting: PaintingFeatures) -> list[Tensor]:
        """What the decoder sees at each of ``TAPS``: the photograph's features, carried to the painting's, neighbours.

        Args:
            photograph: its features.
            painting: what the painter knows of it.
        """
        found = []
        for place, (features, style) in enumerate(zip(photograph, painting.statistics, strict=True)):
            own = statistics(features, RIDGES[place], self.units[place])
            centred = features.flatten(2) - own.mean.unsqueeze(2)
            if self.config.whitening:
                carried = transport(own, style) @ centred
            else:
                ratio = style.cov.diagonal(dim1=1, dim2=2) / own.cov.diagonal(dim1=1, dim2=2)
                carried = ratio.sqrt().unsqueeze(2) * centred
            parts = [features, (carried + style.mean.unsqueeze(2)).view_as(features)]
            if self._has_neighbours(place):
                theirs = painting.deepest - style.mean.unsqueeze(2)
                cosines = F.normalize(carried, dim=1).transpose(1, 2) @ F.normalize(theirs, dim=1)
                nearest = torch.softmax(SHARPNESS * cosines, 2)
                parts.append((painting.deepest @ nearest.transpose(1, 2)).view_as(features))
            found.append(torch.cat(parts, 1))
        return found

    def told(self, painting: PaintingFeatures, log_odds: Float[Tensor, "b"]) -> Float[Tensor, "b e"]:
        """What the decoder is told of the painting and the strength."""
        parts = []
        for unit, (mean, cov) in zip(self.units, painting.statistics, strict=True):
            deviation = cov.diagonal(dim1=1, dim2=2).sqrt()
            parts += [mean / unit, (deviation / unit).clamp(min=1e-3).log()]
        odds = (log_odds / 4).unsqueeze(1)
        out: Tensor = self.about(torch.cat([*parts, odds, odds.square(), odds.sigmoid()], 1))
        return out

    def decode(
        self,
        photograph: Image,
        views: Sequence[Tensor],
        painting: PaintingFeatures,
        log_odds: Float[Tensor, "b"],
        generator: torch.Generator | None = None,
    ) -> Image:
        """The painted picture; a little outside [0, 1] in places.

        Args:
            photograph: ``[b, 3, h, w]`` in [0, 1].
            views: see ``views``.
            painting: what the painter knows of it.
            log_odds: of the strength.
            generator: of the noise.
        """
        about = self.told(painting, log_odds)
        x: Tensor | None = None
        for level, place in zip(self.levels, reversed(range(len(TAPS))), strict=True):
            seen = views[place] / self.units[place]
            if x is not None:
                seen = torch.cat([F.interpolate(x, size=seen.shape[2:], mode="bilinear"), seen], 1)
            x = level(seen, about, generator)
        channels = self.encoder.taps[TAPS[0]].channels
        coloured = views[0][:, channels : channels + RGB] / GAIN  # the first channels of this tap are the picture
        gate = (log_odds.sigmoid() / GATE).clamp(max=1)[:, None, None, None]
        painted: Tensor = coloured + self.last(x)
        return photograph + gate * (painted - photograph)

    def forward(
        self, photograph: Image, painting: Image, log_odds: Float[Tensor, "b"], generator: torch.Generator | None = None
    ) -> Image:
        read = self.read(self.features(painting))
        views = self.views(self.features(photograph), read)
        return self.decode(photograph, views, read, log_odds, generator)
