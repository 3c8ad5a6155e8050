"""Terms of an objective: each measures features, freezes a target once, and compares.

A term is one table line away from the user: see ``STYLE_TERMS``.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple, Protocol, runtime_checkable

import torch
from jaxtyping import Float
from torch import Tensor

from artune.backbones.base import Features
from artune.losses import functional as fn
from artune.spec import Scale

Mask = Float[Tensor, "#b 1 h w"]
Source = Literal["content", "style", "none"]


@dataclass(frozen=True)
class Draws:
    """Where a term's random numbers come from: a function of the seed and the step.

    Attributes:
        seed: of the run.
        fixed: the same at every step of a size, for methods that remember gradients (L-BFGS).
    """

    seed: int = 0
    fixed: bool = False

    def generator(self, step: int) -> torch.Generator:
        """For the numbers of one step; always on the CPU, so that they are the same on every device."""
        return torch.Generator().manual_seed((self.seed * 1_000_003 + (0 if self.fixed else step)) % 2**63)


class Term(Protocol):
    """One loss at one place of the network.

    Attributes:
        name: its name in a step's losses.
        taps: what it needs of the network.
        source: which picture its target comes from.
        additive: whether what it measures on two tiles, a tuple of tensors, adds up to what it measures on the whole;
            of a term that is ``Pointwise``, its errors do.
    """

    name: str
    taps: tuple[str, ...]
    source: Source
    additive: bool

    def measure(self, features: Features, mask: Mask | None = None) -> Any:
        """Statistics of a picture, differentiable, with the batch axis kept."""

    def mix(self, parts: Sequence[Any], weights: Sequence[float]) -> Any:
        """Statistics of several styles at once."""

    def freeze(self, measured: Any) -> Any:
        """The target: whatever can be computed once."""

    def distance(self, measured: Any, target: Any, step: int = 0) -> Float[Tensor, "b"]:
        """How far a picture is from the target; a term that draws does so by the step."""

    def energy(self, measured: Any) -> Float[Tensor, "b"]:
        """Size of the features, in the units of ``distance``: what a calibrated distance is floored with."""


@runtime_checkable
class Pointwise(Protocol):
    """What a term has besides that compares position by position: its target is a map, ``[b, c, h, w]``.

    Its ``distance`` is the value of its errors.
    """

    def errors(self, measured: Any, target: Any) -> tuple[Tensor, ...]:
        """Sums over positions, ``[b]`` each: those of two tiles add up."""

    def value(self, errors: Any, target: Any) -> Float[Tensor, "b"]:
        """The distance; ``target`` is that of the whole, of which only the shape counts."""


class Errors(NamedTuple):
    """Squared differences of features, summed over channels and positions.

    Attributes:
        error: the sum, weighted by the mask, ``[b]``.
        mass: sum of the mask, ``[b]``; without a mask the number of positions.
    """

    error: Float[Tensor, "b"]
    mass: Float[Tensor, "b"]

    def mean(self) -> Float[Tensor, "b"]:
        """Over positions."""
        return self.error / self.mass.clamp(min=1e-6)


class Content:
    """Mean squared difference of the features (Gatys 2016, equation 1, up to its factor).

    Scales: ``calibrated`` sums over channels and averages over positions; ``tutorial`` averages over both; ``raw`` is
    the sum over both, ``gatys`` half of it.
    """

    source: Source = "content"
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

    def errors(self, measured: tuple[Tensor, Mask | None], target: Tensor) -> Errors:
        features, mask = measured
        return self._summed(features - target, mask)

    def value(self, errors: Errors, target: Tensor) -> Tensor:
        if self.scale == "tutorial":
            return errors.mean() / target.shape[1]
        if self.scale == "calibrated":
            return errors.mean()
        return (0.5 if self.scale == "gatys" else 1.0) * errors.mean() * target[0, 0].numel()

    def distance(self, measured: tuple[Tensor, Mask | None], target: Tensor, step: int = 0) -> Tensor:
        return self.value(self.errors(measured, target), target)

    def energy(self, measured: tuple[Tensor, Mask | None]) -> Tensor:
        return self._summed(*measured).mean()

    @staticmethod
    def _summed(values: Tensor, mask: Mask | None) -> Errors:
        square = values.float().square().sum(1, keepdim=True)
        if mask is None:
            return Errors(square.sum((1, 2, 3)), square.new_full((len(square),), square[0].numel()))
        return Errors((square * mask).sum((1, 2, 3)), mask.sum((1, 2, 3)).expand(len(square)))


class _Moments:
    """What the terms share that compare first and second moments of the features of one tap."""

    source: Source = "style"
    taps: tuple[str, ...]
    additive = True

    def __init__(self, tap: str, scale: Scale = "calibrated", draws: Draws = Draws()) -> None:
        self.name, self.taps, self.scale = f"style {tap}", (tap,), scale

    def measure(self, features: Features, mask: Mask | None = None) -> fn.Moments:
        return fn.moments(features[self.taps[0]], mask)

    def mix(self, parts: Sequence[fn.Moments], weights: Sequence[float]) -> fn.Moments:
        return fn.mix(list(parts), list(weights))

    def energy(self, measured: fn.Moments) -> Tensor:
        return fn.energy(measured)


class Wasserstein(_Moments):
    """Squared 2-Wasserstein distance between Gaussians fitted to the features."""

    def freeze(self, measured: fn.Moments) -> fn.Gaussian:
        return fn.gaussian(measured)

    def distance(self, measured: fn.Moments, target: fn.Gaussian, step: int = 0) -> Tensor:
        return fn.wasserstein(measured, target)


class Gram(_Moments):
    """Distance of Gram matrices.

    Scales: ``calibrated`` is the norm of the difference, in squared feature units; the others are squares of it:
    ``tutorial`` the mean over entries of matrices divided by the number of channels (PyTorch's tutorial), ``gatys``
    a quarter of the sum over them divided by channels only (Gatys 2016, equation 4, for any two sizes), ``raw`` the
    sum with no denominator at all.
    """

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
        return square * measured.mass**2


CHROMA = 8.0
"""Weight of colour beside brightness in the calibrated total variation: grain of a painting is one of brightness, and
what a short descent leaves of colour noise is none of the style's."""


class TotalVariation:
    """Mean squared difference of neighbouring pixels; calibrated, that of colours counts ``CHROMA`` times."""

    name = "tv"
    taps: tuple[str, ...] = ("image",)
    source: Source = "none"
    additive = True

    def __init__(self, scale: Scale = "calibrated") -> None:
        self.chroma = CHROMA if scale == "calibrated" else 1.0

    def measure(self, features: Features, mask: Mask | None = None) -> tuple[Tensor, Tensor]:
        return fn.total_variation(features["image"], mask, chroma=self.chroma)

    def mix(self, parts: Sequence[Any], weights: Sequence[float]) -> Any:
        total = sum(w * (p[0] / p[1].clamp(min=1)) for p, w in zip(parts, weights, strict=True))
        return total / sum(weights), parts[0][1].new_ones(parts[0][1].shape)

    def freeze(self, measured: Any) -> None:
        return None

    def distance(self, measured: tuple[Tensor, Tensor], target: None, step: int = 0) -> Tensor:
        total, count = measured
        return total / count.clamp(min=1)

    def energy(self, measured: tuple[Tensor, Tensor]) -> Tensor:
        return measured[0].new_full(measured[0].shape, 1e-3)


Make = Callable[[str, Scale, Draws], Term]
"""Makes a term of a tap, a scale and draws."""

STYLE_TERMS: Mapping[str, Make] = {"w2": Wasserstein, "gram": Gram}
CONTENT_TERMS: Mapping[str, Make] = {"mse": Content}
VARIATIONS: Mapping[str, Callable[[Scale], Term]] = {"l2": TotalVariation}
