"""Terms that compare samples of features at random positions. They cannot be computed in tiles.

The sample of a painting is drawn once for each size. The sample of the picture is drawn anew at every step, unless the
draws are fixed.
"""

from collections.abc import Sequence
from typing import Any, ClassVar

import torch
from jaxtyping import Float
from torch import Tensor

from artune.backbones.base import Features
from artune.losses.neighbours import markov, nearest, relaxed_emd, self_similarity
from artune.losses.positions import MaskedFeatures, allot, draw, inside, mass, patches, rows
from artune.losses.protocol import Draws, Mask, TargetSource
from artune.losses.transport import histogram, orthonormal, quantiles, sliced
from artune.spec.style import Scale

SORTED_POSITIONS = 8192
"""Number of positions of a sample that is sorted (sliced, histogram)."""
MATCHED_POSITIONS = 4096
"""Number of positions in each of two samples that are matched with nearest neighbours (Kolkin 2022: 64x64)."""
PAIRED_POSITIONS = 1024
"""Number of positions in a sample of which all pairs are compared: relaxed earth mover's distance and self-similarity
(Kolkin 2019)."""
PATCHES = 1024
"""Number of patches in each of two samples that are matched."""
DIRECTIONS = 32
"""Number of directions of the sliced Wasserstein distance if each step draws new ones."""
SELF_SIMILARITY_ENERGY = 0.2
"""Energy of the self-similarity loss. With it, the ratio of distance to energy, for a photograph and a painting, is the
same as with squared differences of features."""

FIXED_FACTOR = 4
"""Factor of the positions of the picture if they are the same at every step: positions that are never drawn do not
change, and would show as grain."""

Rows = Float[Tensor, "b n c"]


class _Sampled:
    """Base of the style terms that compare samples of the positions of one tap.

    Attributes:
        limit: number of positions of a sample; for the picture it is ``FIXED_FACTOR`` times as large if draws are
            fixed.
    """

    source: TargetSource = "style"
    taps: tuple[str, ...]
    additive = False
    limit: int

    def __init__(self, tap: str, scale: Scale = "calibrated", draws: Draws = Draws()) -> None:
        self.name, self.taps, self.draws = f"style {tap}", (tap,), draws

    def measure(self, features: Features, mask: Mask | None = None) -> list[MaskedFeatures]:
        return [MaskedFeatures(features[self.taps[0]], mask)]

    def mix(self, parts: Sequence[list[MaskedFeatures]], weights: Sequence[float]) -> list[MaskedFeatures]:
        return [part._replace(share=weight) for (part,), weight in zip(parts, weights, strict=True)]

    def freeze(self, measured: list[MaskedFeatures]) -> Any:
        return self.sample(measured, self.limit, self.draws.generator(0))

    def at(self, measured: list[MaskedFeatures], generator: torch.Generator) -> Rows:
        """Sample of the picture at a step."""
        return self.sample(measured, self.limit * (FIXED_FACTOR if self.draws.fixed else 1), generator)

    def sample(self, parts: Sequence[MaskedFeatures], limit: int, generator: torch.Generator) -> Rows:
        """Features at positions of all pictures, in proportion to their shares."""
        some = zip(parts, allot(parts, limit), strict=True)
        return torch.cat([rows(part.features, draw(part, count, generator)) for part, count in some if count], 1)


class _SquaredUnits(_Sampled):
    """Base of the sampled terms whose distance is in squared feature units."""

    def energy(self, measured: list[MaskedFeatures]) -> Tensor:
        whole = sum(part.share for part in measured)
        return torch.stack([part.share / whole * _mean_square(part) for part in measured]).sum(0)


class _Cosines(_Sampled):
    """Base of the sampled terms whose distance is a cosine distance; that of unrelated features is 1."""

    def energy(self, measured: list[MaskedFeatures]) -> Tensor:
        features = measured[0].features
        return torch.ones(len(features), device=features.device)


