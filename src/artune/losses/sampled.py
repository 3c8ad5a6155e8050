"""Terms on positions: they compare a sample of features, drawn by seed and step, and refuse tiles.

The style's sample is drawn once per size; the picture's anew at every step, unless the draws are fixed.
"""

from collections.abc import Sequence
from typing import Any, ClassVar

import torch
from jaxtyping import Float
from torch import Tensor

from artune.backbones.base import Features
from artune.losses.neighbours import markov, nearest, relaxed_emd, self_similarity
from artune.losses.positions import MaskedFeatures, allot, draw, inside, mass, patches, rows
from artune.losses.protocol import Draws, Mask, Source
from artune.losses.transport import histogram, orthonormal, quantiles, sliced
from artune.spec.style import Scale

SORTED_POSITIONS = 8192
"""Positions of a sample that is sorted."""
MATCHED_POSITIONS = 4096
"""Positions that look for their nearest neighbour, and among which (Kolkin 2022: 64x64)."""
PAIRED_POSITIONS = 1024
"""Positions on either side of an earth mover's distance, and whose self-similarity is kept (Kolkin 2019)."""
PATCHES = 1024
"""Patches on either side."""
DIRECTIONS = 32
"""Directions of one step, where every step has others."""
SELF_SIMILARITY_ENERGY = 0.2
"""Energy of a self-similarity: it makes a photograph and a painting as far apart, beside it, as squared differences do
beside the energy of the features."""

FIXED_FACTOR = 4
"""How many times more positions of the picture are drawn where they stay the same: those left out never move, and would
show as grain."""

Rows = Float[Tensor, "b n c"]


class _Sampled:
    """What the style terms share that compare samples of the positions of one tap.

    Attributes:
        limit: positions of a sample; of the picture ``FIXED_FACTOR`` times as many where they are fixed.
    """

    source: Source = "style"
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
        """The picture's sample at a step."""
        return self.sample(measured, self.limit * (FIXED_FACTOR if self.draws.fixed else 1), generator)

    def sample(self, parts: Sequence[MaskedFeatures], limit: int, generator: torch.Generator) -> Rows:
        """Features at positions of all parts, in proportion to their shares."""
        some = zip(parts, allot(parts, limit), strict=True)
        return torch.cat([rows(part.features, draw(part, count, generator)) for part, count in some if count], 1)


class _SquaredUnits(_Sampled):
    """Those of them whose distance is in squared feature units."""

    def energy(self, measured: list[MaskedFeatures]) -> Tensor:
        whole = sum(part.share for part in measured)
        return torch.stack([part.share / whole * _mean_square(part) for part in measured]).sum(0)


class _Cosines(_Sampled):
    """Those of them whose distance is one of cosines: unrelated directions are 1 apart."""

    def energy(self, measured: list[MaskedFeatures]) -> Tensor:
        features = measured[0].features
        return torch.ones(len(features), device=features.device)


class Sliced(_SquaredUnits):
    """Sliced Wasserstein distance: ``DIRECTIONS`` at a step, or as many as channels where they are fixed."""

    limit = SORTED_POSITIONS
    balance: ClassVar[float] = 15.0

    def distance(self, measured: list[MaskedFeatures], target: Rows, step: int = 0) -> Tensor:
        generator = self.draws.generator(step)
        ours = self.at(measured, generator)
        channels = ours.shape[2]
        count = channels if self.draws.fixed else min(channels, DIRECTIONS)
        return sliced(ours, target, orthonormal(channels, count, generator).to(ours))


class Histogram(_SquaredUnits):
    """Distance of the histograms of every channel."""

    limit = SORTED_POSITIONS
    balance: ClassVar[float] = 15.0

    def freeze(self, measured: list[MaskedFeatures]) -> Tensor:
        return quantiles(super().freeze(measured))

    def distance(self, measured: list[MaskedFeatures], target: Tensor, step: int = 0) -> Tensor:
        return histogram(self.at(measured, self.draws.generator(step)), target)


class Nearest(_Cosines):
    """Cosine distance of centred features to the nearest of the style."""

    limit = MATCHED_POSITIONS
    balance: ClassVar[float] = 4.0

    def distance(self, measured: list[MaskedFeatures], target: Rows, step: int = 0) -> Tensor:
        return nearest(self.at(measured, self.draws.generator(step)), target)


class RelaxedEMD(_Cosines):
    """Relaxed earth mover's distance of cosine distances."""

    limit = PAIRED_POSITIONS
    balance: ClassVar[float] = 5.0

    def distance(self, measured: list[MaskedFeatures], target: Rows, step: int = 0) -> Tensor:
        return relaxed_emd(self.at(measured, self.draws.generator(step)), target)


class MarkovRandomField(_SquaredUnits):
    """Squared distance of patches of 3x3 positions to their best matches in the style.

    Only patches count that lie within the mask and the picture; where there is none, those around a position that does.
    """

    limit = PATCHES
    balance: ClassVar[float] = 2.5

    def sample(self, parts: Sequence[MaskedFeatures], limit: int, generator: torch.Generator) -> Rows:
        """Patches of all parts, in proportion to their shares."""
        parts = [inside(part) for part in parts]
        some = zip(parts, allot(parts, limit), strict=True)
        return torch.cat([patches(part.features, draw(part, count, generator)) for part, count in some if count], 1)

    def distance(self, measured: list[MaskedFeatures], target: Rows, step: int = 0) -> Tensor:
        return markov(self.at(measured, self.draws.generator(step)), target)


class SelfSimilarity:
    """Content as the distances of its positions to each other, the same in every scale."""

    source: Source = "content"
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
    """Mean squared length of the features, by the mask."""
    squares = part.features.float().square().sum(1).flatten(1)  # b n
    weight = mass(part).float()
    return (squares * weight).sum(1) / weight.sum(1)
