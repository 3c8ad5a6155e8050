"""Terms on moments of the features, content terms, total variation, and the tables of all terms by name.

To offer a new term to the user, add it to ``STYLE_TERMS`` or ``CONTENT_TERMS``.
"""

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any, ClassVar, NamedTuple, Protocol, runtime_checkable

import torch
from jaxtyping import Float
from torch import Tensor

from artune.backbones.base import Features
from artune.backbones.sums import Sums, row_chunks
from artune.images.resize import NO_WRAPS, Wraps
from artune.losses import moments as fn
from artune.losses.protocol import AnyTerm, Draws, Mask, TargetSource
from artune.losses.sampled import Histogram, MarkovRandomField, Nearest, RelaxedEMD, SelfSimilarity, Sliced
from artune.losses.variation import Variation, total_variation
from artune.spec.style import Scale

ENERGY_BYTES = 2**24
"""Bytes of the rows of features whose squares are held at once."""


class SquaredErrors(NamedTuple):
    """Squared differences of features, summed over channels and positions.

    Attributes:
        error: sum of the squared differences, weighted by the mask, ``[b]``.
        mass: denominator of the mean, ``[b]``: sum of the mask (number of positions without a mask), or energy of the
            target.
    """

    error: Float[Tensor, "b"]
    mass: Float[Tensor, "b"]

    def mean(self) -> Float[Tensor, "b"]:
        """The sum divided by the mass."""
        return self.error / self.mass.clamp(min=1e-6)


class Content:
    """Mean squared difference of the features (Gatys 2016, equation 1, up to its factor).

    Scales: ``calibrated`` sums over channels and averages over positions; ``tutorial`` and ``mean`` average over both;
    ``raw`` is the sum over both, ``gatys`` half of it.
    """

    source: TargetSource = "content"
    taps: tuple[str, ...]
    additive = True

    def __init__(self, tap: str, scale: Scale = "calibrated", draws: Draws = Draws()) -> None:
        self.name, self.taps, self.scale = f"content {tap}", (tap,), scale

    def measure(self, features: Features, mask: Mask | None = None) -> tuple[Tensor, Mask | None]:
        return features[self.taps[0]], mask

    def mix(self, parts: Sequence[Any], weights: Sequence[float]) -> Any:
        raise ValueError("there is one content")

    def freeze(self, measured: tuple[Tensor, Mask | None]) -> Tensor:
        return measured[0]

    def errors(self, measured: tuple[Tensor, Mask | None], target: Tensor) -> SquaredErrors:
        features, mask = measured
        return self._summed(features - target, mask)

    def value(self, errors: SquaredErrors, target: Tensor) -> Tensor:
        if self.scale in ("tutorial", "mean"):
            return errors.mean() / target.shape[1]
        if self.scale == "calibrated":
            return errors.mean()
        return (0.5 if self.scale == "gatys" else 1.0) * errors.mean() * target[0, 0].numel()

    def distance(self, measured: tuple[Tensor, Mask | None], target: Tensor, step: int = 0) -> Tensor:
        return self.value(self.errors(measured, target), target)

    def energy(self, measured: tuple[Tensor, Mask | None]) -> Tensor:
        features, mask = measured
        parts = [  # a large map leaves no room for its square
            self._summed(features[:, :, rows], None if mask is None else mask[:, :, rows])
            for rows in row_chunks(features, ENERGY_BYTES)
        ]
        return SquaredErrors(*(torch.stack(sums).sum(0) for sums in zip(*parts, strict=True))).mean()

    @staticmethod
    def _summed(values: Tensor, mask: Mask | None) -> SquaredErrors:
        square = values.float().square().sum(1, keepdim=True)
        if mask is None:
            return SquaredErrors(square.sum((1, 2, 3)), square.new_full((len(square),), square[0].numel()))
        error = (square * mask).sum((1, 2, 3))
        return SquaredErrors(error, mask.sum((1, 2, 3)).expand_as(error))


