"""The painter: paints any photograph in the style of any painting, at any strength, in a few learned steps.

A step sees picture, photograph and painting through the compact network. At each tap, the optimal transport of
Gaussians says where the picture's features would have to go to have the mean and covariance of the painting's. This
displacement is the gradient of artune's style distance, the squared Wasserstein distance, at this tap, and its length
is the distance itself. A decoder turns the displacements of all taps into a change of the picture. So a step does what
one of the optimisation does, but how features become pixels is learned (learned gradient descent: Andrychowicz et al.
2016, Adler and Oktem 2017): a few steps go as far as dozens.

Steps run from a small size to the size of the result. At large sizes a step sees the shallow taps alone, because the
strokes are there already: it revises the fine texture, at a third of the cost.
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Annotated, Any, NamedTuple, Self

import torch
from jaxtyping import Float
from pydantic import Field
from torch import Tensor, nn
from torch.nn import functional as F

from artune.backbones.base import Image
from artune.backbones.compact import GAIN, RGB, Compact
from artune.losses import moments as fn

TAPS = ("relu1_1", "relu2_1", "relu3_1", "relu4_1", "relu5_1")
"""Taps of the compact network that the style is measured at."""
STEP_TAPS = 4
"""Number of ``TAPS`` that a step sees."""
REVISION_TAPS = 2
"""Number of ``TAPS`` that a revision sees."""
CONTENT = 3
"""Index of the tap that keeps the content."""
STRIDE = 8
"""Largest stride that the decoder works at; sides of pictures are multiples of it."""
LOG_ODDS = (-1.5, 4.0)
"""Log odds of the least and the largest strength that a painter is trained for."""
RIDGES = (1e-3, 1e-3, 3e-3, 1e-2, 1e-2)
"""Added to the covariance of each tap before a root is taken, in units of its mean eigenvalue."""
FLOOR = 0.1
"""Added to this mean eigenvalue, in squared units of the tap: a flat picture has no contrast to be enlarged."""
SMALLEST = 1e-7
"""Smallest eigenvalue of which fp32 finds the root, in units of the largest."""
SLOPE = 0.1
"""Slope of the decoder's activations below zero."""
BLOCK = 2
"""Side of the blocks of pixels that the decoder sees and makes as one position."""


Width = Annotated[int, Field(ge=1, le=1024)]
"""Number of channels; bounded, as a file says it."""
Count = Annotated[int, Field(ge=1, le=16)]
"""Number of convolutions; likewise."""


@dataclass(frozen=True)
class PainterConfig:
    """The shape of a painter.

    Attributes:
        widths: channels of the decoder at the strides 2, 4 and 8.
        convolutions: number of 3x3 convolutions there.
        revision: channels of the revision.
        revision_convolutions: number of its 3x3 convolutions.
        embedding: channels of what the decoder is told of the strength.
        whitening: whether features are carried to the whole covariance; else to the deviation of each channel alone,
            as in AdaIN (Huang and Belongie 2017).
    """

    widths: tuple[Width, Width, Width] = (32, 80, 128)
    convolutions: tuple[Count, Count, Count] = (2, 1, 2)
    revision: Width = 32
    revision_convolutions: Count = 2
    embedding: Width = 32
    whitening: bool = True

    @classmethod
    def of(cls, fields: Mapping[str, Any]) -> Self:
        """A shape from plain data."""
        given: dict[str, Any] = {name: tuple(v) if isinstance(v, list) else v for name, v in fields.items()}
        return cls(**given)

    def plain(self) -> dict[str, Any]:
        """Plain data that ``of`` reads."""
        return {name: [*value] if isinstance(value, tuple) else value for name, value in asdict(self).items()}


class Transport(NamedTuple):
    """The optimal transport of one Gaussian to another, as the displacement of a feature: ``matrix @ f + shift``.

    Attributes:
        matrix: ``[b, c, c]``; the matrix of the transport less the identity.
        shift: ``[b, c]``.
    """

    matrix: Float[Tensor, "b c c"]
    shift: Float[Tensor, "b c"]