class Sliced(_SquaredUnits):
    """Sliced Wasserstein distance, along ``DIRECTIONS`` at each step; along as many as channels if draws are fixed."""

    limit = SORTED_POSITIONS
    balance: ClassVar[float] = 15.0

    def distance(self, measured: list[MaskedFeatures], target: Rows, step: int = 0) -> Tensor:
        generator = self.draws.generator(step)
        ours = self.at(measured, generator)
        channels = ours.shape[2]
        count = channels if self.draws.fixed else min(channels, DIRECTIONS)
        return sliced(ours, target, orthonormal(channels, count, generator).to(ours))


class Histogram(_SquaredUnits):
    """Distance of the histograms of each channel."""

    limit = SORTED_POSITIONS
    balance: ClassVar[float] = 15.0

    def freeze(self, measured: list[MaskedFeatures]) -> Tensor:
        return quantiles(super().freeze(measured))

    def distance(self, measured: list[MaskedFeatures], target: Tensor, step: int = 0) -> Tensor:
        return histogram(self.at(measured, self.draws.generator(step)), target)


class Nearest(_Cosines):
    """Cosine distance of centred features to the nearest features of the style."""

    limit = MATCHED_POSITIONS
    balance: ClassVar[float] = 4.0

    def distance(self, measured: list[MaskedFeatures], target: Rows, step: int = 0) -> Tensor:
        return nearest(self.at(measured, self.draws.generator(step)), target)


class RelaxedEMD(_Cosines):
    """Relaxed earth mover's distance with cosine distances as costs."""

    limit = PAIRED_POSITIONS
    balance: ClassVar[float] = 5.0

    def distance(self, measured: list[MaskedFeatures], target: Rows, step: int = 0) -> Tensor:
        return relaxed_emd(self.at(measured, self.draws.generator(step)), target)


class MarkovRandomField(_SquaredUnits):
    """Squared distance of patches of 3x3 positions to their best matches in the style.

    Only patches within the mask and the picture are used. If there are none, patches whose centre lies in the mask are.
    """

    limit = PATCHES
    balance: ClassVar[float] = 2.5

    def sample(self, parts: Sequence[MaskedFeatures], limit: int, generator: torch.Generator) -> Rows:
        """Patches of all pictures, in proportion to their shares."""
        parts = [inside(part) for part in parts]
        some = zip(parts, allot(parts, limit), strict=True)
        return torch.cat([patches(part.features, draw(part, count, generator)) for part, count in some if count], 1)

    def distance(self, measured: list[MaskedFeatures], target: Rows, step: int = 0) -> Tensor:
        return markov(self.at(measured, self.draws.generator(step)), target)


class SelfSimilarity:
    """Content loss on the cosine distances of positions to each other (STROTSS); the same in every scale."""

    source: TargetSource = "content"
    taps: tuple[str, ...]
    additive = False

    def __init__(self, tap: str, scale: Scale = "calibrated", draws: Draws = Draws()) -> None:
        self.name, self.taps, self.draws = f"content {tap}", (tap,), draws

    def measure(self, features: Features, mask: Mask | None = None) -> MaskedFeatures:
        return MaskedFeatures(features[self.taps[0]], mask)

    def mix(self, parts: Sequence[Any], weights: Sequence[float]) -> Any:
        raise ValueError("there is one content")

    def freeze(self, measured: MaskedFeatures) -> Tensor:
        return measured.features

    def distance(self, measured: MaskedFeatures, target: Tensor, step: int = 0) -> Tensor:
        index = draw(measured, PAIRED_POSITIONS, self.draws.generator(step))
        return self_similarity(rows(measured.features, index), rows(target, index))

    def energy(self, measured: MaskedFeatures) -> Tensor:
        return torch.full((len(measured.features),), SELF_SIMILARITY_ENERGY, device=measured.features.device)


def _mean_square(part: MaskedFeatures) -> Tensor:
    """Mean squared length of the features, weighted by the mask."""
    squares = part.features.float().square().sum(1).flatten(1)  # b n
    weight = mass(part).float()
    return (squares * weight).sum(1) / weight.sum(1)