class Relative(Content):
    """Squared difference of the features, divided by the energy of the target; the same in every scale."""

    def errors(self, measured: tuple[Tensor, Mask | None], target: Tensor) -> SquaredErrors:
        features, mask = measured
        return SquaredErrors(self._summed(features - target, mask).error, self._summed(target, mask).error)

    def value(self, errors: SquaredErrors, target: Tensor) -> Tensor:
        return errors.mean()

    def energy(self, measured: tuple[Tensor, Mask | None]) -> Tensor:
        return measured[0].new_ones(len(measured[0]), dtype=torch.float32)


class _Moments:
    """Base of the terms that compare first and second moments of the features of one tap."""

    source: TargetSource = "style"
    taps: tuple[str, ...]
    additive = True

    def __init__(self, tap: str, scale: Scale = "calibrated", draws: Draws = Draws()) -> None:
        self.name, self.taps, self.scale = f"style {tap}", (tap,), scale

    def measure(self, features: Features, mask: Mask | None = None) -> fn.Moments:
        return fn.moments(features[self.taps[0]], mask)

    def of_sums(self, sums: Sums) -> fn.Moments:
        return fn.moments_of(sums)

    def mix(self, parts: Sequence[fn.Moments], weights: Sequence[float]) -> fn.Moments:
        return fn.mix(list(parts), list(weights))

    def energy(self, measured: fn.Moments) -> Tensor:
        return fn.energy(measured)


class Wasserstein(_Moments):
    """Squared 2-Wasserstein distance between Gaussians fitted to the features.

    Scales: ``mean`` divides it by the number of channels, as Crowson's style-transfer-pytorch does; in the other scales
    it is in squared feature units.
    """

    balance: ClassVar[float] = 4.0

    def freeze(self, measured: fn.Moments) -> fn.Gaussian:
        return fn.gaussian(measured)

    def distance(self, measured: fn.Moments, target: fn.Gaussian, step: int = 0) -> Tensor:
        apart = fn.wasserstein(measured, target)
        return apart / measured.first.shape[1] if self.scale == "mean" else apart


class Gram(_Moments):
    """Distance of Gram matrices.

    Scales: ``calibrated`` is the Frobenius norm of the difference, in squared feature units. The other scales use the
    squared norm. ``tutorial`` is the mean squared difference of matrices divided by the number of channels (PyTorch's
    tutorial). ``gatys`` is the squared norm divided by 4 channels^2 (Gatys 2016, equation 4, with matrices as means
    over positions, so that the two sizes may differ). ``raw`` is the squared norm for matrices as sums over the
    positions of the picture, without a denominator.
    """

    balance: ClassVar[float] = 4.0

    def freeze(self, measured: fn.Moments) -> Tensor:
        return fn.gram(measured)

    def distance(self, measured: fn.Moments, target: Tensor, step: int = 0) -> Tensor:
        if self.scale == "calibrated":
            return fn.gram_distance(measured, target)
        square = (fn.gram(measured) - target).square().sum((1, 2))
        channels = target.shape[1]
        if self.scale == "tutorial":
            return square / channels**4
        if self.scale == "gatys":
            return square / (4 * channels**2)
        return square * measured.positions**2


class Deviations:
    """Distance of the means and standard deviations of the channels (AdaIN statistics); the cheapest style term."""

    source: TargetSource = "style"
    taps: tuple[str, ...]
    additive = True
    balance: ClassVar[float] = 15.0

    def __init__(self, tap: str, scale: Scale = "calibrated", draws: Draws = Draws()) -> None:
        self.name, self.taps = f"style {tap}", (tap,)

    def measure(self, features: Features, mask: Mask | None = None) -> fn.Marginals:
        return fn.marginals(features[self.taps[0]], mask)

    def mix(self, parts: Sequence[fn.Marginals], weights: Sequence[float]) -> fn.Marginals:
        return fn.mix(list(parts), list(weights))

    def freeze(self, measured: fn.Marginals) -> tuple[Tensor, Tensor]:
        return fn.mean_and_deviation(measured)

    def distance(self, measured: fn.Marginals, target: tuple[Tensor, Tensor], step: int = 0) -> Tensor:
        return fn.deviation_distance(measured, target)

    def energy(self, measured: fn.Marginals) -> Tensor:
        return fn.energy(measured)