class Level(nn.Module):
    """The decoder at one stride: convolutions whose outputs are scaled and shifted by what is told (FiLM).

    Args:
        groups: channels of each group of inputs, and how many pixels of it a position has along a side; what is told
            has a factor for each group.
        before: channels of the level before, 0 if there is none.
        width: channels of the output.
        convolutions: number of 3x3 convolutions.
        embedding: channels of what is told.
    """

    def __init__(
        self, groups: Sequence[tuple[int, int]], before: int, width: int, convolutions: int, embedding: int
    ) -> None:
        super().__init__()
        inputs = before + sum(channels * side**2 for channels, side in groups)
        self.before = nn.Conv2d(before, width, 1, bias=False) if before else None
        self.groups = nn.ModuleList(nn.Conv2d(channels, width, side, side, bias=False) for channels, side in groups)
        others = [nn.Conv2d(width, width, 3, padding=1, padding_mode="replicate") for _ in range(convolutions)]
        self.others = nn.ModuleList(others)
        self.factors = nn.Linear(embedding, len(groups))
        self.told = nn.ModuleList(nn.Linear(embedding, 2 * width) for _ in range(convolutions + 1))
        for linear in (self.factors, *self.told):
            nn.init.normal_(linear.weight, std=0.02)
            nn.init.zeros_(linear.bias)
        for convolution in (*self.groups, *([self.before] if self.before else [])):
            nn.init.normal_(convolution.weight, std=(2 / inputs) ** 0.5)
        for convolution in others:
            nn.init.kaiming_normal_(convolution.weight, SLOPE)
            nn.init.zeros_(convolution.bias)  # type: ignore[arg-type]

    def forward(self, groups: Sequence[tuple[Tensor, Tensor]], before: Tensor | None, about: Tensor) -> Tensor:
        """The output ``[b, width, h, w]``.

        Args:
            groups: the groups of inputs, each with its unit.
            before: the output of the level before.
            about: what is told, ``[b, e]``.
        """
        factors = self.factors(about).exp()
        x: Tensor | None = None
        for place, ((group, unit), convolution) in enumerate(zip(groups, self.groups, strict=True)):
            factor = (factors[:, place] / unit)[:, None, None, None]
            x = factor * convolution(group) if x is None else torch.addcmul(x, factor, convolution(group))
        assert x is not None
        if self.before is not None and before is not None:  # a 1x1 convolution may as well come before the resizing
            x = x + F.interpolate(self.before(before), size=x.shape[2:], mode="bilinear")
        x = self._told(x, about, 0)
        for place, convolution in enumerate(self.others, start=1):
            x = x + self._told(convolution(x), about, place)
        return x

    def _told(self, x: Tensor, about: Tensor, place: int) -> Tensor:
        scale, shift = self.told[place](about)[:, :, None, None].chunk(2, 1)
        return F.leaky_relu(torch.addcmul(shift, x, 1 + scale), SLOPE)


