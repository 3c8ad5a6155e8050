"""The interface of a term of the objective, and its source of random numbers."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Literal, Protocol, TypeVar, runtime_checkable

import torch
from jaxtyping import Float
from torch import Tensor

from artune.backbones.base import Features
from artune.backbones.sums import Sums

Mask = Float[Tensor, "#masks 1 h w"]
TargetSource = Literal["content", "style", "none"]
"""The picture that the target of a term comes from."""
M = TypeVar("M")
"""Type of a term's measurement of a picture."""
T = TypeVar("T")
"""Type of a term's target."""


@dataclass(frozen=True)
class Draws:
    """Source of a term's random numbers, which are a function of seed and step.

    Attributes:
        seed: seed of the run.
        fixed: whether the numbers are the same at every step of a size, for an optimiser that compares gradients of
            different steps (L-BFGS).
    """

    seed: int = 0
    fixed: bool = False

    def generator(self, step: int) -> torch.Generator:
        """Generator for one step; always on the CPU, so that the numbers are the same on every device."""
        return torch.Generator().manual_seed((self.seed * 1_000_003 + (0 if self.fixed else step)) % 2**63)


@runtime_checkable
class Term(Protocol[M, T]):
    """One loss on the features of one or more taps.

    Attributes:
        name: name of the loss.
        taps: taps whose features it needs.
        source: picture that its target comes from.
        additive: whether its measurements of two tiles, tuples of tensors, add up to that of both. For a ``Pointwise``
            term, this holds for its errors instead.
    """

    name: str
    taps: tuple[str, ...]
    source: TargetSource
    additive: bool

    def measure(self, features: Features, mask: Mask | None = None) -> M:
        """Measure the statistics of a picture; differentiable, the batch axis is kept."""

    def mix(self, parts: Sequence[M], weights: Sequence[float]) -> M:
        """Statistics of a mixture of several paintings with the given weights."""

    def freeze(self, measured: M) -> T:
        """Compute the target from the measurement of a painting or the photograph; done once."""

    def distance(self, measured: M, target: T, step: int = 0) -> Float[Tensor, "b"]:
        """Distance of a picture from the target. Random numbers, if any, follow from the step."""

    def energy(self, measured: M) -> Float[Tensor, "b"]:
        """Energy of the features in the units of ``distance``; a share of it is added to the unit of the term."""


AnyTerm = Term[Any, Any]


@runtime_checkable
class StyleTerm(Term[M, T], Protocol):
    """A term that compares with a painting.

    Attributes:
        balance: ratio of style weight to content weight at strength 0.5. It is the median balance of a set of pairs of
            pictures (``docs/balance.md``). With it, the content distance is about the same as with the other losses
            (``docs/losses.md``).
    """

    balance: ClassVar[float]


@runtime_checkable
class FromSums(Protocol):
    """Additional interface of a term that needs nothing but the sums of its tap, as long as there is no mask."""

    def of_sums(self, sums: Sums) -> Any:
        """The measurement, from the sums of the whole tap."""


@runtime_checkable
class Pointwise(Protocol):
    """Additional interface of a term that compares position by position: its target is a map, ``[b, c, h, w]``.

    Its ``distance`` is ``value(errors(...))``.
    """

    def errors(self, measured: Any, target: Any) -> tuple[Tensor, ...]:
        """Sums of errors over positions, ``[b]`` each; those of two tiles add up."""

    def value(self, errors: Any, target: Any) -> Float[Tensor, "b"]:
        """Distance from the sums of errors. ``target`` is that of the whole picture; only its shape is used."""