CHROMA = 8.0
"""Weight of colour relative to brightness in the calibrated total variation. The grain of a painting varies in
brightness; noise in colour comes from the short descent, not from the style."""


class TotalVariation:
    """Total variation: differences of neighbouring pixels.

    Args:
        scale: ``gatys`` and ``raw`` are sums, as in the literature, the others are means. ``calibrated`` multiplies
            squared differences of colour by ``CHROMA``, absolute differences by its square root.
        wraps: axes along which the picture repeats.
        kind: squared or absolute differences, and which neighbours; see ``artune.losses.variation``.
    """

    name = "tv"
    taps: tuple[str, ...] = ("image",)
    source: TargetSource = "none"
    additive = True

    def __init__(self, scale: Scale = "calibrated", wraps: Wraps = NO_WRAPS, kind: Variation = "l2") -> None:
        self.kind, self.wraps, self.chroma = kind, wraps, CHROMA if scale == "calibrated" else 1.0
        self.summed = scale in ("gatys", "raw")

    def measure(self, features: Features, mask: Mask | None = None) -> tuple[Tensor, Tensor]:
        return total_variation(features["image"], mask, kind=self.kind, chroma=self.chroma, wraps=self.wraps)

    def mix(self, parts: Sequence[Any], weights: Sequence[float]) -> Any:
        total = sum(w * (p[0] / p[1].clamp(min=1)) for p, w in zip(parts, weights, strict=True))
        return total / sum(weights), parts[0][1].new_ones(parts[0][1].shape)

    def freeze(self, measured: Any) -> None:
        return None

    def distance(self, measured: tuple[Tensor, Tensor], target: None, step: int = 0) -> Tensor:
        total, count = measured
        return total if self.summed else total / count.clamp(min=1)

    def energy(self, measured: tuple[Tensor, Tensor]) -> Tensor:
        return measured[0].new_full(measured[0].shape, 1e-3**0.5 if self.kind == "l1" else 1e-3)


Make = Callable[[str, Scale, Draws], AnyTerm]
"""Function that makes a term for a tap, a scale and draws."""


@runtime_checkable
class MakeStyle(Protocol):
    """Class of a style term: makes a term for a tap, a scale and draws, and has the term's balance."""

    @property
    def balance(self) -> float:
        """Balance of the term; see ``artune.losses.protocol.StyleTerm``."""

    def __call__(self, tap: str, scale: Scale, draws: Draws) -> AnyTerm: ...


STYLE_TERMS: Mapping[str, MakeStyle] = {
    "w2": Wasserstein,
    "gram": Gram,
    "moments": Deviations,
    "sliced": Sliced,
    "histogram": Histogram,
    "nearest": Nearest,
    "remd": RelaxedEMD,
    "mrf": MarkovRandomField,
}
CONTENT_TERMS: Mapping[str, Make] = {"mse": Content, "relative": Relative, "self-similarity": SelfSimilarity}
VARIATIONS: Mapping[str, Callable[..., AnyTerm]] = {
    "l2": TotalVariation,
    "l1": partial(TotalVariation, kind="l1"),
    "nine-point": partial(TotalVariation, kind="nine-point"),
}


def balance_of(losses: Mapping[str, float]) -> float:
    """Ratio of style weight to content weight at strength 0.5, for several losses with their weights."""
    return sum(weight * STYLE_TERMS[loss].balance for loss, weight in losses.items()) / sum(losses.values())