class LearnedStep(nn.Module):
    """One step: from a picture, its features and their displacements to a better picture.

    Args:
        channels: of the taps that the step sees, from shallow to deep.
        widths: channels of the decoder at the strides 2, 4 and so on.
        convolutions: number of 3x3 convolutions there.
        embedding: channels of what the decoder is told of the strength.
    """

    units: Tensor

    def __init__(
        self, channels: Sequence[int], widths: Sequence[int], convolutions: Sequence[int], embedding: int
    ) -> None:
        super().__init__()
        self.register_buffer("units", torch.ones(len(channels)))
        self.about = nn.Sequential(
            nn.Linear(5, embedding), nn.LeakyReLU(SLOPE), nn.Linear(embedding, embedding), nn.LeakyReLU(SLOPE)
        )
        levels, before = [], 0
        for place in reversed(range(len(widths))):
            tap = place + 1
            groups = [(channels[tap], 1)] * (3 if tap == CONTENT else 2)
            if place == 0:
                groups += [(channels[0], BLOCK), (RGB, BLOCK), (RGB, BLOCK)]
            levels.append(Level(groups, before, widths[place], convolutions[place], embedding))
            before = widths[place]
        self.levels = nn.ModuleList(levels)
        self.last = nn.Conv2d(before, RGB * BLOCK**2, 3, padding=1, padding_mode="replicate")
        nn.init.normal_(self.last.weight, std=1e-3)
        nn.init.zeros_(self.last.bias)  # type: ignore[arg-type]
        self.colour = nn.Linear(embedding, 1)
        nn.init.zeros_(self.colour.weight)
        nn.init.zeros_(self.colour.bias)

    def forward(
        self,
        image: Image,
        photograph: Image,
        features: Sequence[Tensor],
        displacements: Sequence[Tensor],
        lost: Tensor | None,
        log_odds: Float[Tensor, "b"],
        done: int,
        first: bool,
    ) -> Image:
        """The picture after the step; a little outside [0, 1] in places.

        Args:
            image: the picture; height and width are multiples of the largest stride.
            photograph: at the same size.
            features: of the picture.
            displacements: of these features.
            lost: the photograph's features less the picture's, at the content tap; only if the step sees it.
            log_odds: of the strength.
            done: number of steps that were done at this size.
            first: whether the picture is still the photograph.
        """
        about = self.about_steps(log_odds, done, first)
        one = torch.ones_like(self.units[0])
        x: Tensor | None = None
        for level, place in zip(self.levels, reversed(range(len(self.levels))), strict=True):
            tap = place + 1
            unit = self.units[tap]
            groups = [(features[tap], unit), (displacements[tap], unit)]
            if tap == CONTENT and lost is not None:
                groups.append((lost, unit))
            if place == 0:
                groups += [(displacements[0], self.units[0]), (image, one), (photograph - image, one)]
            x = level(groups, x, about)
        # the first channels of the first tap are the picture itself
        colours = self.colour(about).sigmoid()[:, :, None, None] / GAIN * displacements[0][:, :RGB]
        out: Tensor = image + colours + F.pixel_shuffle(self.last(x), BLOCK)
        return out

    def about_steps(self, log_odds: Float[Tensor, "b"], done: int, first: bool) -> Float[Tensor, "b e"]:
        """What the decoder is told of the strength and of the steps that were done."""
        odds = (log_odds / 4).unsqueeze(1)
        steps, begun = (torch.full_like(odds, value) for value in (1 / (1 + done), float(first)))
        about: Tensor = self.about(torch.cat([odds, log_odds.sigmoid().unsqueeze(1), odds.square(), steps, begun], 1))
        return about


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
        self.whole = LearnedStep(channels[:STEP_TAPS], config.widths, config.convolutions, config.embedding)
        self.revision = LearnedStep(
            channels[:REVISION_TAPS], (config.revision,), (config.revision_convolutions,), config.embedding
        )

    def set_units(self, units: Float[Tensor, "t"]) -> None:
        """Set the unit of each of ``TAPS``: the root mean square of its features over many pictures."""
        for own in (self.units, self.whole.units, self.revision.units):
            own.copy_(units[: len(own)])

    def features(self, image: Image, number: int = len(TAPS)) -> list[Tensor]:
        """Features of the first ``number`` of ``TAPS``."""
        taps = TAPS[:number]
        found = self.encoder(image, taps)
        return [found[tap] for tap in taps]

    def gaussians(self, moments: Sequence[fn.Moments]) -> list[fn.Gaussian]:
        """Gaussians with the moments of a painting at each of ``TAPS``: what features are carried to."""
        found = []
        for place, each in enumerate(moments):
            mean, cov = self._mean_and_covariance(each, place)
            found.append(fn.Gaussian(mean, cov, self._roots(cov)[0]))
        return found

    def transports(self, moments: Sequence[fn.Moments], gaussians: Sequence[fn.Gaussian]) -> list[Transport]:
        """The transports of a picture's features at each tap, R (R C R)^-1/2 R with R = S^1/2.

        (Dowson and Landau 1982; of all maps that carry the one Gaussian to the other, it moves features least.)

        Args:
            moments: of the picture's features.
            gaussians: of the painting.
        """
        found = []
        for place, (each, target) in enumerate(zip(moments, gaussians, strict=False)):
            mean, cov = self._mean_and_covariance(each, place)
            if self.config.whitening:
                _, inverse = self._roots(target.root @ cov @ target.root)
                matrix = target.root @ inverse @ target.root
            else:
                ratio = target.cov.diagonal(dim1=1, dim2=2) / cov.diagonal(dim1=1, dim2=2)
                matrix = torch.diag_embed(ratio.sqrt())
            shift = target.mean - (matrix @ mean.unsqueeze(2)).squeeze(2)
            matrix = matrix - torch.eye(matrix.shape[1], dtype=matrix.dtype, device=matrix.device)
            found.append(Transport(matrix, shift))
        return found

    def _mean_and_covariance(self, moments: fn.Moments, place: int) -> tuple[Tensor, Tensor]:
        """Mean and covariance at a tap, with a ridge."""
        mean, cov = (each.to(self.units.dtype) for each in fn.mean_and_covariance(moments))  # sums of tiles are fp64
        diagonal = cov.diagonal(dim1=1, dim2=2)
        level = RIDGES[place] * (diagonal.mean(1).clamp(min=0) + FLOOR * self.units[place].square())
        diagonal += level.unsqueeze(1)
        return mean, cov

    @staticmethod
    def _roots(m: Float[Tensor, "b c c"]) -> tuple[Float[Tensor, "b c c"], Float[Tensor, "b c c"]]:
        """Root and inverse root of symmetric positive matrices."""
        values, vectors = fn.eigh(m)
        values = torch.maximum(values, SMALLEST * values[:, -1:]).clamp(min=1e-20).unsqueeze(1)
        back = vectors.transpose(1, 2)
        return (vectors * values.sqrt()) @ back, (vectors * values.rsqrt()) @ back


def displacement(features: Float[Tensor, "b c h w"], transport: Transport) -> Float[Tensor, "b c h w"]:
    """Where a transport would move features to, less where they are."""
    rows = features.permute(0, 2, 3, 1)  # contiguous, as networks run with channels last
    moved = torch.baddbmm(transport.shift.unsqueeze(1), rows.flatten(1, 2), transport.matrix.transpose(1, 2))
    return moved.view(rows.shape).permute(0, 3, 1, 2)
